// The lane's row in holdfast_lanes: what makes a transaction take effect once.

#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

#include "server/event/event_id.h"
#include "server/statement/build.h"

namespace holdfast::statement {

inline constexpr absl::string_view kLanesTable = "holdfast_lanes";

// The primary key. Not owned.
struct LaneKey {
  absl::string_view writer_id;
  absl::string_view lane;
};

// The rest. position = committed + duplicate + quarantined + adjusted.
struct LaneRow {
  event::Id journal_id;
  uint64_t epoch = 0;
  uint64_t position = 0;
  uint64_t committed = 0;
  uint64_t duplicate = 0;
  uint64_t quarantined = 0;
  int64_t adjusted = 0;
};

// Makes the row, at 0, if there is none. `journal_id` must outlive the call.
Call EnsureLane(const LaneKey& key, const event::Id& journal_id, absl::Time now);

// Reads the row and locks it. Never read it without the lock: a plain SELECT shows the old value
// while a transaction that moved it has not ended.
Call LockLane(const LaneKey& key);
absl::StatusOr<LaneRow> ReadLane(const mysql::ResultRow& answer);

// Overwrites the row, which the transaction holds locked. `row` must outlive the call.
Call TakeLane(const LaneKey& key, const LaneRow& row, absl::Time now);

// Moves the row from where `from` says it is to `position`, past `events` events; whatever the
// ordinals skip is booked as adjusted. Changes one row, or none if the row is not as `from` says:
// elsewhere, or with another number of quarantined events, since some were replayed.
// `from` must outlive the call.
Call MoveLane(const LaneKey& key, const LaneRow& from, uint64_t position, uint64_t events,
              absl::Time now);

// Books events that MoveLane counted as committed and that were not. In the same transaction.
Call CorrectLane(const LaneKey& key, uint64_t duplicate, uint64_t quarantined);

// Books one event that was replayed from quarantine as committed, or as a duplicate. Changes one
// row, or none if these books do not hold it: the lane is gone, or of another journal. `journal_id`
// must outlive the call.
Call BookReplay(const LaneKey& key, const event::Id& journal_id, bool duplicate);

// For those who look from outside: writer, lane and position of every row of a journal, whoever
// wrote it. Locks nothing. `journal_id` must outlive the call.
Call ListLanesOfJournal(const event::Id& journal_id);

// The position of one of them, once no transaction that moves it is under way any more.
Call AwaitLanePosition(const LaneKey& key);

// The STATS_UTC_OFFSET that the database was set up with: one row, one column, as in "+08:00".
Call ReadStatsUtcOffset();

// "+08:00". REQUIRES: whole minutes, less than a day.
std::string FormatUtcOffset(absl::Duration offset);

}  // namespace holdfast::statement
