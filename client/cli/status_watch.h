// `holdfast status --watch`: the status again and again, and how fast events come and go.

#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "client/cli/admin_call.h"
#include "client/cli/flags.h"
#include "holdfast/v1/admin.pb.h"

namespace holdfast::client {

// Shows it until --times looks are done; returns the exit code of the last. INVALID_ARGUMENT that
// names the flag.
absl::StatusOr<int> WatchStatus(AdminCaller& caller, const Arguments& arguments);

// How the second differs from the first, `elapsed` later, in events a second:
// "accepted 12.0/s, committed 11.5/s". A counter that is not known is left out.
std::string FormatRates(const v1::Books& before, const v1::Books& now, absl::Duration elapsed);

// What a line of a change says, without its time and rates. Two looks with the same line are no
// change.
std::string FormatLine(const v1::GetStatusResponse& status);

}  // namespace holdfast::client
