// `holdfast audit`: the daemon's books against the database.

#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

#include "client/cli/command.h"
#include "holdfast/v1/admin.pb.h"

namespace holdfast::client {

const Command& AuditCommand();

// The report for people.
std::string FormatAudit(const v1::AuditResponse& audit);

// "24h" before `now`, or a time such as 2026-01-15T10:00:00Z; InfinitePast for "all".
// INVALID_ARGUMENT for anything else.
absl::StatusOr<absl::Time> ParseSince(absl::string_view text, absl::Time now);

}  // namespace holdfast::client
