#include "server/metrics/metrics.h"

#include <map>
#include <set>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "server/event/kind.h"

namespace holdfast::metrics {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// The value of the series written as `series`, or NaN.
double Value(const std::string& text, absl::string_view series) {
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    double value = 0;
    if (absl::ConsumePrefix(&line, absl::StrCat(series, " ")) && absl::SimpleAtod(line, &value)) {
      return value;
    }
  }
  return std::numeric_limits<double>::quiet_NaN();
}

TEST(MetricsTest, EverySeriesWithFixedLabelsExistsFromTheStartAtZero) {
  const std::string text = Metrics("1.2.3").Scrape();
  for (const char* series : {"holdfast_events_accepted_total{kind=\"usage\"}",
                             "holdfast_events_committed_total{kind=\"message\"}",
                             "holdfast_events_duplicate_total{kind=\"rate_limit\"}",
                             "holdfast_events_quarantined_total{kind=\"usage\"}",
                             "holdfast_events_resent_total",
                             "holdfast_events_pending{kind=\"usage\"}",
                             "holdfast_oldest_pending_event_age_seconds{kind=\"message\"}",
                             "holdfast_events_refused_total{kind=\"unknown\",reason=\"malformed\"}",
                             "holdfast_events_refused_total{kind=\"usage\",reason=\"too_long\"}",
                             "holdfast_memory_batches_bytes",
                             "holdfast_journal_sync_seconds_count",
                             "holdfast_journal_used_bytes",
                             "holdfast_journal_limit_bytes",
                             "holdfast_journal_full",
                             "holdfast_journal_poisoned",
                             "holdfast_journal_failure_timestamp_seconds",
                             "holdfast_journal_corruptions_total",
                             "holdfast_batch_rows_count{kind=\"usage\"}",
                             "holdfast_batch_seconds_sum{kind=\"message\"}",
                             "holdfast_commits_unknown_total",
                             "holdfast_lane_reseats_total",
                             "holdfast_retries_total{errno=\"1213\"}",
                             "holdfast_retries_total{errno=\"1205\"}",
                             "holdfast_deadlocks_total{table=\"usage_stats\"}",
                             "holdfast_deadlocks_total{table=\"holdfast_rate_limit_hits\"}",
                             "holdfast_slow_statements_total{table=\"message\"}",
                             "holdfast_pool_connections{state=\"in_use\"}",
                             "holdfast_pool_connections{state=\"idle\"}",
                             "holdfast_pool_timeouts_total",
                             "holdfast_breaker_state",
                             "holdfast_streams",
                             "holdfast_acks_total",
                             "holdfast_stream_stalls_total",
                             "holdfast_draining"}) {
    EXPECT_EQ(Value(text, series), 0) << series;
  }
  EXPECT_EQ(Value(text, "holdfast_build_info{version=\"1.2.3\"}"), 1);
}

TEST(MetricsTest, KindsAreThoseOfTheEvents) {
  Metrics metrics("0");
  for (const event::Kind kind : event::kKinds) {
    const auto index = static_cast<size_t>(kind);
    metrics.events_accepted[index]->Increment(static_cast<double>(index) + 1);
    EXPECT_EQ(Value(metrics.Scrape(), absl::StrCat("holdfast_events_accepted_total{kind=\"",
                                                   event::KindName(kind), "\"}")),
              static_cast<double>(index) + 1);
  }
}

TEST(MetricsTest, EveryNameHasHelpThatSaysWhatIsWorrying) {
  const std::string text = Metrics("0").Scrape();
  std::set<std::string> helped;
  std::set<std::string> typed;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    const std::vector<std::string> words = absl::StrSplit(line, absl::MaxSplits(' ', 3));
    if (words.size() < 4 || !absl::StartsWith(words[2], "holdfast_")) continue;
    if (words[1] == "HELP") {
      EXPECT_THAT(words[3], HasSubstr("Worrying: ")) << words[2];
      helped.insert(words[2]);
    }
    if (words[1] == "TYPE") {
      typed.insert(words[2]);
      EXPECT_EQ(words[3] == "counter", absl::EndsWith(words[2], "_total")) << words[2];
      EXPECT_THAT(words[2], Not(testing::MatchesRegex(".*_(ms|ns|kb|mb|us)(_total)?"))) << words[2];
    }
  }
  EXPECT_EQ(helped, typed);
  EXPECT_GE(helped.size(), 40u);
}

