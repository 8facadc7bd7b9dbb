// `holdfast send`: the lines of a file, as events, to a daemon.

#pragma once

#include "client/cli/command.h"

namespace holdfast::client {

const Command& SendCommand();

}  // namespace holdfast::client
