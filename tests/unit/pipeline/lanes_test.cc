// What lanes do when the database or the journal does not do what it should.

#include <vector>

#include "server/base/log.h"
#include "server/pipeline/pipeline.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/pipeline/pipeline_fixture.h"

namespace holdfast::pipeline {
namespace {

using flow::Verdict;
using test::FakeCaller;
using test::FakeObserver;
using test::kMessageLane;
using test::kUsageLane;
using test::MakeBatch;
using test::ProducerId;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const event::Id kProducer = ProducerId(1);
const event::Id kOther = ProducerId(2);

class LanesTest : public test::PipelineFixture {
 protected:
  void Submit(const event::Id& producer, uint64_t first_sequence, absl::string_view letters,
              size_t padding = 0) {
    EXPECT_OK(pipeline_->Submit(MakeBatch(producer, first_sequence, letters, padding)));
  }
  // `batches` batches of ten events of one letter.
  void SubmitMany(const event::Id& producer, char letter, uint64_t batches, size_t padding = 0) {
    for (uint64_t i = 0; i < batches; ++i) {
      Submit(producer, i * 10 + 1, std::string(10, letter), padding);
    }
  }
  bool Drain(absl::Duration at_most = absl::Seconds(60)) {
    return pipeline_->Drain(base::SystemClock().Steady() + at_most, [] { return false; });
  }
  size_t MemoryBytes() const { return static_cast<size_t>(metrics_.memory_batches_bytes->Value()); }
};

TEST_F(LanesTest, AStoppedLaneStallsNoOther) {
  database_.Fail(kUsageLane, Verdict::kOutage);
  Start();
  FakeObserver stalled;
  FakeObserver free;
  pipeline_->Attach(kProducer, &stalled);
  pipeline_->Attach(kOther, &free);
  SubmitMany(kProducer, 'u', 50);
  SubmitMany(kOther, 'm', 50);
  EXPECT_TRUE(free.AwaitCommitted(500));
  EXPECT_TRUE(stalled.AwaitJournaled(500));
  EXPECT_EQ(stalled.committed(), 0u);
  EXPECT_TRUE(AwaitState(kUsageLane, LaneState::kStopped));
  EXPECT_THAT(ReportOf(kUsageLane).reason, HasSubstr("the test's attempt"));
  EXPECT_EQ(metrics_.LaneStopped("usage-0").Value(), 1);
  database_.Heal(kUsageLane);
  EXPECT_TRUE(stalled.AwaitCommitted(500));
  EXPECT_EQ(metrics_.LaneStopped("usage-0").Value(), 0);
  ExpectWhole(kUsageLane, 500);
  ExpectWhole(kMessageLane, 500);
  pipeline_->Detach(kProducer, &stalled);
  pipeline_->Detach(kOther, &free);
}

TEST_F(LanesTest, ALaneThatCannotReadTheDatabasesAnswersWaitsForAnOperator) {
  database_.FailWithNoSense(kUsageLane);
  Start();
  Submit(kProducer, 1, "u");
  EXPECT_TRUE(AwaitState(kUsageLane, LaneState::kStopped));
  EXPECT_EQ(metrics_.LaneStopped("usage-0").Value(), 1);
  database_.Heal(kUsageLane);
  EXPECT_TRUE(database_.AwaitPosition(kUsageLane, 1));
}

TEST_F(LanesTest, AProducerOfTwoLanesIsCommittedUpToTheFirstEventThatIsNot) {
  Start();
  FakeObserver observer;
  pipeline_->Attach(kProducer, &observer);
  Submit(kProducer, 1, "um");
  EXPECT_TRUE(observer.AwaitCommitted(2));
  database_.Fail(kUsageLane, Verdict::kOutage);
  Submit(kProducer, 3, "mm");
  EXPECT_TRUE(observer.AwaitCommitted(4));
  Submit(kProducer, 5, "mu");
  Submit(kProducer, 7, "mm");
  EXPECT_TRUE(database_.AwaitPosition(kMessageLane, 6));
  EXPECT_TRUE(AwaitState(kUsageLane, LaneState::kStopped));
  EXPECT_LE(observer.committed(), 5u);
  database_.Heal(kUsageLane);
  EXPECT_TRUE(observer.AwaitCommitted(8));
  pipeline_->Detach(kProducer, &observer);
}

TEST_F(LanesTest, ABacklogLargerThanTheMemoryIsDeliveredWholeAndInOrder) {
  options_.memory_bytes_max = size_t{1} << 20;
  database_.Fail(kMessageLane, Verdict::kReconnect);
  Start();
  FakeObserver observer;
  pipeline_->Attach(kProducer, &observer);
  SubmitMany(kProducer, 'm', 400, 2000);  // 8 MB and more.
  EXPECT_TRUE(observer.AwaitJournaled(4000));
  database_.Heal(kMessageLane);
  EXPECT_TRUE(observer.AwaitCommitted(4000));
  ExpectWhole(kMessageLane, 4000);
  EXPECT_FALSE(observer.broke_a_promise());
  pipeline_->Detach(kProducer, &observer);
}

TEST_F(LanesTest, ALaneThatFailsKeepsNoMoreThanItsShare) {
  options_.memory_bytes_max = size_t{3} << 20;  // Three lanes: half a megabyte for each.
  database_.Block(kMessageLane, true);
  Start();
  SubmitMany(kProducer, 'm', 400, 2000);
  EXPECT_TRUE(database_.AwaitAttempts(kMessageLane, 1));
  database_.Fail(kMessageLane, Verdict::kReconnect);
  database_.Block(kMessageLane, false);
  EXPECT_TRUE(AwaitState(kMessageLane, LaneState::kRetrying));
  EXPECT_TRUE(Await([this] { return MemoryBytes() > 0 && MemoryBytes() <= (size_t{5} << 17); }));
  database_.Heal(kMessageLane);
  EXPECT_TRUE(database_.AwaitPosition(kMessageLane, 4000));
  ExpectWhole(kMessageLane, 4000);
}

TEST_F(LanesTest, EveryAttemptAtABatchIsMadeWithTheSameCut) {
  database_.Block(kUsageLane, true);
  Start();
  Submit(kProducer, 1, "u");
  EXPECT_TRUE(database_.AwaitAttempts(kUsageLane, 1));
  Submit(kProducer, 2, "uuu");
  database_.FailNext(kUsageLane, Verdict::kReconnect, 6);
  database_.Block(kUsageLane, false);
  EXPECT_TRUE(database_.AwaitPosition(kUsageLane, 4));
  const auto attempts = database_.attempts(kUsageLane);
  ASSERT_EQ(attempts.size(), 8u);
  for (size_t i = 0; i < 7; ++i) EXPECT_EQ(attempts[i].ordinals, std::vector<uint64_t>{1});
  EXPECT_EQ(attempts[7].ordinals, (std::vector<uint64_t>{2, 3, 4}));
}

TEST_F(LanesTest, ALostAnswerToCommitIsSettledByTheSameCutAndNothingIsWrittenTwice) {
  database_.Block(kUsageLane, true);
  Start();
  FakeObserver observer;
  pipeline_->Attach(kProducer, &observer);
  Submit(kProducer, 1, "uuu");
  EXPECT_TRUE(database_.AwaitAttempts(kUsageLane, 1));
  Submit(kProducer, 4, "uu");
  database_.LoseAnswer(kUsageLane);
  database_.Block(kUsageLane, false);
  EXPECT_TRUE(observer.AwaitCommitted(5));
  const auto attempts = database_.attempts(kUsageLane);
  ASSERT_EQ(attempts.size(), 3u);
  EXPECT_EQ(attempts[0].ordinals, attempts[1].ordinals);
  ExpectWhole(kUsageLane, 5);
  pipeline_->Detach(kProducer, &observer);
}

TEST_F(LanesTest, AFailoverThatLostCommitsIsReplayedAndProgressNeverGoesDown) {
  Start();
  FakeObserver observer;
  pipeline_->Attach(kProducer, &observer);
  SubmitMany(kProducer, 'u', 20);
  EXPECT_TRUE(observer.AwaitCommitted(200));
  database_.RollBack(kUsageLane, 77);
  Submit(kProducer, 201, "u");
  EXPECT_TRUE(observer.AwaitCommitted(201));
  EXPECT_TRUE(database_.AwaitPosition(kUsageLane, 201));
  ExpectWhole(kUsageLane, 201);
  EXPECT_FALSE(observer.broke_a_promise());
  pipeline_->Detach(kProducer, &observer);
}

TEST_F(LanesTest, AReplayHoldsBackWhatComesAfterIt) {
  Start();
  FakeObserver observer;
  pipeline_->Attach(kProducer, &observer);
  SubmitMany(kProducer, 'u', 2);
  EXPECT_TRUE(observer.AwaitCommitted(20));
  database_.RollBack(kUsageLane, 5);
  database_.Block(kUsageLane, true);
  Submit(kProducer, 21, "u");
  EXPECT_TRUE(database_.AwaitAttempts(kUsageLane, 2));
  database_.Block(kUsageLane, false);
  EXPECT_TRUE(observer.AwaitCommitted(21));
  EXPECT_EQ(database_.position(kUsageLane), 21u);
  ExpectWhole(kUsageLane, 21);
  pipeline_->Detach(kProducer, &observer);
}

TEST_F(LanesTest, AFencedLaneWritesNoMoreAndSaysWhatToDo) {
  Start();
  FakeObserver observer;
  pipeline_->Attach(kProducer, &observer);
  Submit(kProducer, 1, "um");
  EXPECT_TRUE(observer.AwaitCommitted(2));
  database_.Fence(kUsageLane);
  Submit(kProducer, 3, "mu");
  EXPECT_TRUE(AwaitState(kUsageLane, LaneState::kFenced));
  const size_t attempts = database_.attempts(kUsageLane).size();
  Submit(kProducer, 5, "mu");
  EXPECT_TRUE(database_.AwaitPosition(kMessageLane, 3));
  EXPECT_EQ(database_.attempts(kUsageLane).size(), attempts);
  EXPECT_THAT(ReportOf(kUsageLane).reason, HasSubstr("writer id"));
  EXPECT_EQ(metrics_.LaneStopped("usage-0").Value(), 1);
  EXPECT_LE(observer.committed(), 3u);
  // There is no sense in waiting for it.
  EXPECT_FALSE(Drain());
  pipeline_->Detach(kProducer, &observer);
}

TEST_F(LanesTest, ABatchThatIsSettledInPartsIsSettledWhole) {
  database_.SettleAtMost(3);
  database_.Reject(5);
  Start();
  FakeCaller caller;
  pipeline_->SubmitAndWait(MakeBatch(kProducer, 1, "uuuuuuuu"), true, caller.done());
  EXPECT_TRUE(caller.AwaitAnswer());
  EXPECT_EQ(database_.position(kUsageLane), 8u);
  EXPECT_EQ(database_.rows(kUsageLane).size(), 7u);
  ASSERT_EQ(caller.receipt().rejections.size(), 1u);
}

TEST_F(LanesTest, ANewPipelineGoesOnWhereTheLanesStand) {
  Start();
  Submit(kProducer, 1, "uuum");
  EXPECT_TRUE(database_.AwaitPosition(kUsageLane, 3));
  EXPECT_TRUE(database_.AwaitPosition(kMessageLane, 1));
  database_.Fail(kUsageLane, Verdict::kReconnect);
  Submit(kProducer, 5, "uuum");
  EXPECT_TRUE(database_.AwaitPosition(kMessageLane, 2));
  Restart();
  FakeObserver observer;
  EXPECT_EQ(pipeline_->Attach(kProducer, &observer), 8u);
  EXPECT_TRUE(observer.AwaitJournaled(8));
  EXPECT_EQ(observer.committed(), 0u);
  database_.Heal(kUsageLane);
  EXPECT_TRUE(observer.AwaitCommitted(8));
  ExpectWhole(kUsageLane, 6);
  Submit(kProducer, 9, "u");
  EXPECT_TRUE(observer.AwaitCommitted(9));
  ExpectWhole(kUsageLane, 7);
  pipeline_->Detach(kProducer, &observer);
}

TEST_F(LanesTest, AProducerOfAnEarlierRunIsCommittedThoughItsLaneStandsStillBehindIt) {
  Start();
  Submit(kProducer, 1, "u");
  EXPECT_TRUE(database_.AwaitPosition(kUsageLane, 1));
  database_.Fail(kUsageLane, Verdict::kReconnect);
  Submit(kOther, 1, "u");
  EXPECT_TRUE(Await([this] { return ReportOf(kUsageLane).head == 2; }));
  pipeline_->Stop();
  database_.Heal(kUsageLane);
  database_.Block(kUsageLane, true);
  Restart();
  FakeObserver observer;
  pipeline_->Attach(kProducer, &observer);
  EXPECT_TRUE(observer.AwaitCommitted(1));
  pipeline_->Detach(kProducer, &observer);
}

TEST_F(LanesTest, LanesOfAnEarlierSettingAreDrained) {
  options_.lanes_per_kind = 4;
  for (const int lane : {0, 1, 2, 3}) {
    database_.Fail(event::MakeLane(event::Kind::kUsage, lane), Verdict::kReconnect);
  }
  Start();
  ASSERT_OK(pipeline_->Submit(MakeBatch(kProducer, 1, std::string(100, 'u'), 0, 4, 50)));
  EXPECT_TRUE(Await([this] {
    uint64_t heads = 0;
    for (const LaneReport& report : pipeline_->Status().lanes) heads += report.head;
    return heads == 100;
  }));
  options_.lanes_per_kind = 1;
  Restart();
  for (const int lane : {0, 1, 2, 3}) {
    database_.Heal(event::MakeLane(event::Kind::kUsage, lane));
  }
  EXPECT_TRUE(Drain());
  size_t rows = 0;
  for (const int lane : {0, 1, 2, 3}) {
    rows += database_.rows(event::MakeLane(event::Kind::kUsage, lane)).size();
  }
  EXPECT_EQ(rows, 100u);
}

TEST_F(LanesTest, DrainIsTrueWhenNothingIsLeftAndFalseWhenSomethingIs) {
  Start();
  Submit(kProducer, 1, "um");
  EXPECT_TRUE(Drain());
  EXPECT_THAT(pipeline_->Submit(MakeBatch(kProducer, 3, "u")),
              test::StatusIs(absl::StatusCode::kUnavailable, HasSubstr("draining")));
  Restart();
  database_.Fail(kUsageLane, Verdict::kReconnect);
  Submit(kProducer, 3, "u");
  EXPECT_FALSE(Drain(absl::Milliseconds(20)));
  int asked = 0;
  EXPECT_FALSE(pipeline_->Drain(base::SystemClock().Steady() + absl::Seconds(60),
                                [&asked] { return ++asked == 2; }));
  EXPECT_EQ(asked, 2);
  database_.Heal(kUsageLane);
  EXPECT_TRUE(Drain());
}

TEST_F(LanesTest, DrainWaitsForWhatTheJournalHasTakenAndNotMadeDurableYet) {
  journal_.HoldBack(true);
  Start();
  Submit(kProducer, 1, "u");
  EXPECT_FALSE(Drain(absl::ZeroDuration()));
  journal_.HoldBack(false);
  EXPECT_TRUE(Drain());
  EXPECT_EQ(database_.position(kUsageLane), 1u);
}

TEST_F(LanesTest, DrainIsFalseWhileALaneWithEventsHasNoSeat) {
  Start();
  Submit(kProducer, 1, "u");
  EXPECT_TRUE(Drain());
  database_.Fail(kUsageLane, Verdict::kReconnect);
  Restart();
  EXPECT_FALSE(Drain(absl::ZeroDuration()));
  database_.Heal(kUsageLane);
  EXPECT_TRUE(Drain());
}

TEST_F(LanesTest, ADrainEndsTheWaitBeforeTheNextAttempt) {
  options_.retry.wait_min = absl::Hours(1);
  options_.retry.wait_max = absl::Hours(1);
  options_.retry.outage_wait_max = absl::Hours(1);
  Start();
  Submit(kProducer, 1, "u");
  EXPECT_TRUE(database_.AwaitPosition(kUsageLane, 1));
  database_.FailNext(kUsageLane, Verdict::kReconnect, 1);
  Submit(kProducer, 2, "u");
  EXPECT_TRUE(AwaitState(kUsageLane, LaneState::kRetrying));
  EXPECT_TRUE(Drain());
}

TEST_F(LanesTest, AJournalThatCannotBeReadJustNowIsAskedAgain) {
  database_.Fail(kUsageLane, Verdict::kReconnect);
  Start();
  Submit(kProducer, 1, "u");
  EXPECT_TRUE(AwaitState(kUsageLane, LaneState::kRetrying));
  SubmitMany(kOther, 'u', 2);
  EXPECT_TRUE(Await([this] { return ReportOf(kUsageLane).head == 21; }));
  journal_.RefuseReads(true);
  database_.Heal(kUsageLane);
  EXPECT_TRUE(
      Await([this] { return ReportOf(kUsageLane).reason.find("disk") != std::string::npos; }));
  EXPECT_LE(database_.position(kUsageLane), 1u);
  // It is near enough to keep what arrives, and gives that up to the other lanes all the same.
  event::Id third = kOther;
  third.bytes[0] ^= 1;
  SubmitMany(third, 'u', 5, /*padding=*/1000);
  EXPECT_TRUE(Await([this] { return ReportOf(kUsageLane).head == 71; }));
  EXPECT_TRUE(Await([this] { return MemoryBytes() < 4096; }));
  journal_.RefuseReads(false);
  EXPECT_TRUE(database_.AwaitPosition(kUsageLane, 71));
  ExpectWhole(kUsageLane, 71);
}

TEST_F(LanesTest, WhatTheJournalHasLostIsPassedOverAndHoldsNobodyUp) {
  database_.Fail(kUsageLane, Verdict::kReconnect);
  Start();
  SubmitMany(kProducer, 'u', 1);
  EXPECT_TRUE(Await([this] { return ReportOf(kUsageLane).head == 10; }));
  journal_.Lose(kUsageLane, 4);
  journal_.Lose(kUsageLane, 5);
  journal_.Spoil(kUsageLane, 7);
  journal_.Lose(kUsageLane, 9);
  journal_.Lose(kUsageLane, 10);
  Restart();
  FakeObserver observer;
  pipeline_->Attach(kProducer, &observer);
  database_.Heal(kUsageLane);
  EXPECT_TRUE(observer.AwaitCommitted(10));
  EXPECT_EQ(database_.rows(kUsageLane).size(), 5u);
  // The row, too, is past what is lost at the end: the books say that nothing is pending.
  EXPECT_EQ(database_.position(kUsageLane), 10u);
  EXPECT_EQ(ReportOf(kUsageLane).seat.position, 10u);
  // The lane is whole again behind it.
  Submit(kProducer, 11, "uu");
  EXPECT_TRUE(observer.AwaitCommitted(12));
  EXPECT_EQ(database_.rows(kUsageLane).back().ordinal, 12u);
  EXPECT_TRUE(Drain());
  pipeline_->Detach(kProducer, &observer);
}

TEST_F(LanesTest, TheJournalMayReleaseWhatIsSettledAndNothingElse) {
  database_.Fail(kMessageLane, Verdict::kReconnect);
  Start();
  Submit(kProducer, 1, "uuumm");
  EXPECT_TRUE(database_.AwaitPosition(kUsageLane, 3));
  EXPECT_TRUE(Await([this] { return journal_.released()[kUsageLane] == 3; }));
  EXPECT_EQ(journal_.released()[kMessageLane], 0u);
  database_.Heal(kMessageLane);
  EXPECT_TRUE(Await([this] { return journal_.released()[kMessageLane] == 2; }));
}

TEST_F(LanesTest, WhatAFailoverLostTheJournalKeepsAgain) {
  Start();
  Submit(kProducer, 1, "uuumm");
  EXPECT_TRUE(Await([this] { return journal_.released()[kUsageLane] == 3; }));
  EXPECT_TRUE(Await([this] { return journal_.released()[kMessageLane] == 2; }));
  EXPECT_THAT(journal_.kept_again(), IsEmpty());
  database_.RollBack(kUsageLane, 1);
  Submit(kProducer, 6, "u");
  EXPECT_TRUE(Await([this] { return journal_.released()[kUsageLane] == 4; }));
  EXPECT_THAT(journal_.kept_again(), ElementsAre(1));
}

TEST_F(LanesTest, PendingEventsAndTheAgeOfTheOldestAreExported) {
  database_.Fail(kMessageLane, Verdict::kReconnect);
  Start();
  Submit(kProducer, 1, "mmu");
  static constexpr size_t kMessage = static_cast<size_t>(event::Kind::kMessage);
  EXPECT_TRUE(Await([this] {
    return metrics_.events_pending[kMessage]->Value() == 2 &&
           metrics_.oldest_pending_seconds[kMessage]->Value() > 0;
  }));
  database_.Heal(kMessageLane);
  EXPECT_TRUE(Await([this] {
    return metrics_.events_pending[kMessage]->Value() == 0 &&
           metrics_.oldest_pending_seconds[kMessage]->Value() == 0;
  }));
}

std::vector<std::string> TraceIds(const std::vector<test::FakeDatabaseOfLanes::Row>& rows) {
  std::vector<std::string> ids;
  for (const auto& row : rows) ids.push_back(row.trace_id);
  return ids;
}

TEST_F(LanesTest, TracesGoWithTheirEventsFromMemoryThroughFailuresAndFromTheJournal) {
  const std::string first = event::FormatTraceId(test::TraceOf(1));
  const std::string second = event::FormatTraceId(test::TraceOf(2));
  Start();
  ASSERT_TRUE(AwaitSeats());
  EXPECT_OK(pipeline_->Submit(test::MakeTracedBatch(kProducer, 1, test::TraceOf(1))));
  EXPECT_TRUE(database_.AwaitPosition(kUsageLane, 1));
  // Given up, and written from the lane's own share; the next ones are read from the journal.
  database_.Fail(kUsageLane, Verdict::kOutage);
  EXPECT_OK(pipeline_->Submit(test::MakeTracedBatch(kProducer, 2, test::TraceOf(2))));
  EXPECT_TRUE(AwaitState(kUsageLane, LaneState::kStopped));
  Submit(kProducer, 3, "u");
  EXPECT_OK(pipeline_->Submit(test::MakeTracedBatch(kProducer, 4, test::TraceOf(1))));
  database_.Heal(kUsageLane);
  EXPECT_TRUE(database_.AwaitPosition(kUsageLane, 4));
  EXPECT_THAT(TraceIds(database_.rows(kUsageLane)), ElementsAre(first, second, "", first));
  EXPECT_GT(journal_.records_read(), 0u);
}

class BatchLogTest : public LanesTest {
 protected:
  ~BatchLogTest() override {
    base::SetLogFormat(base::LogFormat::kText);
    base::SetLogLevel(base::LogLevel::kInfo);
  }

