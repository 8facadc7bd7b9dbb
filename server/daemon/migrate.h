// holdfastd --migrate.

#pragma once

#include "server/daemon/config.h"
#include "server/daemon/exit_code.h"

namespace holdfast::daemon {

// Brings the database's schema to that of this binary, printing each step to standard output.
ExitCode Migrate(const Config& config);

}  // namespace holdfast::daemon
