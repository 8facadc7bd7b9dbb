// Tells the daemon's next starts that a write or a sync of the journal failed.
//
// The process that meets the failure ends within seconds, mostly before anybody has looked at its
// metrics. So it leaves a file, `failed`, in the journal's folder: its modification time is when it
// failed, its text says why, for people. The next processes export that time. It is never read as
// part of the journal, may be deleted, and is not synced: the end of a process keeps it, the end of
// the machine may not. Where the disk takes no file any more either, no start succeeds, and that is
// seen by itself.

#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace holdfast::daemon {

// Replaces an earlier note. On failure names the file and the reason; there may be a note all the
// same, without its text.
absl::Status LeaveFailureNote(const std::string& folder, const absl::Status& failure);

// When the last failure was; nullopt if the folder has no note of one.
std::optional<absl::Time> LastFailureNoted(const std::string& folder);

}  // namespace holdfast::daemon
