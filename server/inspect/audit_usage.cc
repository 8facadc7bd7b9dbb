// usage_stats against the sums of usage_records, key by key.

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"

#include "server/inspect/auditor.h"
#include "server/statement/audit.h"

namespace holdfast::inspect {
namespace {

using statement::UsageComparison;

// Of a key, so much time at once, if its rows are not too many.
constexpr absl::Duration kWindow = absl::Hours(31 * 24);
constexpr absl::Duration kHour = absl::Hours(1);
constexpr uint64_t kRowsMax = 20'000;

// What a DATETIME can say.
const absl::Time kFirstMoment = absl::FromUnixSeconds(-62135596800);  // 0001-01-01 00:00:00
const absl::Time kLastMoment = absl::FromUnixSeconds(253402300799);   // 9999-12-31 23:59:59

absl::Time FloorHour(absl::Time time, absl::Duration offset) {
  const absl::Time there = time + offset;
  return absl::UnixEpoch() + absl::Floor(there - absl::UnixEpoch(), kHour);
}

std::string PlaceOf(const std::string& key, const UsageComparison& row) {
  return absl::StrCat("usage_stats: api_key_id ", key, ", account_id ", row.account_id, ", model ",
                      row.model, ", stat_hour ", row.hour);
}

bool IsSameRow(const UsageComparison& a, const UsageComparison& b) {
  return a.account_id == b.account_id && a.model == b.model && a.hour == b.hour;
}

}  // namespace

absl::Status Auditor::CheckUsage() {
  Check& check = Begin("usage_stats",
                       "each counter of a key, account, model and hour against the sum of its rows "
                       "in usage_records, seen at one moment");
  std::string key;
  while (true) {
    HOLDFAST_ASSIGN_OR_RETURN(const Answer next, Ask(statement::NextUsageKey(key)));
    if (next.size() != 1 || next[0].size() != 2) return absl::InternalError("no next key");
    const std::optional<std::string>& in_records = next[0][0];
    const std::optional<std::string>& in_stats = next[0][1];
    if (!in_records.has_value() && !in_stats.has_value()) return absl::OkStatus();
    key = !in_stats.has_value()     ? *in_records
          : !in_records.has_value() ? *in_stats
                                    : std::min(*in_records, *in_stats);
    HOLDFAST_RETURN_IF_ERROR(CheckKey(key));
    if (!report_.incomplete.empty()) {
      check.note = "not all of it: see incomplete";
      return absl::OkStatus();
    }
  }
}

absl::Status Auditor::CheckKey(const std::string& key) {
  const absl::Duration offset = options_.stats_utc_offset;
  absl::Time hour = FloorHour(options_.since.value_or(kFirstMoment), offset);
  while (true) {
    if (IsLate()) {
      report_.incomplete = absl::StrCat("its time was over at api_key_id ", key,
                                        "; give it more, or a later --since");
      return absl::OkStatus();
    }
    HOLDFAST_ASSIGN_OR_RETURN(const Answer next, Ask(statement::NextUsageTime(key, hour, offset)));
    std::optional<absl::Time> first;
    if (next[0][0].has_value()) {
      HOLDFAST_ASSIGN_OR_RETURN(const absl::Time occurred_at, statement::ReadTime(next[0], 0));
      first = FloorHour(occurred_at, offset);
    }
    if (next[0][1].has_value()) {
      HOLDFAST_ASSIGN_OR_RETURN(const absl::Time stat_hour, statement::ReadTime(next[0], 1));
      first = first.has_value() ? std::min(*first, stat_hour) : stat_hour;
    }
    if (!first.has_value()) return absl::OkStatus();
    absl::Time end = std::min(*first + kWindow, kLastMoment);
    HOLDFAST_RETURN_IF_ERROR(CheckWindow(key, *first, &end));
    if (end >= kLastMoment) return absl::OkStatus();
    hour = end;
  }
}

// Compares [begin, *end); with too many rows less of it, and sets *end.
absl::Status Auditor::CheckWindow(const std::string& key, absl::Time begin, absl::Time* end) {
  Answer answer;
  while (true) {
    HOLDFAST_ASSIGN_OR_RETURN(answer, Ask(statement::CompareUsage(
                                          key, begin, *end, options_.stats_utc_offset, kRowsMax)));
    if (answer.size() < kRowsMax || *end - begin <= kHour) break;
    *end = begin + std::max(kHour, absl::Floor((*end - begin) / 2, kHour));
  }
  bool differs = false;
  for (const mysql::ResultRow& row : answer) {
    HOLDFAST_ASSIGN_OR_RETURN(const UsageComparison comparison, statement::ReadComparison(row));
    ++report_.checks.back().compared;
    usage_rows_ += comparison.record_count;
    differs |= !comparison.is_balanced();
  }
  return differs ? LookAgain(key, begin, *end) : absl::OkStatus();
}

absl::Status Auditor::LookAgain(const std::string& key, absl::Time begin, absl::Time end) {
  std::vector<UsageComparison> suspects;
  bool is_first = true;
  for (const absl::Duration wait : {absl::ZeroDuration(), options_.look_again_after}) {
    clock_.Sleep(wait);
    HOLDFAST_ASSIGN_OR_RETURN(
        const Answer answer,
        Ask(statement::CompareUsage(key, begin, end, options_.stats_utc_offset, kRowsMax)));
    std::vector<UsageComparison> found;
    for (const mysql::ResultRow& row : answer) {
      HOLDFAST_ASSIGN_OR_RETURN(UsageComparison comparison, statement::ReadComparison(row));
      const bool suspected =
          is_first || std::any_of(suspects.begin(), suspects.end(),
                                  [&](const auto& one) { return IsSameRow(one, comparison); });
      if (!comparison.is_balanced() && suspected) found.push_back(std::move(comparison));
    }
    if (!is_first) report_.checks.back().in_flight += suspects.size() - found.size();
    is_first = false;
    suspects = std::move(found);
  }
  for (const UsageComparison& one : suspects) {
    const std::string place = PlaceOf(key, one);
    if (!one.has_stats) Differ(place, "row", "1", "0");
    for (size_t i = 0; i < statement::kUsageSums.size(); ++i) {
      if (one.records[i] == one.stats[i]) continue;
      Differ(place, std::string(statement::kUsageSums[i]), one.records[i], one.stats[i]);
    }
    if (!one.has_records && one.records == one.stats)
      Differ(place, "row without a record", "0", "1");
  }
  return absl::OkStatus();
}

}  // namespace holdfast::inspect
