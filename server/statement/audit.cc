#include "server/statement/audit.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

#include "server/base/status_macros.h"
#include "server/statement/quarantine_replay.h"

namespace holdfast::statement {
namespace {

using mysql::ColumnType;

// What makes sum `i` out of rows of usage_records.
std::string FromRecords(size_t i) {
  const absl::string_view sum = kUsageSums[i];
  if (sum == "requests") return "COUNT(*)";
  if (sum == "long_context_requests") return "SUM(long_context)";
  if (sum == "long_context_input_tokens") return "SUM(long_context * input_tokens)";
  if (sum == "long_context_output_tokens") return "SUM(long_context * output_tokens)";
  return absl::StrCat("SUM(", sum, ")");
}

// A moment of usage_stats as occurred_at has it, within what a DATETIME can say.
absl::Time There(absl::Time hour, absl::Duration offset) {
  static const absl::Time first = absl::FromUnixSeconds(-62135596800);  // Year 1.
  static const absl::Time last = absl::FromUnixSeconds(253402300799);   // The end of year 9999.
  return std::min(std::max(hour - offset, first), last);
}

// One statement, and so one moment: rows and counters that a transaction wrote together are seen
// together or not at all.
std::string ComparisonText() {
  std::string records;
  std::string stats;
  std::string both;
  for (size_t i = 0; i < kUsageSums.size(); ++i) {
    absl::StrAppend(&records, ", ", FromRecords(i), " AS v", i);
    absl::StrAppend(&stats, ", ", kUsageSums[i], " AS v", i);
    absl::StrAppend(&both, ", SUM(IF(side = 0, v", i, ", 0)), SUM(IF(side = 1, v", i, ", 0))");
  }
  return absl::StrCat(
      "SELECT account_id, model, stat_hour, SUM(side = 0), SUM(side = 1)", both,
      " FROM (SELECT account_id, model, CAST(DATE_FORMAT(DATE_ADD(occurred_at, INTERVAL ? SECOND), "
      "'%Y-%m-%d %H:00:00') AS DATETIME) AS stat_hour, 0 AS side",
      records,
      " FROM usage_records WHERE api_key_id = ? AND occurred_at >= ? AND occurred_at < ?"
      " GROUP BY account_id, model, stat_hour"
      " UNION ALL SELECT account_id, model, stat_hour, 1 AS side",
      stats,
      " FROM usage_stats WHERE api_key_id = ? AND stat_hour >= ? AND stat_hour < ?) AS sides"
      " GROUP BY account_id, model, stat_hour LIMIT ?");
}

}  // namespace

Call ListAllLanes() {
  static const mysql::Statement* const statement =
      Fixed("holdfast_lanes",
            "SELECT writer_id, lane, journal_id, epoch, position, committed, duplicate, "
            "quarantined, adjusted FROM holdfast_lanes",
            {});
  return OneRow(statement, {});
}

Call NextUsageKey(absl::string_view after) {
  static const mysql::Statement* const statement =
      Fixed("usage_records",
            "SELECT (SELECT MIN(api_key_id) FROM usage_records WHERE api_key_id > ?), "
            "(SELECT MIN(api_key_id) FROM usage_stats WHERE api_key_id > ?)",
            {ColumnType::kText, ColumnType::kText});
  return OneRow(statement, {after, after});
}

Call NextUsageTime(absl::string_view api_key_id, absl::Time hour, absl::Duration offset) {
  static const mysql::Statement* const statement =
      Fixed("usage_records",
            "SELECT (SELECT MIN(occurred_at) FROM usage_records WHERE api_key_id = ? AND "
            "occurred_at >= ?), (SELECT MIN(stat_hour) FROM usage_stats WHERE api_key_id = ? AND "
            "stat_hour >= ?)",
            {ColumnType::kText, ColumnType::kTime, ColumnType::kText, ColumnType::kTime});
  return OneRow(statement,
                {api_key_id, There(hour, offset), api_key_id, There(hour, absl::ZeroDuration())});
}

Call CompareUsage(absl::string_view api_key_id, absl::Time begin, absl::Time end,
                  absl::Duration offset, uint64_t rows_max) {
  static const mysql::Statement* const statement =
      Fixed("usage_records", ComparisonText(),
            {ColumnType::kInt64, ColumnType::kText, ColumnType::kTime, ColumnType::kTime,
             ColumnType::kText, ColumnType::kTime, ColumnType::kTime, ColumnType::kUint64});
  return OneRow(statement, {absl::ToInt64Seconds(offset), api_key_id, There(begin, offset),
                            There(end, offset), api_key_id, begin, end, rows_max});
}

absl::StatusOr<UsageComparison> ReadComparison(const mysql::ResultRow& answer) {
  UsageComparison comparison;
  HOLDFAST_ASSIGN_OR_RETURN(comparison.account_id, ReadText(answer, 0));
  HOLDFAST_ASSIGN_OR_RETURN(comparison.model, ReadText(answer, 1));
  HOLDFAST_ASSIGN_OR_RETURN(comparison.hour, ReadText(answer, 2));
  HOLDFAST_ASSIGN_OR_RETURN(const uint64_t records, ReadUnsigned(answer, 3));
  HOLDFAST_ASSIGN_OR_RETURN(const uint64_t stats, ReadUnsigned(answer, 4));
  comparison.has_records = records > 0;
  comparison.has_stats = stats > 0;
  for (size_t i = 0; i < kUsageSums.size(); ++i) {
    HOLDFAST_ASSIGN_OR_RETURN(comparison.records[i], ReadText(answer, 5 + 2 * i));
    HOLDFAST_ASSIGN_OR_RETURN(comparison.stats[i], ReadText(answer, 6 + 2 * i));
  }
  HOLDFAST_ASSIGN_OR_RETURN(comparison.record_count, ReadUnsigned(answer, 5));
  return comparison;
}

Call CountMessages(absl::string_view after, uint64_t rows_max) {
  static const mysql::Statement* const statement =
      Fixed("message",
            "SELECT COUNT(*), MAX(ig_message_id) FROM (SELECT ig_message_id FROM message WHERE "
            "ig_message_id > ? ORDER BY ig_message_id LIMIT ?) AS page",
            {ColumnType::kText, ColumnType::kUint64});
  return OneRow(statement, {after, rows_max});
}

Call CountQuarantine() {
  static const mysql::Statement* const statement =
      Fixed("holdfast_quarantine",
            "SELECT COUNT(CASE WHEN outcome NOT IN (?, ?) THEN 1 END), COALESCE(SUM(attempts), 0) "
            "FROM holdfast_quarantine",
            {ColumnType::kBinary, ColumnType::kBinary});
  return OneRow(statement, {kReplayedCommitted, kReplayedDuplicate});
}

}  // namespace holdfast::statement