TEST(MetricsTest, NoNameStandsForTwoFamilies) {
  std::map<std::string, int> families;
  for (const absl::string_view line : absl::StrSplit(Metrics("0").Scrape(), '\n')) {
    if (absl::StartsWith(line, "# TYPE ")) ++families[std::string(line)];
  }
  for (const auto& [line, count] : families) EXPECT_EQ(count, 1) << line;
}

TEST(MetricsTest, TheSameLabelsAreTheSameSeries) {
  Metrics metrics("0");
  metrics.EventsRefused("usage", "too_long").Increment();
  metrics.EventsRefused("usage", "too_long").Increment();
  metrics.Retries(2006).Increment();
  metrics.Deadlocks("message").Increment();
  metrics.StatementSeconds("usage_stats", "retry").Observe(0.2);
  metrics.SlowStatements("message").Increment();
  metrics.LaneStopped("usage-1").Set(1);
  metrics.Requests("Write", "OK").Increment();
  const std::string text = metrics.Scrape();
  EXPECT_EQ(Value(text, "holdfast_events_refused_total{kind=\"usage\",reason=\"too_long\"}"), 2);
  EXPECT_EQ(Value(text, "holdfast_retries_total{errno=\"2006\"}"), 1);
  EXPECT_EQ(Value(text, "holdfast_deadlocks_total{table=\"message\"}"), 1);
  EXPECT_EQ(Value(text, "holdfast_slow_statements_total{table=\"message\"}"), 1);
  EXPECT_EQ(Value(text, "holdfast_lane_stopped{lane=\"usage-1\"}"), 1);
  EXPECT_EQ(Value(text, "holdfast_requests_total{code=\"OK\",method=\"Write\"}"), 1);
  EXPECT_THAT(text, HasSubstr("holdfast_statement_seconds_count{outcome=\"retry\","
                              "table=\"usage_stats\"} 1"));
}

TEST(MetricsTest, SyncsAreToldApartFromFiftyMicrosecondsToFiveSeconds) {
  Metrics metrics("0");
  metrics.journal_sync_seconds->Observe(0.00004);
  metrics.journal_sync_seconds->Observe(4);
  const std::string text = metrics.Scrape();
  EXPECT_EQ(Value(text, "holdfast_journal_sync_seconds_bucket{le=\"5e-05\"}"), 1);
  EXPECT_EQ(Value(text, "holdfast_journal_sync_seconds_bucket{le=\"2.5\"}"), 1);
  EXPECT_EQ(Value(text, "holdfast_journal_sync_seconds_bucket{le=\"5\"}"), 2);
}

TEST(MetricsTest, TheProcessIsMeasuredUnderItsUsualNames) {
  const std::string text = Metrics("0").Scrape();
  EXPECT_GE(Value(text, "process_cpu_seconds_total"), 0);
  EXPECT_GT(Value(text, "process_resident_memory_bytes"), 1 << 20);
  EXPECT_GT(Value(text, "process_virtual_memory_bytes"),
            Value(text, "process_resident_memory_bytes"));
  EXPECT_GE(Value(text, "process_open_fds"), 3);
  EXPECT_LT(Value(text, "process_open_fds"), Value(text, "process_max_fds"));
  EXPECT_GT(Value(text, "process_start_time_seconds"), 1.7e9);
}

TEST(MetricsTest, ManyThreadsMayCountAndScrape) {
  constexpr int kThreads = 4;
  constexpr int kTimes = 500;
  Metrics metrics("0");
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&metrics, i] {
      for (int j = 0; j < kTimes; ++j) {
        metrics.acks->Increment();
        metrics.Retries(2000 + j % 7).Increment();
        if (i == 0 && j % 100 == 0) metrics.Scrape();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(Value(metrics.Scrape(), "holdfast_acks_total"), kThreads * kTimes);
}

}  // namespace
}  // namespace holdfast::metrics
