#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "client/cli/line_format.h"
#include "client/traffic/generator.h"

#include "nlohmann/json.hpp"

namespace holdfast::traffic {
namespace {

constexpr int64_t kDayMs = 1'768'435'200'000;  // 2026-01-15.

GeneratorOptions Options() {
  GeneratorOptions options;
  options.seed = 7;
  options.events = 5'000;
  options.poison = 25;
  options.duplicates_percent = 8;
  options.day_begin_ms = kDayMs;
  return options;
}

std::string Print(Generator& generator) {
  std::string text;
  while (generator.Next(&text)) continue;
  return text;
}

std::vector<v1::Event> Events(const std::string& text) {
  std::vector<v1::Event> events;
  for (const absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    auto event = client::ParseHoldfastLine(line);
    EXPECT_TRUE(event.ok()) << line << event.status();
    if (event.ok()) events.push_back(*std::move(event));
  }
  return events;
}

// What a database would hold, found out from the lines alone.
struct Outcome {
  std::map<std::string, std::string> usage, hits, message;  // By id: the content.
  std::set<std::tuple<std::string, std::string, std::string, int64_t>> stats;
  std::map<std::tuple<std::string, int, std::string, int64_t>, int64_t> counts;
  int64_t cost = 0;
  int refused = 0, duplicates = 0, conflicts = 0;

  // Whether the id is new.
  bool Keep(std::map<std::string, std::string>& table, const std::string& id,
            const v1::Event& event) {
    const auto [place, is_new] = table.emplace(id, event.SerializeAsString());
    if (is_new) return true;
    ++(place->second == event.SerializeAsString() ? duplicates : conflicts);
    return false;
  }

  void Take(const v1::Event& event) {
    const int64_t second = event.occurred_at().seconds();
    if (event.has_usage()) {
      const v1::UsageEvent& usage_event = event.usage();
      if (usage_event.api_key_id().empty() || usage_event.input_tokens() < 0) {
        ++refused;
      } else if (Keep(usage, usage_event.event_id(), event)) {
        cost += usage_event.cost_micros();
        stats.emplace(usage_event.api_key_id(), usage_event.account_id(), usage_event.model(),
                      second / 3600);
      }
    } else if (event.has_message()) {
      if (event.message().ig_message_id().empty()) {
        ++refused;
      } else {
        Keep(message, event.message().ig_message_id(), event);
      }
    } else if (event.has_rate_limit() && event.rate_limit().window_type() <= 4) {
      const v1::RateLimitEvent& record = event.rate_limit();
      constexpr int64_t kSeconds[] = {0, 1, 60, 3600, 86400};
      int64_t& count = counts[{record.identifier(), record.window_type(), record.route_path(),
                               second - second % kSeconds[record.window_type()]}];
      if (record.count_case() == v1::RateLimitEvent::kObserved) {
        count = std::max<int64_t>(count, record.observed());
      } else if (Keep(hits, record.event_id(), event)) {
        count += record.hits();
      }
    } else {
      ++refused;
    }
  }
};

TEST(TrafficTest, OneSeedIsOneDay) {
  Generator first(Options());
  Generator second(Options());
  GeneratorOptions other_options = Options();
  other_options.seed = 8;
  Generator other(other_options);
  const std::string text = Print(first);
  EXPECT_EQ(text, Print(second));
  EXPECT_NE(text, Print(other));
}

TEST(TrafficTest, TheAnswerKeyIsWhatTheLinesAddUpTo) {
  Generator generator(Options());
  const std::vector<v1::Event> events = Events(Print(generator));
  ASSERT_EQ(events.size(), Options().events);
  Outcome outcome;
  for (const v1::Event& event : events) outcome.Take(event);
  int64_t requests = 0;
  for (const auto& [row, count] : outcome.counts) requests += count;

  const auto key = nlohmann::json::parse(generator.ledger().ToJson());
  EXPECT_EQ(key["lines"]["all"], events.size());
  EXPECT_EQ(key["lines"]["refused"], outcome.refused);
  EXPECT_EQ(key["lines"]["duplicates"], outcome.duplicates);
  EXPECT_EQ(key["lines"]["conflicts"], outcome.conflicts);
  EXPECT_EQ(outcome.refused + outcome.conflicts, 25);
  EXPECT_GT(outcome.conflicts, 5);
  EXPECT_GT(outcome.duplicates, 250);
  EXPECT_EQ(key["holdfast_quarantine"]["rows"], outcome.conflicts);
  EXPECT_EQ(key["usage_records"]["rows"], outcome.usage.size());
  EXPECT_EQ(key["usage_records"]["cost_micros"], outcome.cost);
  EXPECT_EQ(key["usage_stats"]["rows"], outcome.stats.size());
  EXPECT_EQ(key["usage_stats"]["requests"], outcome.usage.size());
  EXPECT_EQ(key["message"]["rows"], outcome.message.size());
  EXPECT_EQ(key["holdfast_rate_limit_hits"]["rows"], outcome.hits.size());
  EXPECT_EQ(key["rate_limit_records"]["rows"], outcome.counts.size());
  EXPECT_EQ(key["rate_limit_records"]["request_count"], requests);
}

TEST(TrafficTest, TimesAreOfTheDayAndGoForward) {
  GeneratorOptions options = Options();
  options.duplicates_percent = 0;
  options.poison = 0;
  Generator generator(options);
  int64_t last = kDayMs;
  for (const v1::Event& event : Events(Print(generator))) {
    const int64_t at =
        event.occurred_at().seconds() * 1000 + event.occurred_at().nanos() / 1'000'000;
    EXPECT_GE(at, last);
    EXPECT_LT(at, kDayMs + Day::kMillis);
    last = at;
  }
}

TEST(TrafficTest, ItIsBurstyAndAFewKeysDoMost) {
  GeneratorOptions options = Options();
  options.poison = 0;
  Generator generator(options);
  std::map<int64_t, int> minutes;
  std::map<std::string, int> keys;
  int usage = 0;
  for (const v1::Event& event : Events(Print(generator))) {
    ++minutes[event.occurred_at().seconds() / 60];
    if (!event.has_usage()) continue;
    ++usage;
    ++keys[event.usage().api_key_id()];
  }
  int most = 0;
  for (const auto& [minute, count] : minutes) most = std::max(most, count);
  EXPECT_GT(most, 5 * 5'000 / 1440);
  EXPECT_GT(keys["key-0"] * 20, usage);
  EXPECT_GT(keys.size(), 200U);
}

TEST(TrafficTest, WithoutIdsNoHitsAreRepeated) {
  GeneratorOptions options = Options();
  options.hits_have_ids = false;
  options.poison = 0;
  Generator generator(options);
  uint64_t hits = 0;
  for (const v1::Event& event : Events(Print(generator))) {
    if (event.rate_limit().count_case() != v1::RateLimitEvent::kHits) continue;
    ++hits;
    EXPECT_TRUE(event.rate_limit().event_id().empty());
  }
  const auto key = nlohmann::json::parse(generator.ledger().ToJson());
  EXPECT_EQ(key["lines"]["hits"], hits);
  EXPECT_EQ(key["holdfast_rate_limit_hits"]["rows"], 0);
}

}  // namespace
}  // namespace holdfast::traffic
