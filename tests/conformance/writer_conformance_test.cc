// The writer's promises, on the fake and on a real server.

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "server/base/clock.h"
#include "server/event/event_id.h"
#include "server/metrics/metrics.h"
#include "server/mysql/errors.h"
#include "server/writer/housekeeping.h"
#include "server/writer/lane_writer.h"
#include "server/writer/quarantine_list.h"
#include "server/writer/replay.h"
#include "tests/conformance/backend.h"
#include "tests/support/accepted_events.h"
#include "tests/support/status_matchers.h"

namespace holdfast::writer {
namespace {

using flow::Verdict;
using test::Interceptor;
using test::UsageOf;
using test::UuidOf;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr event::Lane kUsageLane = event::MakeLane(event::Kind::kUsage, 0);
constexpr event::Lane kRateLane = event::MakeLane(event::Kind::kRateLimit, 0);
constexpr event::Lane kMessageLane = event::MakeLane(event::Kind::kMessage, 0);

class WriterConformanceTest : public ::testing::TestWithParam<const char*> {
 protected:
  static WriterOptions Options() {
    WriterOptions options;
    options.writer_id = "writer-1";
    options.journal_id = event::EventKey("journal-1");
    return options;
  }
  std::unique_ptr<LaneWriter> OpenWriter(event::Lane lane) {
    auto writer = std::make_unique<LaneWriter>(Options(), lane, UINT64_MAX, sessions_,
                                               base::SystemClock(), metrics_);
    EXPECT_OK(writer->Open());
    return writer;
  }
  // A rejection is settled within one call; so is what is left of the batch, within a few.
  std::vector<Rejection> WriteAll(LaneWriter& writer) {
    std::vector<Rejection> rejections;
    for (int i = 0; i < 200; ++i) {
      const auto rest = events_.After(writer.seat().position);
      if (rest.empty()) return rejections;
      absl::StatusOr<Written> written = writer.Write(rest);
      EXPECT_OK(written);
      if (!written.ok()) break;
      for (Rejection& one : written->rejections) rejections.push_back(std::move(one));
    }
    ADD_FAILURE() << "the lane does not come to an end";
    return rejections;
  }
  void AddUsage(uint64_t first, uint64_t last) {
    for (uint64_t id = first; id <= last; ++id) events_.Add(UsageOf(UuidOf(id)));
  }
  std::vector<std::string> Column(absl::string_view table, const std::string& column,
                                  absl::string_view order_by) {
    std::vector<std::string> values;
    for (const auto& row : backend_->Read(table, {column}, order_by)) {
      values.push_back(row[0].value_or("NULL"));
    }
    return values;
  }
  std::vector<std::string> Requests() { return Column("usage_stats", "requests", "api_key_id"); }
  void ExpectBooksLike(const Seat& seat) {
    const auto rows = backend_->Read(
        "holdfast_lanes",
        {"epoch", "position", "committed", "duplicate", "quarantined", "adjusted"}, "lane");
    ASSERT_THAT(rows, SizeIs(1));
    EXPECT_THAT(rows[0], ElementsAre(absl::StrCat(seat.epoch), absl::StrCat(seat.position),
                                     absl::StrCat(seat.committed), absl::StrCat(seat.duplicate),
                                     absl::StrCat(seat.quarantined), absl::StrCat(seat.adjusted)));
    EXPECT_EQ(
        static_cast<int64_t>(seat.position),
        static_cast<int64_t>(seat.committed + seat.duplicate + seat.quarantined) + seat.adjusted);
  }

