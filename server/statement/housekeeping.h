// What keeps the daemon's own tables from growing for ever. A few rows at a time, found by an index
// or by a read that locks nothing, so that no lane waits for it.

#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "server/statement/build.h"
#include "server/statement/lane_position.h"

namespace holdfast::statement {

inline constexpr uint64_t kExpiredHitsAtOnce = 1000;
inline constexpr uint64_t kLanesAtOnce = 100;

// Forgets the oldest ids of hits from before `before`, at most kExpiredHitsAtOnce.
Call DeleteExpiredHits(absl::Time before);

// The lanes that nobody has written to since `before`, of every writer or of one; at most
// kLanesAtOnce.
Call FindOldLanes(absl::Time before);
Call FindIdleLanes(absl::string_view writer_id, absl::Time before);
struct FoundLane {
  std::string writer_id;
  std::string lane;
};
absl::StatusOr<FoundLane> ReadFoundLane(const mysql::ResultRow& answer);

// Deletes a lane's row if it is still as old.
Call DeleteOldLane(const LaneKey& key, absl::Time before);

// Says that the lane's writer is alive.
Call TouchLane(const LaneKey& key, absl::Time now);

}  // namespace holdfast::statement
