// `holdfast health`: the probe for those who cannot ask over HTTP, and for a hook before the stop.

#pragma once

#include <string>
#include <vector>

namespace holdfast::client {

// Runs the command with what follows its name; returns the exit code.
int RunHealth(const std::vector<std::string>& arguments);

}  // namespace holdfast::client
