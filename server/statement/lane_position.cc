#include "server/statement/lane_position.h"

#include <array>
#include <cstdlib>
#include <cstring>

#include "absl/strings/str_format.h"

#include "server/base/status_macros.h"

namespace holdfast::statement {
namespace {

using mysql::ColumnType;

constexpr std::array kColumns = {
    Column{"writer_id", ColumnType::kText},    Column{"lane", ColumnType::kText},
    Column{"journal_id", ColumnType::kBinary}, Column{"epoch", ColumnType::kUint64},
    Column{"position", ColumnType::kUint64},   Column{"updated_at", ColumnType::kTime},
};

}  // namespace

Call EnsureLane(const LaneKey& key, const event::Id& journal_id, absl::Time now) {
  static const mysql::Statement* const statement =
      Upsert(kLanesTable, kColumns, {KeepRow("writer_id")});
  return OneRow(statement,
                {key.writer_id, key.lane, journal_id.view(), uint64_t{0}, uint64_t{0}, now});
}

Call LockLane(const LaneKey& key) {
  static const mysql::Statement* const statement =
      Fixed(kLanesTable,
            "SELECT journal_id, epoch, position, committed, duplicate, quarantined, adjusted "
            "FROM holdfast_lanes WHERE writer_id = ? AND lane = ? FOR UPDATE",
            {ColumnType::kText, ColumnType::kText});
  return OneRow(statement, {key.writer_id, key.lane});
}

absl::StatusOr<LaneRow> ReadLane(const mysql::ResultRow& answer) {
  LaneRow row;
  HOLDFAST_ASSIGN_OR_RETURN(const std::string journal_id, ReadText(answer, 0));
  if (journal_id.size() != row.journal_id.bytes.size()) {
    return absl::InternalError("holdfast_lanes.journal_id is not 16 bytes; run the migrations");
  }
  std::memcpy(row.journal_id.bytes.data(), journal_id.data(), journal_id.size());
  HOLDFAST_ASSIGN_OR_RETURN(row.epoch, ReadUnsigned(answer, 1));
  HOLDFAST_ASSIGN_OR_RETURN(row.position, ReadUnsigned(answer, 2));
  HOLDFAST_ASSIGN_OR_RETURN(row.committed, ReadUnsigned(answer, 3));
  HOLDFAST_ASSIGN_OR_RETURN(row.duplicate, ReadUnsigned(answer, 4));
  HOLDFAST_ASSIGN_OR_RETURN(row.quarantined, ReadUnsigned(answer, 5));
  HOLDFAST_ASSIGN_OR_RETURN(row.adjusted, ReadSigned(answer, 6));
  return row;
}

Call TakeLane(const LaneKey& key, const LaneRow& row, absl::Time now) {
  static const mysql::Statement* const statement =
      Fixed(kLanesTable,
            "UPDATE holdfast_lanes SET journal_id = ?, epoch = ?, position = ?, committed = ?, "
            "duplicate = ?, quarantined = ?, adjusted = ?, updated_at = ? "
            "WHERE writer_id = ? AND lane = ?",
            {ColumnType::kBinary, ColumnType::kUint64, ColumnType::kUint64, ColumnType::kUint64,
             ColumnType::kUint64, ColumnType::kUint64, ColumnType::kInt64, ColumnType::kTime,
             ColumnType::kText, ColumnType::kText});
  return OneRow(statement,
                {row.journal_id.view(), row.epoch, row.position, row.committed, row.duplicate,
                 row.quarantined, row.adjusted, now, key.writer_id, key.lane});
}

Call MoveLane(const LaneKey& key, const LaneRow& from, uint64_t position, uint64_t events,
              absl::Time now) {
  static const mysql::Statement* const statement =
      Fixed(kLanesTable,
            "UPDATE holdfast_lanes SET position = ?, committed = committed + ?, "
            "adjusted = adjusted + ?, updated_at = ? WHERE writer_id = ? AND lane = ? "
            "AND epoch = ? AND journal_id = ? AND position = ? AND quarantined = ?",
            {ColumnType::kUint64, ColumnType::kUint64, ColumnType::kInt64, ColumnType::kTime,
             ColumnType::kText, ColumnType::kText, ColumnType::kUint64, ColumnType::kBinary,
             ColumnType::kUint64, ColumnType::kUint64});
  const auto skipped = static_cast<int64_t>(position - from.position - events);
  return OneRow(statement, {position, events, skipped, now, key.writer_id, key.lane, from.epoch,
                            from.journal_id.view(), from.position, from.quarantined});
}

Call CorrectLane(const LaneKey& key, uint64_t duplicate, uint64_t quarantined) {
  static const mysql::Statement* const statement =
      Fixed(kLanesTable,
            "UPDATE holdfast_lanes SET committed = committed - ?, duplicate = duplicate + ?, "
            "quarantined = quarantined + ? WHERE writer_id = ? AND lane = ?",
            {ColumnType::kUint64, ColumnType::kUint64, ColumnType::kUint64, ColumnType::kText,
             ColumnType::kText});
  return OneRow(statement,
                {duplicate + quarantined, duplicate, quarantined, key.writer_id, key.lane});
}

Call BookReplay(const LaneKey& key, const event::Id& journal_id, bool duplicate) {
  static const mysql::Statement* const statement =
      Fixed(kLanesTable,
            "UPDATE holdfast_lanes SET committed = committed + ?, duplicate = duplicate + ?, "
            "quarantined = quarantined - ? WHERE writer_id = ? AND lane = ? AND journal_id = ? "
            "AND quarantined >= ?",
            {ColumnType::kUint64, ColumnType::kUint64, ColumnType::kUint64, ColumnType::kText,
             ColumnType::kText, ColumnType::kBinary, ColumnType::kUint64});
  return OneRow(statement, {uint64_t{duplicate ? 0u : 1u}, uint64_t{duplicate ? 1u : 0u},
                            uint64_t{1}, key.writer_id, key.lane, journal_id.view(), uint64_t{1}});
}

Call ListLanesOfJournal(const event::Id& journal_id) {
  static const mysql::Statement* const statement = Fixed(
      kLanesTable, "SELECT writer_id, lane, position FROM holdfast_lanes WHERE journal_id = ?",
      {ColumnType::kBinary});
  return OneRow(statement, {journal_id.view()});
}

Call AwaitLanePosition(const LaneKey& key) {
  static const mysql::Statement* const statement =
      Fixed(kLanesTable,
            "SELECT position FROM holdfast_lanes WHERE writer_id = ? AND lane = ? "
            "LOCK IN SHARE MODE",
            {ColumnType::kText, ColumnType::kText});
  return OneRow(statement, {key.writer_id, key.lane});
}

Call ReadStatsUtcOffset() {
  static const mysql::Statement* const statement =
      Fixed("holdfast_schema",
            "SELECT stats_utc_offset FROM holdfast_schema ORDER BY version DESC LIMIT 1", {});
  return OneRow(statement, {});
}

std::string FormatUtcOffset(absl::Duration offset) {
  const auto minutes = static_cast<int>(absl::ToInt64Minutes(offset));
  return absl::StrFormat("%c%02d:%02d", minutes < 0 ? '-' : '+', std::abs(minutes) / 60,
                         std::abs(minutes) % 60);
}

}  // namespace holdfast::statement
