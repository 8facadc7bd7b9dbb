// `holdfast loglevel`: from which level on the daemon logs.

#pragma once

#include "client/cli/command.h"

namespace holdfast::client {

const Command& LogLevelCommand();

}  // namespace holdfast::client
