// Questions of one who audits: consistent reads, each bounded by a key and a time, that lock
// nothing.

#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

#include "server/statement/build.h"

namespace holdfast::statement {

// The sums of usage_stats, in the order of its columns.
inline constexpr std::array<absl::string_view, 12> kUsageSums = {
    "requests",
    "input_tokens",
    "output_tokens",
    "cache_create_tokens",
    "cache_read_tokens",
    "ephemeral_5m_tokens",
    "ephemeral_1h_tokens",
    "long_context_requests",
    "long_context_input_tokens",
    "long_context_output_tokens",
    "cost_micros",
    "real_cost_micros",
};

// Every row of holdfast_lanes: writer_id, lane, and LaneRow's columns from the third on.
Call ListAllLanes();

// The first api_key_id after `after`, in usage_records and in usage_stats: two columns, NULL if
// there is none.
Call NextUsageKey(absl::string_view after);

// From `hour` on, the first occurred_at and the first stat_hour of a key: two columns, NULL if
// there is none. `hour` is as stat_hour has it; `offset` is STATS_UTC_OFFSET.
Call NextUsageTime(absl::string_view api_key_id, absl::Time hour, absl::Duration offset);

// Both sides of the balance of a key within hours [begin, end), seen at one moment: a row for each
// account, model and hour, at most `rows_max`.
Call CompareUsage(absl::string_view api_key_id, absl::Time begin, absl::Time end,
                  absl::Duration offset, uint64_t rows_max);

struct UsageComparison {
  std::string account_id;
  std::string model;
  std::string hour;  // As text, as stat_hour has it.
  bool has_records = false;
  bool has_stats = false;
  std::array<std::string, kUsageSums.size()> records;  // Sums over usage_records, as decimal text.
  std::array<std::string, kUsageSums.size()> stats;
  uint64_t record_count = 0;

  bool is_balanced() const { return records == stats && has_records == has_stats; }
};
absl::StatusOr<UsageComparison> ReadComparison(const mysql::ResultRow& answer);

// Of the messages after `after`, `rows_max` at most: how many, and the last one's id (NULL: none).
Call CountMessages(absl::string_view after, uint64_t rows_max);

// The rows of holdfast_quarantine and the sum of their attempts.
Call CountQuarantine();

}  // namespace holdfast::statement
