// `holdfast status`: what a daemon says of itself.

#pragma once

#include <string>
#include <vector>

#include "absl/time/time.h"

#include "holdfast/v1/admin.pb.h"

namespace holdfast::client {

// Runs the command with what follows its name; returns the exit code.
int RunStatus(const std::vector<std::string>& arguments);

// The report for people. `now` is for how long the daemon has been up.
std::string FormatStatus(const v1::GetStatusResponse& status, absl::Time now);

}  // namespace holdfast::client
