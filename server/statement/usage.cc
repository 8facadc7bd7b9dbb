#include "server/statement/usage.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <optional>
#include <tuple>
#include <utility>

#include "absl/container/flat_hash_map.h"

#include "server/base/seeded_bug.h"
#include "server/event/event_id.h"
#include "server/event/window.h"

namespace holdfast::statement {
namespace {

using mysql::ColumnType;

constexpr absl::string_view kRecordsTable = "usage_records";
constexpr absl::string_view kStatsTable = "usage_stats";

constexpr std::array kRecordColumns = {
    Column{"event_id", ColumnType::kBinary},
    Column{"event_id_text", ColumnType::kText},
    Column{"api_key_id", ColumnType::kText},
    Column{"account_id", ColumnType::kText},
    Column{"account_type", ColumnType::kText},
    Column{"model", ColumnType::kText},
    Column{"request_id", ColumnType::kText},
    Column{"endpoint", ColumnType::kText},
    Column{"method", ColumnType::kText},
    Column{"status_code", ColumnType::kInt64},
    Column{"stream", ColumnType::kInt64},
    Column{"duration_ms", ColumnType::kInt64},
    Column{"input_tokens", ColumnType::kInt64},
    Column{"output_tokens", ColumnType::kInt64},
    Column{"cache_create_tokens", ColumnType::kInt64},
    Column{"cache_read_tokens", ColumnType::kInt64},
    Column{"ephemeral_5m_tokens", ColumnType::kInt64},
    Column{"ephemeral_1h_tokens", ColumnType::kInt64},
    Column{"long_context", ColumnType::kInt64},
    Column{"cost_micros", ColumnType::kInt64},
    Column{"real_cost_micros", ColumnType::kInt64},
    Column{"occurred_at", ColumnType::kTime},
    Column{"content_hash", ColumnType::kUint64},
    Column{"batch_tag", ColumnType::kUint64},
};

// The key, then the sums in the order of Sums::values.
constexpr std::array kStatsColumns = {
    Column{"api_key_id", ColumnType::kText},
    Column{"account_id", ColumnType::kText},
    Column{"model", ColumnType::kText},
    Column{"stat_hour", ColumnType::kTime},
    Column{"requests", ColumnType::kInt64},
    Column{"input_tokens", ColumnType::kInt64},
    Column{"output_tokens", ColumnType::kInt64},
    Column{"cache_create_tokens", ColumnType::kInt64},
    Column{"cache_read_tokens", ColumnType::kInt64},
    Column{"ephemeral_5m_tokens", ColumnType::kInt64},
    Column{"ephemeral_1h_tokens", ColumnType::kInt64},
    Column{"long_context_requests", ColumnType::kInt64},
    Column{"long_context_input_tokens", ColumnType::kInt64},
    Column{"long_context_output_tokens", ColumnType::kInt64},
    Column{"cost_micros", ColumnType::kInt64},
    Column{"real_cost_micros", ColumnType::kInt64},
};
constexpr size_t kStatsKeyColumns = 4;
constexpr size_t kSums = kStatsColumns.size() - kStatsKeyColumns;

const mysql::Statement* InsertRecords() {
  static const mysql::Statement* const statement =
      Upsert(kRecordsTable, kRecordColumns, {KeepRow("event_id")});
  return statement;
}

const mysql::Statement* AddStats() {
  static const mysql::Statement* const statement = [] {
    std::vector<std::string> updates;
    for (size_t i = kStatsKeyColumns; i < kStatsColumns.size(); ++i) {
      updates.push_back(AddTo(kStatsColumns[i].name));
    }
    return Upsert(kStatsTable, kStatsColumns, updates);
  }();
  return statement;
}

// A row of usage_stats. The views point into the events.
struct StatsKey {
  absl::string_view api_key_id;
  absl::string_view account_id;
  absl::string_view model;
  int64_t hour;  // In hours since 1970, where the offset puts them.

  auto tie() const { return std::tie(api_key_id, account_id, model, hour); }
  bool operator==(const StatsKey& other) const { return tie() == other.tie(); }
  bool operator<(const StatsKey& other) const { return tie() < other.tie(); }
  template <typename H>
  friend H AbslHashValue(H state, const StatsKey& key) {
    return H::combine(std::move(state), key.api_key_id, key.account_id, key.model, key.hour);
  }
};

struct Sums {
  StatsKey key;
  std::array<int64_t, kSums> values{};

