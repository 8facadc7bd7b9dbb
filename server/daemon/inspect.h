// `holdfastd --inspect_journal`: looks into the journal's folder, beside a daemon or without one.

#pragma once

#include "server/daemon/config.h"
#include "server/daemon/exit_code.h"

namespace holdfast::daemon {

// Runs reading.inspection: the answer goes to standard output, all else to standard error. Changes
// nothing in the folder and does not take its lock.
ExitCode InspectJournal(const Reading& reading);

}  // namespace holdfast::daemon
