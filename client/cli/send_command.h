// `holdfast send`: the lines of a file, as events, to a daemon.

#pragma once

#include <string>
#include <vector>

namespace holdfast::client {

// Runs the command with what follows its name; returns the exit code.
int RunSend(const std::vector<std::string>& arguments);

}  // namespace holdfast::client
