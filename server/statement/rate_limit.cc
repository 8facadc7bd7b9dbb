#include "server/statement/rate_limit.h"

#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <tuple>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "server/event/event_id.h"
#include "server/event/window.h"

namespace holdfast::statement {
namespace {

using mysql::ColumnType;

constexpr absl::string_view kRecordsTable = "rate_limit_records";
constexpr absl::string_view kHitsTable = "holdfast_rate_limit_hits";
constexpr absl::string_view kApiKeyPrefix = "api_key:";
constexpr absl::string_view kHashedPrefix = "api_key:sha256:";

constexpr std::array kHitsColumns = {
    Column{"event_id", ColumnType::kBinary},
    Column{"content_hash", ColumnType::kUint64},
    Column{"batch_tag", ColumnType::kUint64},
    Column{"occurred_at", ColumnType::kTime},
};

constexpr std::array kRecordColumns = {
    Column{"identifier", ColumnType::kText},   Column{"window_type", ColumnType::kText},
    Column{"route_path", ColumnType::kText},   Column{"request_count", ColumnType::kInt64},
    Column{"window_start", ColumnType::kTime}, Column{"window_end", ColumnType::kTime},
};

const mysql::Statement* InsertHits() {
  static const mysql::Statement* const statement =
      Upsert(kHitsTable, kHitsColumns, {KeepRow("event_id")});
  return statement;
}

const mysql::Statement* AddHits() {
  static const mysql::Statement* const statement =
      Upsert(kRecordsTable, kRecordColumns, {AddTo("request_count"), KeepGreatest("window_end")});
  return statement;
}

const mysql::Statement* KeepObserved() {
  static const mysql::Statement* const statement = Upsert(
      kRecordsTable, kRecordColumns, {KeepGreatest("request_count"), KeepGreatest("window_end")});
  return statement;
}

// A row of rate_limit_records. The views point into the events or into constants.
struct RecordKey {
  absl::string_view identifier;
  absl::string_view window_type;
  absl::string_view route_path;
  absl::Time window_start;

  auto tie() const { return std::tie(identifier, window_type, route_path, window_start); }
  bool operator==(const RecordKey& other) const { return tie() == other.tie(); }
  bool operator<(const RecordKey& other) const { return tie() < other.tie(); }
  template <typename H>
  friend H AbslHashValue(H state, const RecordKey& key) {
    return H::combine(std::move(state), key.identifier, key.window_type, key.route_path,
                      key.window_start);
  }
};

struct Record {
  RecordKey key;
  int64_t count = 0;
  absl::Time window_end;
};

// The rows of one of the two statements, each key once.
class Records {
 public:
  // The record of `event`; its count is 0 if it is new.
  Record& At(const event::EventView& event, absl::string_view identifier) {
    const event::RateLimitView& rate = event.rate_limit();
    const absl::Time end = event::WindowEnd(event);
    const RecordKey key = {identifier, event::WindowTypeName(rate.window_type), rate.route_path,
                           event::WindowStart(event)};
    const auto [found, is_new] = index_.try_emplace(key, static_cast<uint32_t>(records_.size()));
    if (is_new) records_.push_back({key, 0, end});
    Record& record = records_[found->second];
    record.window_end = std::max(record.window_end, end);
    return record;
  }

  void AppendTo(std::vector<Call>& calls, const mysql::Statement* statement) {
    if (records_.empty()) return;
    std::sort(records_.begin(), records_.end(),
              [](const Record& a, const Record& b) { return a.key < b.key; });
    Call call;
    call.statement = statement;
    call.rows.columns = kRecordColumns.size();
    call.rows.values.reserve(records_.size() * kRecordColumns.size());
    for (const Record& record : records_) {
      std::vector<mysql::Value>& values = call.rows.values;
      values.emplace_back(record.key.identifier);
      values.emplace_back(record.key.window_type);
      values.emplace_back(record.key.route_path);
      values.emplace_back(record.count);
      values.emplace_back(record.key.window_start);
      values.emplace_back(record.window_end);
    }
    calls.push_back(std::move(call));
  }

 private:
  std::vector<Record> records_;
  absl::flat_hash_map<RecordKey, uint32_t> index_;
};

}  // namespace

RateLimitBatch::RateLimitBatch(absl::Span<const event::Accepted> events,
                               const BatchOptions& options)
    : IdBatch(events, options.tag,
              [&]() -> const LookUpLadder& {
                static const auto* const ladder = new LookUpLadder(MakeLookUps(kHitsTable));
                return *ladder;
              }()),
      hash_api_keys_(options.hash_api_keys) {
  for (uint32_t i = 0; i < events.size(); ++i) {
    const event::EventView& event = Read(events[i]);
    if (event.rate_limit().event_id.empty()) continue;
    Add(i, event::EventKey(event.rate_limit().event_id), event::ContentHash(event));
  }
  Fold();
  MakeRows();
}

void RateLimitBatch::MakeRows() {
  raw_.statement = InsertHits();
  raw_.rows.columns = kHitsColumns.size();
  raw_.rows.values.reserve(rows().size() * kHitsColumns.size());
  for (size_t row = 0; row < rows().size(); ++row) {
    const event::EventView& event = Read(events_[EventOfRow(row)]);
    std::vector<mysql::Value>& values = raw_.rows.values;
    values.emplace_back(rows()[row].id.view());
    values.emplace_back(uint64_t{rows()[row].content_hash});
    values.emplace_back(tag());
    values.emplace_back(event::OccurredAt(event));
  }
}

std::vector<Call> RateLimitBatch::Counters() {
  Records hits;
  Records observed;
  absl::flat_hash_map<absl::string_view, absl::string_view> stored;
  for (size_t i = 0; i < events_.size(); ++i) {
    if (fates_[i] != Fate::kNew) continue;
    const event::EventView& event = Read(events_[i]);
    const event::RateLimitView& rate = event.rate_limit();
    absl::string_view identifier = rate.identifier;
    if (hash_api_keys_ && absl::StartsWith(identifier, kApiKeyPrefix)) {
      const auto [found, is_new] = stored.try_emplace(identifier);
      if (is_new) found->second = Stored(rate.identifier);
      identifier = found->second;
    }
    if (rate.count_case == v1::RateLimitEvent::kObserved) {
      Record& record = observed.At(event, identifier);
      record.count = std::max(record.count, rate.count);
    } else {
      // Cannot overflow: at most 10^9 for each event.
      hits.At(event, identifier).count += rate.count;
    }
  }
  std::vector<Call> calls;
  hits.AppendTo(calls, AddHits());
  observed.AppendTo(calls, KeepObserved());
  return calls;
}

absl::string_view RateLimitBatch::Stored(absl::string_view identifier) {
  // One that was hashed before stays as it is.
  if (absl::StartsWith(identifier, kHashedPrefix)) return identifier;
  const absl::string_view key = identifier.substr(kApiKeyPrefix.size());
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256(reinterpret_cast<const unsigned char*>(key.data()), key.size(), digest.data());
  hashed_.push_back(absl::StrCat(
      kHashedPrefix, absl::BytesToHexString(absl::string_view(
                         reinterpret_cast<const char*>(digest.data()), digest.size()))));
  return hashed_.back();
}

}  // namespace holdfast::statement
