// What becomes of an event in holdfast_quarantine: it is replayed into its table, refused again, or
// discarded. Its row is changed by compare-and-set on `attempts` and `outcome`, so of two who try
// one succeeds, and nothing is decided on a row that was met by a lane again meanwhile.

#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

#include "server/event/event_id.h"
#include "server/statement/build.h"
#include "server/statement/quarantine.h"

namespace holdfast::statement {

// The column `outcome`; empty while the event waits.
inline constexpr absl::string_view kReplayedCommitted = "committed";
inline constexpr absl::string_view kReplayedDuplicate = "duplicate";
inline constexpr absl::string_view kDiscarded = "discarded";

inline constexpr size_t kSettledByBytesMax = 160;

// A row as a replay needs it.
struct Quarantined {
  uint64_t quarantine_id = 0;
  std::string kind;
  std::string writer_id;  // With `lane` and `journal_id`: the books that hold it.
  std::string lane;
  event::Id journal_id;
  event::Id producer;
  uint64_t sequence = 0;
  uint64_t attempts = 0;
  std::string outcome;
  std::string event_protobuf;
};

// One row or none. `lock`: waits for whoever is changing it; without it, what is told may be
// outdated.
Call ReadForReplay(uint64_t quarantine_id, bool lock);
absl::StatusOr<Quarantined> ReadQuarantinedForReplay(const mysql::ResultRow& answer);

// How a row is settled. Views must outlive the call.
struct Settlement {
  absl::string_view outcome;
  absl::string_view by;      // Cut to kSettledByBytesMax.
  absl::string_view reason;  // Cut as a reason is.
  absl::Time now;
};

// Settles a row that waits and has been refused `attempts` times. Changes one row or none.
Call SettleQuarantined(uint64_t quarantine_id, uint64_t attempts, const Settlement& settlement);

// The same row was refused once more, for `refused`'s reason; `event` there is not looked at.
Call RefuseQuarantined(uint64_t quarantine_id, uint64_t attempts, const Refused& refused,
                       absl::Time now);

}  // namespace holdfast::statement
