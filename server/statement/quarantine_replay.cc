#include "server/statement/quarantine_replay.h"

#include <cstring>

#include "absl/strings/str_cat.h"

#include "server/base/status_macros.h"

namespace holdfast::statement {
namespace {

using mysql::ColumnType;

constexpr absl::string_view kTable = "holdfast_quarantine";

absl::StatusOr<event::Id> ReadId(const mysql::ResultRow& answer, size_t column) {
  HOLDFAST_ASSIGN_OR_RETURN(const std::string bytes, ReadText(answer, column));
  event::Id id;
  if (bytes.size() != id.bytes.size()) {
    return absl::InternalError("an id in holdfast_quarantine is not 16 bytes; run the migrations");
  }
  std::memcpy(id.bytes.data(), bytes.data(), bytes.size());
  return id;
}

}  // namespace

Call ReadForReplay(uint64_t quarantine_id, bool lock) {
  constexpr absl::string_view kSelect =
      "SELECT quarantine_id, kind, writer_id, lane, journal_id, producer_id, sequence, attempts, "
      "outcome, event_protobuf FROM holdfast_quarantine WHERE quarantine_id = ?";
  static const mysql::Statement* const plain = Fixed(kTable, kSelect, {ColumnType::kUint64});
  static const mysql::Statement* const locking =
      Fixed(kTable, absl::StrCat(kSelect, " FOR UPDATE"), {ColumnType::kUint64});
  return OneRow(lock ? locking : plain, {quarantine_id});
}

absl::StatusOr<Quarantined> ReadQuarantinedForReplay(const mysql::ResultRow& answer) {
  Quarantined row;
  HOLDFAST_ASSIGN_OR_RETURN(row.quarantine_id, ReadUnsigned(answer, 0));
  HOLDFAST_ASSIGN_OR_RETURN(row.kind, ReadText(answer, 1));
  HOLDFAST_ASSIGN_OR_RETURN(row.writer_id, ReadText(answer, 2));
  HOLDFAST_ASSIGN_OR_RETURN(row.lane, ReadText(answer, 3));
  HOLDFAST_ASSIGN_OR_RETURN(row.journal_id, ReadId(answer, 4));
  HOLDFAST_ASSIGN_OR_RETURN(row.producer, ReadId(answer, 5));
  HOLDFAST_ASSIGN_OR_RETURN(row.sequence, ReadUnsigned(answer, 6));
  HOLDFAST_ASSIGN_OR_RETURN(row.attempts, ReadUnsigned(answer, 7));
  HOLDFAST_ASSIGN_OR_RETURN(row.outcome, ReadText(answer, 8));
  HOLDFAST_ASSIGN_OR_RETURN(row.event_protobuf, ReadText(answer, 9));
  return row;
}

Call SettleQuarantined(uint64_t quarantine_id, uint64_t attempts, const Settlement& settlement) {
  static const mysql::Statement* const statement =
      Fixed(kTable,
            "UPDATE holdfast_quarantine SET outcome = ?, settled_at = ?, settled_by = ?, "
            "settled_reason = ? WHERE quarantine_id = ? AND outcome = ? AND attempts = ?",
            {ColumnType::kText, ColumnType::kTime, ColumnType::kText, ColumnType::kText,
             ColumnType::kUint64, ColumnType::kText, ColumnType::kUint64});
  return OneRow(
      statement,
      {settlement.outcome, settlement.now, CutText(settlement.by, kSettledByBytesMax),
       CutText(settlement.reason, kReasonBytesMax), quarantine_id, absl::string_view(), attempts});
}

Call RefuseQuarantined(uint64_t quarantine_id, uint64_t attempts, const Refused& refused,
                       absl::Time now) {
  static const mysql::Statement* const statement =
      Fixed(kTable,
            "UPDATE holdfast_quarantine SET attempts = attempts + ?, error_number = ?, "
            "column_name = ?, reason = ?, last_at = ? "
            "WHERE quarantine_id = ? AND outcome = ? AND attempts = ?",
            {ColumnType::kUint64, ColumnType::kUint64, ColumnType::kText, ColumnType::kText,
             ColumnType::kTime, ColumnType::kUint64, ColumnType::kText, ColumnType::kUint64});
  return OneRow(statement, {uint64_t{1}, uint64_t{refused.error_number},
                            CutText(refused.column, kColumnNameBytesMax),
                            CutText(refused.reason, kReasonBytesMax), now, quarantine_id,
                            absl::string_view(), attempts});
}

}  // namespace holdfast::statement