  const std::unique_ptr<test::Backend> backend_ = test::Backend::Make(GetParam());
  Interceptor sessions_{backend_->sessions()};
  metrics::Metrics metrics_{"test"};
  test::AcceptedEvents events_;
};

// One event in quarantine, whose cause is mended.
class ReplayConformanceTest : public WriterConformanceTest {
 protected:
  std::unique_ptr<LaneWriter> WriterWithOneInQuarantine() {
    backend_->Shorten("usage_records", "model", 20);
    AddUsage(1, 3);
    v1::Event poison = UsageOf(UuidOf(4));
    poison.mutable_usage()->set_model("a model with a name that is too long");
    events_.Add(poison);
    auto writer = OpenWriter(kUsageLane);
    EXPECT_THAT(WriteAll(*writer), SizeIs(1));
    backend_->Shorten("usage_records", "model", 128);
    return writer;
  }
  absl::StatusOr<Settled> Replay() {
    SettleRequest request;
    request.quarantine_id = 1;
    request.by = "somebody";
    request.deadline = base::SystemClock().Steady() + absl::Seconds(60);
    return ReplayQuarantined(Options(), sessions_, base::SystemClock(), request);
  }
  void ExpectReplayedOnce() {
    EXPECT_THAT(Column("usage_records", "event_id", "event_id"), SizeIs(4));
    EXPECT_THAT(Column("usage_stats", "requests", "requests"), ElementsAre("1", "3"));
    EXPECT_THAT(Column("holdfast_quarantine", "outcome", "quarantine_id"),
                ElementsAre("committed"));
    EXPECT_THAT(Column("holdfast_lanes", "committed", "lane"), ElementsAre("4"));
    EXPECT_THAT(Column("holdfast_lanes", "quarantined", "lane"), ElementsAre("0"));
  }
};

TEST_P(ReplayConformanceTest, AReplayedEventCountsOnceAndTheLaneGoesOn) {
  const auto writer = WriterWithOneInQuarantine();
  auto settled = Replay();
  ASSERT_OK(settled);
  EXPECT_EQ(settled->kind, Settled::Kind::kCommitted);
  ExpectReplayedOnce();
  settled = Replay();
  ASSERT_OK(settled);
  EXPECT_EQ(settled->kind, Settled::Kind::kSettledBefore);
  ExpectReplayedOnce();
  AddUsage(5, 6);
  WriteAll(*writer);
  ExpectBooksLike(writer->seat());
  EXPECT_EQ(writer->seat().committed, 6u);
}

TEST_P(ReplayConformanceTest, AReplayWhoseCommitWasNeverSentIsDoneByTheNextAttempt) {
  const auto writer = WriterWithOneInQuarantine();
  sessions_.LoseCommit(Interceptor::CommitLoss::kBefore);
  const auto settled = Replay();
  ASSERT_OK(settled);
  EXPECT_EQ(settled->kind, Settled::Kind::kCommitted);
  ExpectReplayedOnce();
  ASSERT_OK(writer->Look());
  ExpectBooksLike(writer->seat());
}

TEST_P(ReplayConformanceTest, AReplayWhoseCommitHappenedUnheardCountsOnce) {
  const auto writer = WriterWithOneInQuarantine();
  sessions_.LoseCommit(Interceptor::CommitLoss::kAfter);
  const auto settled = Replay();
  ASSERT_OK(settled);
  EXPECT_EQ(settled->kind, Settled::Kind::kCommitted);
  ExpectReplayedOnce();
  ASSERT_OK(writer->Look());
  ExpectBooksLike(writer->seat());
}

TEST_P(ReplayConformanceTest, AnEventThatIsRefusedAgainLeavesNothingBehind) {
  const auto writer = WriterWithOneInQuarantine();
  backend_->Shorten("usage_stats", "model", 20);
  const auto settled = Replay();
  ASSERT_OK(settled);
  EXPECT_EQ(settled->kind, Settled::Kind::kRefusedAgain);
  EXPECT_EQ(settled->rejection.error_number, 1406u);
  EXPECT_THAT(Column("usage_records", "event_id", "event_id"), SizeIs(3));
  EXPECT_THAT(Column("holdfast_quarantine", "attempts", "quarantine_id"), ElementsAre("2"));
  EXPECT_THAT(Column("holdfast_lanes", "quarantined", "lane"), ElementsAre("1"));
}

INSTANTIATE_TEST_SUITE_P(On, ReplayConformanceTest, ::testing::Values("fake", "real"));

INSTANTIATE_TEST_SUITE_P(On, WriterConformanceTest, ::testing::Values("fake", "real"),
                         [](const auto& name) { return name.param; });

TEST_P(WriterConformanceTest, EveryKindLandsInItsTables) {
  const auto usage = OpenWriter(kUsageLane);
  v1::Event other_id = UsageOf("not-a-uuid", "key-2");
  other_id.mutable_usage()->set_long_context(true);
  events_.Add(UsageOf(UuidOf(1)));
  events_.Add(other_id);
  ASSERT_OK(usage->Write(events_.all()));
  EXPECT_THAT(
      backend_->Read(
          "usage_records",
          {"event_id_text", "api_key_id", "model", "stream", "cost_micros", "occurred_at"},
          "api_key_id"),
      ElementsAre(
          ElementsAre(std::nullopt, "key-1", "model-1", "1", "100", "2026-01-01 00:30:00.123456"),
          ElementsAre("not-a-uuid", "key-2", "model-1", "1", "100", "2026-01-01 00:30:00.123456")));
  EXPECT_THAT(backend_->Read("usage_stats",
                             {"api_key_id", "stat_hour", "requests", "input_tokens",
                              "long_context_requests", "long_context_output_tokens", "cost_micros"},
                             "api_key_id"),
              ElementsAre(ElementsAre("key-1", "2026-01-01 00:00:00", "1", "10", "0", "0", "100"),
                          ElementsAre("key-2", "2026-01-01 00:00:00", "1", "10", "1", "5", "100")));
}

TEST_P(WriterConformanceTest, RateLimitsKeepTheGreatestAndAddHits) {
  const auto writer = OpenWriter(kRateLane);
  events_.Add(test::ObservedOf("user:1", 10));
  events_.Add(test::ObservedOf("user:1", 7));
  events_.Add(test::HitsOf("user:2", 3, UuidOf(1)));
  events_.Add(test::HitsOf("user:2", 4));
  events_.Add(test::HitsOf("user:2", 3, UuidOf(1)));
  WriteAll(*writer);
  events_.Add(test::ObservedOf("user:1", 9));
  events_.Add(test::HitsOf("user:2", 5));
  WriteAll(*writer);
  EXPECT_THAT(backend_->Read("rate_limit_records",
                             {"identifier", "window_type", "route_path", "request_count",
                              "window_start", "window_end"},
                             "identifier"),
              ElementsAre(ElementsAre("user:1", "minute", "/v1", "10", "2026-01-01 00:30:00",
                                      "2026-01-01 00:31:00"),
                          ElementsAre("user:2", "minute", "/v1", "12", "2026-01-01 00:30:00",
                                      "2026-01-01 00:31:00")));
  ExpectBooksLike(writer->seat());
}

TEST_P(WriterConformanceTest, ABatchLandsOnceWhateverBecameOfItsCommit) {
  const auto writer = OpenWriter(kUsageLane);
  uint64_t last = 0;
  for (const auto loss : {Interceptor::CommitLoss::kAfter, Interceptor::CommitLoss::kBefore}) {
    AddUsage(last + 1, last + 50);
    last += 50;
    sessions_.LoseCommit(loss);
    const absl::Status lost = writer->Write(events_.After(writer->seat().position)).status();
    EXPECT_EQ(mysql::VerdictOf(lost), Verdict::kUnknown) << lost;
    absl::StatusOr<Written> written = writer->Write(events_.After(writer->seat().position));
    // The server may need a moment to end what was killed.
    for (int i = 0; i < 5 && !written.ok(); ++i) {
      EXPECT_EQ(mysql::VerdictOf(written.status()), Verdict::kRetry) << written.status();
      written = writer->Write(events_.After(writer->seat().position));
    }
    ASSERT_OK(written);
    EXPECT_EQ(written->kind, Written::Kind::kCommitted);
    EXPECT_EQ(written->done, 50u);
    EXPECT_THAT(Requests(), ElementsAre(absl::StrCat(last)));
    ExpectBooksLike(writer->seat());
  }
  EXPECT_EQ(metrics_.commits_unknown->Value(), 2);
  EXPECT_EQ(metrics_.lane_reseats->Value(), 0);
}

TEST_P(WriterConformanceTest, AZombieIsWaitedForAndNeverOvertaken) {
  const auto writer = OpenWriter(kUsageLane);
  AddUsage(1, 10);
  sessions_.set_kill_works(false);
  sessions_.LoseCommit(Interceptor::CommitLoss::kBefore);
  EXPECT_EQ(mysql::VerdictOf(writer->Write(events_.all()).status()), Verdict::kUnknown);
  EXPECT_EQ(mysql::VerdictOf(writer->Write(events_.all()).status()), Verdict::kRetry);
  EXPECT_THAT(Requests(), IsEmpty());
  ASSERT_OK(sessions_.EndZombies(/*commit=*/true));
  const auto written = writer->Write(events_.all());
  ASSERT_OK(written);
  EXPECT_EQ(written->kind, Written::Kind::kCommitted);
  EXPECT_EQ(written->done, 10u);
  EXPECT_THAT(Requests(), ElementsAre("10"));
}

TEST_P(WriterConformanceTest, AResentBatchThatIsCutDifferentlyCountsOnce) {
  const auto writer = OpenWriter(kUsageLane);
  AddUsage(1, 700);
  WriteAll(*writer);
  AddUsage(300, 900);
  ASSERT_OK(writer->Write(events_.After(700, 333)));
  WriteAll(*writer);
  EXPECT_THAT(Requests(), ElementsAre("900"));
  EXPECT_EQ(writer->seat().duplicate, 401u);
  ExpectBooksLike(writer->seat());
}

TEST_P(WriterConformanceTest, OnePoisonEventIn4096CostsAtMostTwentyFourStatements) {
  backend_->Shorten("usage_records", "model", 20);
  const auto writer = OpenWriter(kUsageLane);
  for (uint64_t id = 1; id <= 4096; ++id) {
    v1::Event event = UsageOf(UuidOf(id));
    if (id == 1) event.mutable_usage()->set_model(std::string(100, 'x'));
    events_.Add(event);
  }
  const auto written = writer->Write(events_.all());
  ASSERT_OK(written);
  EXPECT_EQ(written->done, 4096u);
  ASSERT_THAT(written->rejections, SizeIs(1));
  EXPECT_EQ(written->rejections[0].error_number, 1406u);
  EXPECT_EQ(written->rejections[0].column, "model");
  EXPECT_LE(sessions_.statements("usage_records"), 1 + 24u);
  EXPECT_THAT(Requests(), ElementsAre("4095"));
  ExpectBooksLike(writer->seat());
  const auto page = ListQuarantine(sessions_, absl::InfiniteFuture(), {});
  ASSERT_OK(page);
  ASSERT_THAT(page->events, SizeIs(1));
  EXPECT_EQ(page->events[0].error_number, 1406u);
}

TEST_P(WriterConformanceTest, AConflictGoesToQuarantineAndTheFirstStays) {
  const auto writer = OpenWriter(kUsageLane);
  events_.Add(UsageOf(UuidOf(1), "first"));
  WriteAll(*writer);
  events_.Add(UsageOf(UuidOf(1), "second"));
  events_.Add(UsageOf(UuidOf(1), "first"));
  events_.Add(UsageOf(UuidOf(2), "third"));
  EXPECT_THAT(WriteAll(*writer), SizeIs(1));
  EXPECT_THAT(Column("usage_records", "api_key_id", "event_id"), ElementsAre("first", "third"));
  EXPECT_EQ(writer->seat().quarantined, 1u);
  EXPECT_EQ(writer->seat().duplicate, 1u);
  ExpectBooksLike(writer->seat());
}

TEST_P(WriterConformanceTest, ARejectionByACounterIsolatesTheEvent) {
  backend_->Shorten("rate_limit_records", "identifier", 8);
  const auto writer = OpenWriter(kRateLane);
  for (int i = 0; i < 20; ++i) {
    events_.Add(test::HitsOf(i == 13 ? "user:too-long" : absl::StrCat("user:", i), 1));
  }
  const std::vector<Rejection> rejections = WriteAll(*writer);
  ASSERT_THAT(rejections, SizeIs(1));
  EXPECT_EQ(rejections[0].sequence, 14u);
  EXPECT_EQ(rejections[0].column, "identifier");
  EXPECT_EQ(Column("rate_limit_records", "identifier", "identifier").size(), 19u);
  ExpectBooksLike(writer->seat());
}

TEST_P(WriterConformanceTest, AMessageIsStoredOnce) {
  const auto writer = OpenWriter(kMessageLane);
  events_.Add(test::MessageOf("m-1", "first"));
  events_.Add(test::MessageOf("m-1 ", "with a space"));
  WriteAll(*writer);
  events_.Add(test::MessageOf("m-1", "second"));
  events_.Add(test::MessageOf("m-2", "third"));
  WriteAll(*writer);
  EXPECT_THAT(Column("message", "text", "ig_message_id"),
              ElementsAre("first", "with a space", "third"));
  ExpectBooksLike(writer->seat());
}

TEST_P(WriterConformanceTest, ASecondWriterFencesTheFirst) {
  const auto first = OpenWriter(kUsageLane);
  AddUsage(1, 2);
  ASSERT_OK(first->Write(events_.all().first(1)));
  const auto second = OpenWriter(kUsageLane);
  const auto fenced = first->Write(events_.After(1));
  ASSERT_OK(fenced);
  EXPECT_EQ(fenced->kind, Written::Kind::kFenced);
  WriteAll(*second);
  EXPECT_THAT(Requests(), ElementsAre("2"));
  ExpectBooksLike(second->seat());
}

TEST_P(WriterConformanceTest, HousekeepingRuns) {
  OpenWriter(kUsageLane);
  HousekeepingOptions options;
  options.writer_id = "writer-1";
  Housekeeping housekeeping(options, sessions_, base::SystemClock());
  EXPECT_OK(housekeeping.Step());
  EXPECT_FALSE(housekeeping.more());
  EXPECT_THAT(Column("holdfast_lanes", "lane", "lane"), ElementsAre("usage-0"));
}

}  // namespace
}  // namespace holdfast::writer
