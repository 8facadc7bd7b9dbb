// `holdfast status`: what a daemon says of itself.

#pragma once

#include <string>

#include "absl/time/time.h"

#include "client/cli/command.h"
#include "holdfast/v1/admin.pb.h"

namespace holdfast::client {

const Command& StatusCommand();

// The report for people: the verdict and the problems first. `now` is for how long the daemon has
// been up.
std::string FormatStatus(const v1::GetStatusResponse& status, absl::Time now);

}  // namespace holdfast::client
