#include "server/statement/housekeeping.h"

#include "absl/strings/str_cat.h"

#include "server/base/status_macros.h"

namespace holdfast::statement {

using mysql::ColumnType;

Call DeleteExpiredHits(absl::Time before) {
  static const mysql::Statement* const statement =
      Fixed("holdfast_rate_limit_hits",
            absl::StrCat("DELETE FROM holdfast_rate_limit_hits WHERE occurred_at < ? "
                         "ORDER BY occurred_at LIMIT ",
                         kExpiredHitsAtOnce),
            {ColumnType::kTime});
  return OneRow(statement, {before});
}

Call FindOldLanes(absl::Time before) {
  static const mysql::Statement* const statement =
      Fixed(kLanesTable,
            absl::StrCat("SELECT writer_id, lane FROM holdfast_lanes WHERE updated_at < ? "
                         "ORDER BY updated_at LIMIT ",
                         kLanesAtOnce),
            {ColumnType::kTime});
  return OneRow(statement, {before});
}

Call FindIdleLanes(absl::string_view writer_id, absl::Time before) {
  static const mysql::Statement* const statement =
      Fixed(kLanesTable,
            absl::StrCat("SELECT writer_id, lane FROM holdfast_lanes WHERE writer_id = ? "
                         "AND updated_at < ? ORDER BY updated_at LIMIT ",
                         kLanesAtOnce),
            {ColumnType::kText, ColumnType::kTime});
  return OneRow(statement, {writer_id, before});
}

absl::StatusOr<FoundLane> ReadFoundLane(const mysql::ResultRow& answer) {
  FoundLane lane;
  HOLDFAST_ASSIGN_OR_RETURN(lane.writer_id, ReadText(answer, 0));
  HOLDFAST_ASSIGN_OR_RETURN(lane.lane, ReadText(answer, 1));
  return lane;
}

Call DeleteOldLane(const LaneKey& key, absl::Time before) {
  static const mysql::Statement* const statement = Fixed(
      kLanesTable, "DELETE FROM holdfast_lanes WHERE writer_id = ? AND lane = ? AND updated_at < ?",
      {ColumnType::kText, ColumnType::kText, ColumnType::kTime});
  return OneRow(statement, {key.writer_id, key.lane, before});
}

Call TouchLane(const LaneKey& key, absl::Time now) {
  static const mysql::Statement* const statement = Fixed(
      kLanesTable, "UPDATE holdfast_lanes SET updated_at = ? WHERE writer_id = ? AND lane = ?",
      {ColumnType::kTime, ColumnType::kText, ColumnType::kText});
  return OneRow(statement, {now, key.writer_id, key.lane});
}

}  // namespace holdfast::statement