  // Cannot overflow: the proto bounds each value to 10^14, WriterOptions the number of events.
  void Add(const event::UsageView& usage) {
    const int64_t is_long = usage.long_context ? 1 : 0;
    size_t i = 0;
    for (const int64_t value :
         {int64_t{1}, usage.input_tokens, usage.output_tokens, usage.cache_create_tokens,
          usage.cache_read_tokens, usage.ephemeral_5m_tokens, usage.ephemeral_1h_tokens, is_long,
          is_long * usage.input_tokens, is_long * usage.output_tokens, usage.cost_micros,
          usage.real_cost_micros}) {
      values[i++] += value;
    }
  }
};

int64_t FloorHours(int64_t seconds) {
  return seconds >= 0 ? seconds / 3600 : -((-seconds + 3599) / 3600);
}

}  // namespace

UsageBatch::UsageBatch(absl::Span<const event::Accepted> events, const BatchOptions& options)
    : IdBatch(events, options.tag,
              [&]() -> const LookUpLadder& {
                static const auto* const ladder = new LookUpLadder(MakeLookUps(kRecordsTable));
                return *ladder;
              }()),
      offset_seconds_(absl::ToInt64Seconds(options.stats_utc_offset)) {
  said_.reserve(events.size());
  for (uint32_t i = 0; i < events.size(); ++i) {
    const event::EventView& event = Read(events[i]);
    const absl::string_view id = event.usage().event_id;
    const std::optional<event::Id> uuid = event::ParseUuid(id);
    said_.push_back({event.usage(), *event.occurred_at, uuid.has_value()});
    Add(i, uuid.has_value() ? *uuid : event::EventKey(id), event::ContentHash(event));
  }
  Fold();
  MakeRows();
}

void UsageBatch::MakeRows() {
  raw_.statement = InsertRecords();
  raw_.rows.columns = kRecordColumns.size();
  std::vector<mysql::Value>& values = raw_.rows.values;
  values.reserve(rows().size() * kRecordColumns.size());
  for (size_t row = 0; row < rows().size(); ++row) {
    const Said& said = said_[EventOfRow(row)];
    const event::UsageView& usage = said.usage;
    values.emplace_back(rows()[row].id.view());
    if (said.has_uuid) {
      values.emplace_back();
    } else {
      values.emplace_back(usage.event_id);
    }
    values.emplace_back(usage.api_key_id);
    values.emplace_back(usage.account_id);
    values.emplace_back(usage.account_type);
    values.emplace_back(usage.model);
    values.emplace_back(usage.request_id);
    values.emplace_back(usage.endpoint);
    values.emplace_back(usage.method);
    values.emplace_back(int64_t{usage.status_code});
    values.emplace_back(int64_t{usage.stream ? 1 : 0});
    values.emplace_back(int64_t{usage.duration_ms});
    values.emplace_back(int64_t{usage.input_tokens});
    values.emplace_back(int64_t{usage.output_tokens});
    values.emplace_back(int64_t{usage.cache_create_tokens});
    values.emplace_back(int64_t{usage.cache_read_tokens});
    values.emplace_back(int64_t{usage.ephemeral_5m_tokens});
    values.emplace_back(int64_t{usage.ephemeral_1h_tokens});
    values.emplace_back(int64_t{usage.long_context ? 1 : 0});
    values.emplace_back(int64_t{usage.cost_micros});
    values.emplace_back(int64_t{usage.real_cost_micros});
    values.emplace_back(event::TimeOf(said.occurred_at));
    values.emplace_back(uint64_t{rows()[row].content_hash});
    values.emplace_back(tag());
  }
}

std::vector<Call> UsageBatch::Counters() {
  std::vector<Sums> sums;
  absl::flat_hash_map<StatsKey, uint32_t> index;
  for (size_t i = 0; i < events_.size(); ++i) {
    if (fates_[i] != Fate::kNew && !HOLDFAST_SEEDED_BUG(kCountersFromSentRows)) continue;
    const event::UsageView& usage = said_[i].usage;
    const StatsKey key = {usage.api_key_id, usage.account_id, usage.model,
                          FloorHours(said_[i].occurred_at.seconds + offset_seconds_)};
    const auto [found, is_new] = index.try_emplace(key, static_cast<uint32_t>(sums.size()));
    if (is_new) sums.push_back({key, {}});
    sums[found->second].Add(usage);
  }
  if (sums.empty()) return {};
  // Sorted by number: the sums themselves are too large to move about.
  std::vector<uint32_t> order(sums.size());
  std::iota(order.begin(), order.end(), 0u);
  const auto by_key = [&sums](uint32_t a, uint32_t b) { return sums[a].key < sums[b].key; };
  if (!HOLDFAST_SEEDED_BUG(kUnsortedCounters)) std::sort(order.begin(), order.end(), by_key);
  Call call;
  call.statement = AddStats();
  call.rows.columns = kStatsColumns.size();
  call.rows.values.reserve(sums.size() * kStatsColumns.size());
  for (const uint32_t number : order) {
    const Sums& row = sums[number];
    std::vector<mysql::Value>& values = call.rows.values;
    values.emplace_back(row.key.api_key_id);
    values.emplace_back(row.key.account_id);
    values.emplace_back(row.key.model);
    values.emplace_back(absl::FromUnixSeconds(row.key.hour * 3600));
    for (const int64_t value : row.values) values.emplace_back(value);
  }
  std::vector<Call> calls;
  calls.push_back(std::move(call));
  return calls;
}

}  // namespace holdfast::statement