  // What is logged while one event with a trace is written.
  std::string Logged() {
    testing::internal::CaptureStderr();
    EXPECT_OK(pipeline_->Submit(test::MakeTracedBatch(kProducer, 1, test::TraceOf(7))));
    EXPECT_TRUE(Drain());
    pipeline_.reset();
    return testing::internal::GetCapturedStderr();
  }
};

TEST_F(BatchLogTest, ABatchIsLoggedForWhoDebugsWithItsTraces) {
  base::SetLogLevel(base::LogLevel::kDebug);
  base::SetLogFormat(base::LogFormat::kJson);
  options_.slow_batch = absl::Hours(1);
  Start();
  EXPECT_THAT(Logged(),
              testing::ContainsRegex(
                  R"("level":"debug","msg":"batch written","lane":"usage-0",)"
                  R"("tables":."usage_records","usage_stats".,"rows":1,"quarantined":0,)"
                  R"("attempt":1,"took_seconds":[0-9.e-]+,"journal_took_seconds":[0-9.e-]+,)"
                  R"("traces":."00000000000000000000000000000007".})"));
}

TEST_F(BatchLogTest, ABatchThatGoesAsItShouldIsNotLoggedOtherwise) {
  options_.slow_batch = absl::Hours(1);
  Start();
  EXPECT_THAT(Logged(), testing::Not(HasSubstr("batch")));
}

TEST_F(BatchLogTest, ABatchThatTookSeveralAttemptsIsSaidToHave) {
  options_.slow_batch = absl::Hours(1);
  Start();
  ASSERT_TRUE(AwaitSeats());  // Or it is taking the seat that fails.
  database_.FailNext(kUsageLane, Verdict::kRetry, 2);
  EXPECT_THAT(Logged(), testing::ContainsRegex(
                            "info batch written lane=usage-0 tables=usage_records,usage_stats "
                            "rows=1 quarantined=0 attempt=3 took=[^ ]+ journal_took=[^ ]+ "
                            "traces=00000000000000000000000000000007"));
}

TEST_F(BatchLogTest, ABatchWithEventsThatGoToQuarantineIsSaidToHave) {
  options_.slow_batch = absl::Hours(1);
  database_.Reject(1);
  Start();
  EXPECT_THAT(Logged(), HasSubstr("rows=1 quarantined=1 attempt=1"));
}

TEST_F(BatchLogTest, ASlowBatchIsAWarning) {
  options_.slow_batch = absl::ZeroDuration();
  Start();
  EXPECT_THAT(Logged(), HasSubstr("warning slow batch lane=usage-0"));
}

}  // namespace
}  // namespace holdfast::pipeline
