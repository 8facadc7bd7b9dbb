// Each event takes effect once, whatever becomes of the COMMIT, the link, the server or the
// process.

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"

#include "tests/unit/writer/writer_fixture.h"

namespace holdfast::writer {
namespace {

using flow::Verdict;
using test::FakeCall;
using test::FakeFault;
using test::UsageOf;
using test::UuidOf;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr FakeFault kLost = {2013, false, false};
constexpr FakeFault kLostAfterCommit = {2013, true, false};
constexpr FakeFault kZombie = {2013, false, true};

class ExactlyOnceTest : public WriterTest {
 protected:
  void AddUsage(int count) {
    for (int i = 0; i < count; ++i) events_.Add(UsageOf(UuidOf(++last_)));
  }
  uint64_t last_ = 0;
};

TEST_F(ExactlyOnceTest, ABatchLandsInItsTablesAndMovesItsLane) {
  const auto writer = OpenWriter(kUsageLane);
  AddUsage(3);
  const auto written = writer->Write(events_.all());
  ASSERT_OK(written);
  EXPECT_EQ(written->kind, Kind::kCommitted);
  EXPECT_EQ(written->done, 3u);
  EXPECT_THAT(written->rejections, IsEmpty());
  EXPECT_EQ(database_.Count("usage_records"), 3u);
  EXPECT_EQ(Requests(), 3u);
  EXPECT_EQ(Row().position, 3u);
  EXPECT_EQ(Row().committed, 3u);
  ExpectSame(writer->seat(), Row());
  EXPECT_EQ(Committed(), 3);
}

TEST_F(ExactlyOnceTest, ABatchThatMayNotBeCommittedLeavesNothingBehind) {
  const auto writer = OpenWriter(kUsageLane);
  AddUsage(3);
  const auto written = writer->Write(events_.all(), [this] {
    EXPECT_EQ(database_.statements("usage_records"), 1u) << "the rows are not sent yet";
    EXPECT_EQ(database_.statements("usage_stats"), 0u) << "counters are locked already";
    return false;
  });
  EXPECT_TRUE(absl::IsCancelled(written.status())) << written.status();
  EXPECT_EQ(database_.Count("usage_records"), 0u);
  EXPECT_EQ(Row().position, 0u);
  EXPECT_EQ(writer->seat().position, 0u);
  ASSERT_OK(writer->Write(events_.all()));
  EXPECT_EQ(Requests(), 3u);
}

TEST_F(ExactlyOnceTest, ALostAnswerToACommitThatHappenedIsSettledByRunningAgain) {
  const auto writer = OpenWriter(kUsageLane);
  AddUsage(3);
  database_.FailNext(FakeCall::Kind::kCommit, kLostAfterCommit);
  EXPECT_THAT(writer->Write(events_.all()), HasVerdict(Verdict::kUnknown));
  EXPECT_EQ(Committed(), 0) << "not certain yet";
  const auto written = writer->Write(events_.all());
  ASSERT_OK(written);
  EXPECT_EQ(written->kind, Kind::kCommitted);
  EXPECT_EQ(written->done, 3u);
  EXPECT_EQ(Requests(), 3u);
  EXPECT_EQ(Committed(), 3);
  EXPECT_EQ(metrics_.commits_unknown->Value(), 1);
  EXPECT_EQ(metrics_.lane_reseats->Value(), 0);
  ExpectSame(writer->seat(), Row());
}

TEST_F(ExactlyOnceTest, ALostAnswerToACommitThatDidNotHappenIsWrittenAgain) {
  const auto writer = OpenWriter(kUsageLane);
  AddUsage(3);
  database_.FailNext(FakeCall::Kind::kCommit, kLost);
  EXPECT_THAT(writer->Write(events_.all()), HasVerdict(Verdict::kUnknown));
  EXPECT_EQ(database_.Count("usage_records"), 0u);
  ASSERT_OK(writer->Write(events_.all()));
  EXPECT_EQ(Requests(), 3u);
  EXPECT_EQ(Committed(), 3);
  ExpectSame(writer->seat(), Row());
}

TEST_F(ExactlyOnceTest, ARejectionIsStillReportedWhenTheAnswerToItsCommitWasLost) {
  const auto writer = OpenWriter(kUsageLane);
  AddUsage(2);
  events_.Add(UsageOf(UuidOf(1), "another-key"));  // A conflict with the first.
  database_.FailNext(FakeCall::Kind::kCommit, kLostAfterCommit);
  EXPECT_FALSE(writer->Write(events_.all()).ok());
  const auto written = writer->Write(events_.all());
  ASSERT_OK(written);
  EXPECT_EQ(written->done, 3u);
  ASSERT_THAT(written->rejections, SizeIs(1));
  EXPECT_EQ(written->rejections[0].sequence, 3u);
  EXPECT_EQ(metrics_.events_quarantined[1]->Value(), 1);
}

TEST_F(ExactlyOnceTest, ALostCommitIsSettledEvenIfTheBatchHasGrownMeanwhile) {
  const auto writer = OpenWriter(kUsageLane);
  AddUsage(3);
  database_.FailNext(FakeCall::Kind::kCommit, kLostAfterCommit);
  EXPECT_FALSE(writer->Write(events_.all()).ok());
  AddUsage(2);
  const auto written = writer->Write(events_.all());
  ASSERT_OK(written);
  EXPECT_EQ(written->kind, Kind::kCommitted);
  EXPECT_EQ(written->done, 3u);
  EXPECT_EQ(WriteAll(*writer, events_), 1);
  EXPECT_EQ(Requests(), 5u);
}

// A plain SELECT of the position would show the old value here, and the batch would count twice.
TEST_F(ExactlyOnceTest, AZombieThatCommitsLaterIsNotOvertaken) {
  database_.set_kill_works(false);
  const auto writer = OpenWriter(kUsageLane);
  AddUsage(3);
  database_.FailNext(FakeCall::Kind::kCommit, kZombie);
  EXPECT_THAT(writer->Write(events_.all()), HasVerdict(Verdict::kUnknown));
  ASSERT_EQ(database_.zombies(), 1u);
  EXPECT_EQ(Row().position, 0u) << "what a plain SELECT shows";
  EXPECT_THAT(writer->Write(events_.all()), HasVerdict(Verdict::kRetry)) << "it waits for the lock";
  database_.EndZombies(/*commit=*/true);
  const auto written = writer->Write(events_.all());
  ASSERT_OK(written);
  EXPECT_EQ(written->kind, Kind::kCommitted);
  EXPECT_EQ(Requests(), 3u);
  EXPECT_EQ(Committed(), 3);
}

TEST_F(ExactlyOnceTest, AZombieIsKilledSoThatItGivesUpItsLocks) {
  const auto writer = OpenWriter(kUsageLane);
  AddUsage(3);
  for (const FakeCall::Kind kind : {FakeCall::Kind::kCommit, FakeCall::Kind::kExecute}) {
    database_.FailNext(kind, kZombie);
    EXPECT_FALSE(writer->Write(events_.all()).ok());
    EXPECT_EQ(database_.zombies(), 0u);
  }
  ASSERT_OK(writer->Write(events_.all()));
  EXPECT_EQ(Requests(), 3u);
}

TEST_F(ExactlyOnceTest, AResentBatchThatIsCutDifferentlyCountsOnce) {
  const auto writer = OpenWriter(kUsageLane);
  AddUsage(6);
  ASSERT_OK(writer->Write(events_.all().first(4)));
  ASSERT_OK(writer->Write(events_.all().subspan(4)));
  // The same six again under other sequences, as another gateway would send them, and two new ones.
  for (const uint64_t id : std::vector<uint64_t>{3, 4, 5, 6, 7, 1, 2, 8})
    events_.Add(UsageOf(UuidOf(id)));
  ASSERT_OK(writer->Write(events_.After(6, 5)));
  ASSERT_OK(writer->Write(events_.After(11)));
  EXPECT_EQ(database_.Count("usage_records"), 8u);
  EXPECT_EQ(Requests(), 8u) << "counters follow new rows only";
  EXPECT_EQ(Number("usage_stats", "input_tokens"), 80u);
  EXPECT_EQ(Number("usage_stats", "cost_micros"), 800u);
  EXPECT_EQ(Row().committed, 8u);
  EXPECT_EQ(Row().duplicate, 6u);
  EXPECT_EQ(metrics_.events_duplicate[1]->Value(), 6);
  ExpectSame(writer->seat(), Row());
}

TEST_F(ExactlyOnceTest, ADuplicateWithinABatchCountsOnce) {
  const auto writer = OpenWriter(kUsageLane);
  for (const uint64_t id : std::vector<uint64_t>{1, 2, 1, 1, 3}) events_.Add(UsageOf(UuidOf(id)));
  ASSERT_OK(writer->Write(events_.all()));
  EXPECT_EQ(Requests(), 3u);
  EXPECT_EQ(Row().committed, 3u);
  EXPECT_EQ(Row().duplicate, 2u);
}

TEST_F(ExactlyOnceTest, HitsWithAnIdAddOnceAndHitsWithoutOneAddEachTime) {
  const auto writer = OpenWriter(kRateLane);
  events_.Add(test::HitsOf("user:1", 5, UuidOf(1)));
  events_.Add(test::HitsOf("user:1", 7));
  ASSERT_OK(writer->Write(events_.all()));
  events_.Add(test::HitsOf("user:1", 5, UuidOf(1)));
  events_.Add(test::HitsOf("user:1", 7));
  ASSERT_OK(writer->Write(events_.After(2)));
  EXPECT_EQ(Number("rate_limit_records", "request_count"), 19u);
  EXPECT_EQ(Row("rate_limit-0").duplicate, 1u);
}

TEST_F(ExactlyOnceTest, AMessageIsStoredOnceWhateverItsSecondDeliverySays) {
  const auto writer = OpenWriter(kMessageLane);
  events_.Add(test::MessageOf("m-1", "first"));
  events_.Add(test::MessageOf("m-2"));
  ASSERT_OK(writer->Write(events_.all()));
  events_.Add(test::MessageOf("m-1", "second"));
  events_.Add(test::MessageOf("m-3"));
  events_.Add(test::MessageOf("m-3", "again"));
  ASSERT_OK(writer->Write(events_.After(2)));
  EXPECT_EQ(database_.Count("message"), 3u);
  EXPECT_EQ(*database_.Read("message", {"text"})[0][0], "first");
  EXPECT_EQ(Row("message-0").committed, 3u);
  EXPECT_EQ(Row("message-0").duplicate, 2u);
}

TEST_F(ExactlyOnceTest, DeadlocksAndLockWaitsLeaveNothingBehindAndAreTriedAgain) {
  const auto writer = OpenWriter(kUsageLane);
  AddUsage(3);
  for (const unsigned error : {1213u, 1205u, 1290u, 1040u, 1146u}) {
    for (uint64_t call = 3; call <= 5; ++call) {  // After Rent and BEGIN: each statement in turn.
      database_.FailNthCall(call, {error, false, false});
      EXPECT_FALSE(writer->Write(events_.all()).ok());
      EXPECT_EQ(database_.Count("usage_records"), 0u);
      EXPECT_EQ(Row().position, 0u);
    }
  }
  EXPECT_EQ(metrics_.Retries(1213).Value(), 3);
  EXPECT_EQ(metrics_.Retries(1205).Value(), 3);
  ASSERT_OK(writer->Write(events_.all()));
  EXPECT_EQ(Requests(), 3u);
}

// The n-th call fails, for every n, in every way that there is.
TEST_F(ExactlyOnceTest, AFailureOfAnyCallNeverLosesNorDoubles) {
  const FakeFault faults[] = {kLost,
                              kLostAfterCommit,
                              kZombie,
                              {2013, true, true},
                              {1213, false, false},
                              {1205, false, false},
                              {1290, false, false},
                              {1053, false, false}};
  const auto writer = OpenWriter(kUsageLane);
  uint64_t rows = 0;
  for (const FakeFault& fault : faults) {
    for (uint64_t nth = 1; nth <= 10; ++nth) {
      AddUsage(2);
      events_.Add(UsageOf(UuidOf(last_)));                               // A duplicate.
      events_.Add(UsageOf(UuidOf(last_), absl::StrCat("key-", last_)));  // A conflict.
      rows += 2;
      database_.FailNthCall(nth, fault);
      EXPECT_LE(WriteAll(*writer, events_), 2);
      ASSERT_EQ(database_.Count("usage_records"), rows);
      ASSERT_EQ(Requests(), rows) << fault.error_number << " at call " << nth;
      ASSERT_EQ(database_.Count("holdfast_quarantine"), rows / 2);
      ExpectSame(writer->seat(), Row());
      ASSERT_EQ(Committed(), rows);
      ASSERT_EQ(metrics_.events_duplicate[1]->Value(), rows / 2);
      ASSERT_EQ(metrics_.events_quarantined[1]->Value(), rows / 2);
    }
  }
  EXPECT_EQ(metrics_.lane_reseats->Value(), 0);
}

TEST_F(ExactlyOnceTest, ASecondWriterFencesTheFirst) {
  const auto first = OpenWriter(kUsageLane);
  AddUsage(2);
  ASSERT_OK(first->Write(events_.all().first(1)));
  const auto second = OpenWriter(kUsageLane);
  EXPECT_EQ(second->seat().position, 1u);
  const auto fenced = first->Write(events_.After(1));
  ASSERT_OK(fenced);
  EXPECT_EQ(fenced->kind, Kind::kFenced);
  EXPECT_EQ(Requests(), 1u);
  ASSERT_OK(second->Write(events_.After(1)));
  EXPECT_EQ(Requests(), 2u);
}

TEST_F(ExactlyOnceTest, AWriterWithAnotherJournalFencesTheFirst) {
  const auto first = OpenWriter(kUsageLane);
  AddUsage(1);
  WriterOptions other = DefaultOptions();
  other.journal_id = event::EventKey("journal-2");
  const auto second = OpenWriter(kUsageLane, other);
  const auto fenced = first->Write(events_.all());
  ASSERT_OK(fenced);
  EXPECT_EQ(fenced->kind, Kind::kFenced);
}

TEST_F(ExactlyOnceTest, AFailoverThatLostCommitsIsReplayedFromWhereItStands) {
  const auto writer = OpenWriter(kUsageLane);
  AddUsage(6);
  for (size_t i = 0; i < 6; i += 2) ASSERT_OK(writer->Write(events_.After(i, 2)));
  database_.FailOver(/*lost_commits=*/2);
  AddUsage(1);
  EXPECT_FALSE(writer->Write(events_.After(6)).ok()) << "the session is lost with the server";
  const auto written = writer->Write(events_.After(6));
  ASSERT_OK(written);
  EXPECT_EQ(written->kind, Kind::kReseated);
  EXPECT_EQ(writer->seat().position, 2u);
  EXPECT_EQ(metrics_.lane_reseats->Value(), 1);
  WriteAll(*writer, events_);
  EXPECT_EQ(Requests(), 7u);
  EXPECT_EQ(Row().committed, 7u);
  EXPECT_EQ(Committed(), 7) << "what is replayed is not counted again";
}

TEST_F(ExactlyOnceTest, ACommitInDoubtIsNotBelievedWhenAFailoverMovedTheLane) {
  const auto writer = OpenWriter(kUsageLane);
  AddUsage(2);
  ASSERT_OK(writer->Write(events_.all()));
  events_.Add(UsageOf(UuidOf(1), "another-key"));  // A conflict with the first.
  database_.FailNext(FakeCall::Kind::kCommit, kLost);
  EXPECT_FALSE(writer->Write(events_.After(2)).ok());
  database_.FailOver(/*lost_commits=*/1);
  const auto written = writer->Write(events_.After(2));
  ASSERT_OK(written);
  EXPECT_EQ(written->kind, Kind::kReseated);
  EXPECT_THAT(written->rejections, IsEmpty());
  std::vector<Rejection> rejections;
  WriteAll(*writer, events_, &rejections);
  EXPECT_THAT(rejections, SizeIs(1));
  EXPECT_EQ(Requests(), 2u);
}

TEST_F(ExactlyOnceTest, AFailoverThatLostEvenTheLanesOpeningIsReplayed) {
  auto first = OpenWriter(kUsageLane);
  AddUsage(4);
  ASSERT_OK(first->Write(events_.all().first(2)));
  const auto second = OpenWriter(kUsageLane);
  ASSERT_OK(second->Write(events_.After(2, 1)));
  database_.FailOver(/*lost_commits=*/2);
  WriteAll(*second, events_);
  EXPECT_EQ(Requests(), 4u);
  EXPECT_EQ(Row().epoch, 3u);
  // Whoever had it before stays fenced.
  AddUsage(1);
  EXPECT_EQ(first->Write(events_.After(4))->kind, Kind::kFenced);
}

TEST_F(ExactlyOnceTest, ALaneWhoseRowIsGoneIsMadeAnewAndReplayed) {
  const auto writer = OpenWriter(kUsageLane);
  AddUsage(2);
  ASSERT_OK(writer->Write(events_.all().first(1)));
  database_.engine().table("holdfast_lanes").slots.clear();
  const auto written = writer->Write(events_.After(1));
  ASSERT_OK(written);
  EXPECT_EQ(written->kind, Kind::kReseated);
  EXPECT_EQ(writer->seat().position, 0u);
  WriteAll(*writer, events_);
  EXPECT_EQ(Requests(), 2u);
  EXPECT_EQ(Row().duplicate, 1u);
}

TEST_F(ExactlyOnceTest, AReopeningWhoseAnswerWasLostIsNotTakenForAnotherProcess) {
  const auto writer = OpenWriter(kUsageLane);
  AddUsage(2);
  ASSERT_OK(writer->Write(events_.all().first(1)));
  database_.engine().table("holdfast_lanes").slots.clear();
  database_.FailNext(FakeCall::Kind::kCommit, {.error_number = 2013, .took_effect = true});
  EXPECT_FALSE(writer->Write(events_.After(1)).ok());
  const auto written = writer->Write(events_.After(1));
  ASSERT_OK(written);
  EXPECT_EQ(written->kind, Kind::kReseated);
  WriteAll(*writer, events_);
  EXPECT_EQ(Requests(), 2u);
}

TEST_F(ExactlyOnceTest, WhatADamagedJournalLostIsBookedAsAdjusted) {
  const auto writer = OpenWriter(kUsageLane);
  AddUsage(2);
  events_.Skip(5);
  AddUsage(1);
  events_.Skip(2);
  AddUsage(1);
  ASSERT_OK(writer->Write(events_.all()));
  EXPECT_EQ(Row().position, 11u);
  EXPECT_EQ(Row().adjusted, 7);
  ExpectSame(writer->seat(), Row());
}

TEST_F(ExactlyOnceTest, ABatchLargerThanAStatementMayBeIsStillOneTransaction) {
  database_.set_statement_bytes_max(8192);
  const auto writer = OpenWriter(kUsageLane);
  AddUsage(100);
  ASSERT_OK(writer->Write(events_.all()));
  EXPECT_EQ(Requests(), 100u);
  EXPECT_GT(database_.statements("usage_records"), 4u);
  events_.Add(UsageOf(UuidOf(50)));
  ASSERT_OK(writer->Write(events_.After(100)));
  EXPECT_EQ(Row().duplicate, 1u);
}

TEST_F(ExactlyOnceTest, WithoutASessionTheErrorIsThatOfTheSource) {
  const auto writer = OpenWriter(kUsageLane);
  AddUsage(1);
  database_.SetDown(true);
  EXPECT_THAT(writer->Write(events_.all()), HasVerdict(Verdict::kReconnect));
  database_.SetDown(false);
  EXPECT_EQ(WriteAll(*writer, events_), 2) << "the first one finds the old session gone";
  EXPECT_EQ(Requests(), 1u);
}

TEST_F(ExactlyOnceTest, ATransactionNamesTheTracesOfItsEventsAndOfNoOthers) {
  const auto writer = OpenWriter(kUsageLane);
  AddUsage(2);
  std::vector<event::Accepted> events(events_.all().begin(), events_.all().end());
  const event::Trace trace =
      *event::ParseTraceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  events[1].trace = &trace;
  database_.FailNext(FakeCall::Kind::kCommit, {1213, false, false});
  EXPECT_FALSE(writer->Write(absl::MakeConstSpan(events)).ok());
  ASSERT_OK(writer->Write(absl::MakeConstSpan(events)));
  EXPECT_EQ(database_.comment(),
            "/*traceparent='00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'*/");
  AddUsage(1);
  ASSERT_OK(writer->Write(events_.After(2)));
  EXPECT_EQ(database_.comment(), "");
}

}  // namespace
}  // namespace holdfast::writer
