// What a gateway sees of the pipeline.

#include "server/pipeline/pipeline.h"

#include "tests/support/status_matchers.h"
#include "tests/unit/pipeline/pipeline_fixture.h"

namespace holdfast::pipeline {
namespace {

using test::EventText;
using test::FakeCaller;
using test::FakeObserver;
using test::kMessageLane;
using test::kUsageLane;
using test::MakeBatch;
using test::ProducerId;
using test::StatusIs;
using testing::_;
using testing::HasSubstr;
using What = FakeObserver::What;

const event::Id kProducer = ProducerId(1);
const event::Id kOther = ProducerId(2);

class PipelineTest : public test::PipelineFixture {};

TEST_F(PipelineTest, AnEventIsWrittenOnceAndAcknowledgedOnBothLevels) {
  Start();
  FakeObserver observer;
  EXPECT_EQ(pipeline_->Attach(kProducer, &observer), 0u);
  ASSERT_OK(pipeline_->Submit(MakeBatch(kProducer, 1, "umu")));
  EXPECT_TRUE(observer.AwaitCommitted(3));
  EXPECT_EQ(observer.journaled(), 3u);
  ExpectWhole(kUsageLane, 2);
  ExpectWhole(kMessageLane, 1);
  EXPECT_FALSE(observer.broke_a_promise());
  pipeline_->Detach(kProducer, &observer);
}

TEST_F(PipelineTest, NothingIsAcknowledgedBeforeTheJournalHasIt) {
  journal_.HoldBack(true);
  Start();
  FakeObserver observer;
  pipeline_->Attach(kProducer, &observer);
  ASSERT_OK(pipeline_->Submit(MakeBatch(kProducer, 1, "u")));
  FakeCaller caller;
  pipeline_->SubmitAndWait(MakeBatch(event::Id{}, 1, "u"), false, caller.done());
  EXPECT_EQ(observer.journaled(), 0u);
  EXPECT_EQ(caller.answers(), 0);
  journal_.HoldBack(false);
  EXPECT_TRUE(observer.AwaitJournaled(1));
  EXPECT_TRUE(caller.AwaitAnswer());
  pipeline_->Detach(kProducer, &observer);
}

TEST_F(PipelineTest, NothingIsAcknowledgedAsCommittedBeforeItsLaneHasSettledIt) {
  database_.Block(kUsageLane, true);
  Start();
  FakeObserver observer;
  pipeline_->Attach(kProducer, &observer);
  ASSERT_OK(pipeline_->Submit(MakeBatch(kProducer, 1, "mum")));
  EXPECT_TRUE(observer.AwaitJournaled(3));
  EXPECT_TRUE(database_.AwaitPosition(kMessageLane, 2));
  EXPECT_TRUE(database_.AwaitAttempts(kUsageLane, 1));
  EXPECT_EQ(observer.committed(), 0u);
  database_.Block(kUsageLane, false);
  EXPECT_TRUE(observer.AwaitCommitted(3));
  pipeline_->Detach(kProducer, &observer);
}

TEST_F(PipelineTest, WhileTheJournalSyncsItsEventsAreOnTheirWayAndNothingIsAcknowledged) {
  journal_.HoldSync(true);
  Start();
  ASSERT_TRUE(AwaitSeats());
  FakeObserver observer;
  pipeline_->Attach(kProducer, &observer);
  ASSERT_OK(pipeline_->Submit(MakeBatch(kProducer, 1, "um")));
  EXPECT_TRUE(database_.AwaitAttempts(kUsageLane, 1));
  EXPECT_TRUE(database_.AwaitAttempts(kMessageLane, 1));
  EXPECT_EQ(observer.journaled(), 0u);
  EXPECT_EQ(database_.position(kUsageLane), 0u);
  journal_.HoldSync(false);
  EXPECT_TRUE(observer.AwaitCommitted(2));
  EXPECT_EQ(database_.attempts(kUsageLane).size(), 1u);
  ExpectWhole(kUsageLane, 1);
  ExpectWhole(kMessageLane, 1);
  EXPECT_FALSE(observer.broke_a_promise());
  pipeline_->Detach(kProducer, &observer);
}

TEST_F(PipelineTest, WhatAFailedSyncTakesAwayWasNeverCommitted) {
  Start();
  ASSERT_TRUE(AwaitSeats());
  FakeObserver observer;
  pipeline_->Attach(kProducer, &observer);
  database_.Block(kUsageLane, true);
  ASSERT_OK(pipeline_->Submit(MakeBatch(kProducer, 1, "u")));
  EXPECT_TRUE(database_.AwaitAttempts(kUsageLane, 1));
  ASSERT_OK(pipeline_->Submit(MakeBatch(kProducer, 2, "u")));
  EXPECT_TRUE(observer.AwaitJournaled(2));
  journal_.HoldSync(true);
  ASSERT_OK(pipeline_->Submit(MakeBatch(kProducer, 3, "um")));
  EXPECT_TRUE(database_.AwaitAttempts(kMessageLane, 1));
  database_.Block(kUsageLane, false);
  // The second, which is durable, and the third, which is not, in one transaction.
  EXPECT_TRUE(database_.AwaitAttempts(kUsageLane, 2));
  journal_.Fail(absl::InternalError("fdatasync: input/output error"));
  EXPECT_TRUE(observer.AwaitEnd());
  EXPECT_TRUE(
      pipeline_->Drain(base::SystemClock().Steady() + absl::Seconds(60), [] { return false; }));
  pipeline_->Stop();
  ExpectWhole(kUsageLane, 2);
  ExpectWhole(kMessageLane, 0);
  EXPECT_FALSE(observer.broke_a_promise());
  pipeline_->Detach(kProducer, &observer);
}

TEST_F(PipelineTest, ABatchOfRefusedEventsIsAcknowledgedToo) {
  Start();
  FakeObserver observer;
  pipeline_->Attach(kProducer, &observer);
  ASSERT_OK(pipeline_->Submit(MakeBatch(kProducer, 1, "xx")));
  EXPECT_TRUE(observer.AwaitCommitted(2));
  ASSERT_OK(pipeline_->Submit(MakeBatch(kProducer, 3, "ux")));
  EXPECT_TRUE(observer.AwaitCommitted(4));
  ExpectWhole(kUsageLane, 1);
  pipeline_->Detach(kProducer, &observer);
}

TEST_F(PipelineTest, WhatIsSentAgainIsAcknowledgedAndNotWrittenAgain) {
  Start();
  FakeObserver first;
  pipeline_->Attach(kProducer, &first);
  ASSERT_OK(pipeline_->Submit(MakeBatch(kProducer, 1, "uu")));
  EXPECT_TRUE(first.AwaitCommitted(2));
  pipeline_->Detach(kProducer, &first);

  FakeObserver second;
  EXPECT_EQ(pipeline_->Attach(kProducer, &second), 2u);
  EXPECT_TRUE(second.AwaitCommitted(2));
  ASSERT_OK(pipeline_->Submit(MakeBatch(kProducer, 1, "uuu")));
  EXPECT_TRUE(second.AwaitCommitted(3));
  ExpectWhole(kUsageLane, 3);
  pipeline_->Detach(kProducer, &second);
}

TEST_F(PipelineTest, ARejectionIsToldBeforeTheProgressThatCoversIt) {
  database_.Reject(2);
  Start();
  FakeObserver observer;
  pipeline_->Attach(kProducer, &observer);
  ASSERT_OK(pipeline_->Submit(MakeBatch(kProducer, 1, "uuu")));
  EXPECT_TRUE(observer.AwaitCommitted(3));
  size_t rejected = 0;
  for (const FakeObserver::Call& call : observer.calls()) {
    if (call.what == What::kRejected) ++rejected;
  }
  EXPECT_EQ(rejected, 1u);
  EXPECT_FALSE(observer.broke_a_promise());  // It would have come after progress over 2.
  pipeline_->Detach(kProducer, &observer);
}

TEST_F(PipelineTest, ASecondStreamTakesTheProducerOverAndTheFirstIsToldNothingMore) {
  Start();
  FakeObserver first;
  FakeObserver second;
  pipeline_->Attach(kProducer, &first);
  pipeline_->Attach(kProducer, &second);
  EXPECT_TRUE(first.AwaitEnd());
  EXPECT_THAT(first.end(), StatusIs(absl::StatusCode::kAborted, HasSubstr("another stream")));
  ASSERT_OK(pipeline_->Submit(MakeBatch(kProducer, 1, "u")));
  EXPECT_TRUE(second.AwaitCommitted(1));
  pipeline_->Detach(kProducer, &first);
  ASSERT_OK(pipeline_->Submit(MakeBatch(kProducer, 2, "u")));
  EXPECT_TRUE(second.AwaitCommitted(2));
  EXPECT_EQ(first.journaled(), 0u);
  EXPECT_FALSE(first.broke_a_promise());
  EXPECT_OK(second.end());
  pipeline_->Detach(kProducer, &second);
}

TEST_F(PipelineTest, AProducerThatTheJournalHasForgottenIsAcknowledgedAnew) {
  Start();
  FakeObserver first;
  pipeline_->Attach(kProducer, &first);
  ASSERT_OK(pipeline_->Submit(MakeBatch(kProducer, 1, "uuu")));
  EXPECT_TRUE(first.AwaitCommitted(3));
  pipeline_->Detach(kProducer, &first);
  journal_.Forget(kProducer);
  journal_.HoldBack(true);
  database_.Block(kUsageLane, true);
  FakeObserver second;
  EXPECT_EQ(pipeline_->Attach(kProducer, &second), 0u);
  ASSERT_OK(pipeline_->Submit(MakeBatch(kProducer, 1, "u")));
  journal_.HoldBack(false);
  EXPECT_TRUE(second.AwaitJournaled(1));
  database_.Block(kUsageLane, false);
  EXPECT_TRUE(second.AwaitCommitted(1));
  pipeline_->Detach(kProducer, &second);
  for (const FakeObserver::Call& call : second.calls()) {
    EXPECT_LE(call.journaled, 1u) << "acknowledged before it came";
  }
  EXPECT_EQ(second.calls().front().committed, 0u);
}

// Without a stream nothing says so beforehand.
TEST_F(PipelineTest, ACallerThatTheJournalHasForgottenWaitsForItsNewEvents) {
  Start();
  FakeCaller first;
  pipeline_->SubmitAndWait(MakeBatch(kProducer, 1, "uuu"), true, first.done());
  EXPECT_TRUE(first.AwaitAnswer());
  journal_.Forget(kProducer);
  database_.Block(kUsageLane, true);
  FakeCaller second;
  pipeline_->SubmitAndWait(MakeBatch(kProducer, 1, "um"), false, second.done());
  EXPECT_TRUE(second.AwaitAnswer());
  EXPECT_TRUE(database_.AwaitPosition(kMessageLane, 1));
  // Sent again: the first of them is pending still.
  FakeCaller again;
  pipeline_->SubmitAndWait(MakeBatch(kProducer, 1, "um"), true, again.done());
  FakeObserver observer;
  pipeline_->Attach(kProducer, &observer);
  EXPECT_TRUE(observer.AwaitJournaled(2));
  EXPECT_EQ(observer.committed(), 0u);
  EXPECT_EQ(again.answers(), 0);
  database_.Block(kUsageLane, false);
  EXPECT_TRUE(again.AwaitAnswer());
  pipeline_->Detach(kProducer, &observer);
}

TEST_F(PipelineTest, ACallerOfOneBatchIsAnsweredOnTheLevelItWaitsFor) {
  database_.Block(kUsageLane, true);
  Start();
  FakeCaller journaled;
  FakeCaller committed;
  pipeline_->SubmitAndWait(MakeBatch(event::Id{}, 1, "um"), false, journaled.done());
  pipeline_->SubmitAndWait(MakeBatch(event::Id{}, 1, "um"), true, committed.done());
  EXPECT_TRUE(journaled.AwaitAnswer());
  EXPECT_OK(journaled.receipt().status);
  EXPECT_FALSE(journaled.receipt().committed);
  EXPECT_TRUE(database_.AwaitPosition(kMessageLane, 2));
  EXPECT_EQ(committed.answers(), 0);
  database_.Block(kUsageLane, false);
  EXPECT_TRUE(committed.AwaitAnswer());
  EXPECT_OK(committed.receipt().status);
  EXPECT_TRUE(committed.receipt().committed);
  EXPECT_EQ(database_.position(kUsageLane), 2u);
}

TEST_F(PipelineTest, ACallerThatSendsAgainWaitsForWhatIsHeldAlready) {
  database_.Block(kUsageLane, true);
  Start();
  FakeCaller first;
  FakeCaller second;
  pipeline_->SubmitAndWait(MakeBatch(kProducer, 1, "uu"), true, first.done());
  pipeline_->SubmitAndWait(MakeBatch(kProducer, 1, "uum"), true, second.done());
  EXPECT_TRUE(database_.AwaitPosition(kMessageLane, 1));
  EXPECT_EQ(second.answers(), 0);
  database_.Block(kUsageLane, false);
  EXPECT_TRUE(second.AwaitAnswer());
  EXPECT_TRUE(first.AwaitAnswer());
  EXPECT_TRUE(second.receipt().committed);
  // And what is settled already is answered at once.
  FakeCaller third;
  pipeline_->SubmitAndWait(MakeBatch(kProducer, 1, "uum"), true, third.done());
  EXPECT_TRUE(third.AwaitAnswer());
  EXPECT_TRUE(third.receipt().committed);
  ExpectWhole(kUsageLane, 2);
}

TEST_F(PipelineTest, ACallerLearnsWhichOfItsOwnEventsWereRejected) {
  database_.Reject(2);
  Start();
  FakeCaller before;
  FakeCaller caller;
  FakeCaller after;
  pipeline_->SubmitAndWait(MakeBatch(event::Id{}, 1, "u"), true, before.done());
  pipeline_->SubmitAndWait(MakeBatch(event::Id{}, 1, "xuum"), true, caller.done());
  pipeline_->SubmitAndWait(MakeBatch(event::Id{}, 1, "u"), true, after.done());
  EXPECT_TRUE(before.AwaitAnswer());
  EXPECT_TRUE(caller.AwaitAnswer());
  EXPECT_TRUE(after.AwaitAnswer());
  EXPECT_TRUE(before.receipt().rejections.empty());
  ASSERT_EQ(caller.receipt().rejections.size(), 1u);
  EXPECT_EQ(caller.receipt().rejections[0].sequence, 2u);
  EXPECT_TRUE(after.receipt().rejections.empty());
}

TEST_F(PipelineTest, ACallerThatSendsAgainLearnsWhatIsRejectedOfThePendingEvents) {
  database_.Reject(2);
  database_.Block(kUsageLane, true);
  Start();
  FakeCaller first;
  FakeCaller second;
  FakeCaller third;
  pipeline_->SubmitAndWait(MakeBatch(kProducer, 1, "uuu"), true, first.done());
  pipeline_->SubmitAndWait(MakeBatch(kProducer, 1, "uuum"), true, second.done());
  pipeline_->SubmitAndWait(MakeBatch(kProducer, 3, "um"), true, third.done());
  EXPECT_TRUE(database_.AwaitPosition(kMessageLane, 1));
  database_.Block(kUsageLane, false);
  for (const FakeCaller* caller : {&first, &second}) {
    ASSERT_TRUE(caller->AwaitAnswer());
    ASSERT_EQ(caller->receipt().rejections.size(), 1u);
    EXPECT_EQ(caller->receipt().rejections[0].sequence, 2u);
  }
  ASSERT_TRUE(third.AwaitAnswer());
  EXPECT_TRUE(third.receipt().rejections.empty());
}

TEST_F(PipelineTest, ACancelledCallerIsAnsweredOnceAndItsBatchGoesOn) {
  database_.Block(kUsageLane, true);
  Start();
  FakeCaller caller;
  const uint64_t number =
      pipeline_->SubmitAndWait(MakeBatch(event::Id{}, 1, "u"), true, caller.done());
  pipeline_->Cancel(number);
  EXPECT_EQ(caller.answers(), 1);
  EXPECT_THAT(caller.receipt().status, StatusIs(absl::StatusCode::kCancelled, _));
  database_.Block(kUsageLane, false);
  EXPECT_TRUE(database_.AwaitPosition(kUsageLane, 1));
  pipeline_->Cancel(number);
  pipeline_->Stop();
  EXPECT_EQ(caller.answers(), 1);
}

TEST_F(PipelineTest, WhatTheJournalDoesNotTakeIsAnsweredAtOnce) {
  Start();
  FakeCaller caller;
  pipeline_->SubmitAndWait(MakeBatch(kProducer, 7, "u"), true, caller.done());
  EXPECT_EQ(caller.answers(), 1);
  EXPECT_THAT(caller.receipt().status, StatusIs(absl::StatusCode::kFailedPrecondition, _));
  EXPECT_THAT(pipeline_->Submit(MakeBatch(kProducer, 7, "u")),
              StatusIs(absl::StatusCode::kFailedPrecondition, _));
  EXPECT_TRUE(
      pipeline_->Drain(base::SystemClock().Steady() + absl::Seconds(60), [] { return false; }));
}

TEST_F(PipelineTest, RoomIsToldOnceToThoseWhoWereRefused) {
  journal_.SetRoom(false);
  Start();
  FakeObserver waiting;
  FakeObserver other;
  pipeline_->Attach(kProducer, &waiting);
  pipeline_->Attach(kOther, &other);
  EXPECT_FALSE(pipeline_->RoomOrNotify(&waiting));
  journal_.SetRoom(true);
  EXPECT_TRUE(pipeline_->RoomOrNotify(&other));
  EXPECT_OK(pipeline_->Submit(MakeBatch(kOther, 1, "u")));
  EXPECT_TRUE(waiting.AwaitRoom());
  ASSERT_OK(pipeline_->Submit(MakeBatch(kOther, 2, "u")));
  EXPECT_TRUE(other.AwaitCommitted(2));
  size_t told = 0;
  for (const FakeObserver::Call& call : waiting.calls()) told += call.what == What::kRoom ? 1 : 0;
  EXPECT_EQ(told, 1u);
  pipeline_->Detach(kProducer, &waiting);
  pipeline_->Detach(kOther, &other);
}

TEST_F(PipelineTest, AJournalThatFailsEndsStreamsAndCallersWithDataLossAndDeliveryGoesOn) {
  database_.Fail(kUsageLane, flow::Verdict::kReconnect);
  Start();
  FakeObserver observer;
  FakeCaller caller;
  pipeline_->Attach(kProducer, &observer);
  ASSERT_OK(pipeline_->Submit(MakeBatch(kProducer, 1, "uu")));
  pipeline_->SubmitAndWait(MakeBatch(event::Id{}, 1, "u"), true, caller.done());
  EXPECT_TRUE(observer.AwaitJournaled(2));
  EXPECT_TRUE(Await([this] { return ReportOf(kUsageLane).head == 3; }));
  journal_.Fail(absl::InternalError("fdatasync: input/output error"));
  EXPECT_TRUE(observer.AwaitEnd());
  EXPECT_TRUE(caller.AwaitAnswer());
  EXPECT_THAT(observer.end(), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("fdatasync")));
  EXPECT_THAT(caller.receipt().status, StatusIs(absl::StatusCode::kDataLoss, _));
  EXPECT_THAT(pipeline_->Submit(MakeBatch(kProducer, 3, "u")),
              StatusIs(absl::StatusCode::kDataLoss, _));
  EXPECT_THAT(pipeline_->Status().journal.failure, StatusIs(absl::StatusCode::kInternal, _));
  // A stream that comes now is told so as well.
  FakeObserver late;
  pipeline_->Attach(kOther, &late);
  EXPECT_TRUE(late.AwaitEnd());

  database_.Heal(kUsageLane);
  EXPECT_TRUE(database_.AwaitPosition(kUsageLane, 3));
  EXPECT_TRUE(
      pipeline_->Drain(base::SystemClock().Steady() + absl::Seconds(60), [] { return false; }));
  EXPECT_FALSE(observer.broke_a_promise());
  pipeline_->Detach(kProducer, &observer);
  pipeline_->Detach(kOther, &late);
}

TEST_F(PipelineTest, ALaneThatMovesAgainEndsTheWaitsOfTheOthers) {
  options_.retry.outage_wait_max = absl::Hours(10'000);
  Start();
  FakeObserver observer;
  pipeline_->Attach(kProducer, &observer);
  ASSERT_OK(pipeline_->Submit(MakeBatch(kProducer, 1, "um")));
  EXPECT_TRUE(observer.AwaitCommitted(2));
  database_.Fail(kMessageLane, flow::Verdict::kOutage);
  database_.Fail(kUsageLane, flow::Verdict::kReconnect);
  ASSERT_OK(pipeline_->Submit(MakeBatch(kProducer, 3, "um")));
  EXPECT_TRUE(AwaitState(kMessageLane, LaneState::kStopped));
  EXPECT_TRUE(database_.AwaitAttempts(kUsageLane, 3));
  database_.Heal(kMessageLane);
  database_.Heal(kUsageLane);
  EXPECT_TRUE(observer.AwaitCommitted(4));
  pipeline_->Detach(kProducer, &observer);
}

TEST_F(PipelineTest, StoppingAnswersEverybodyAndMayBeRepeated) {
  database_.Fail(kUsageLane, flow::Verdict::kReconnect);
  Start();
  FakeObserver observer;
  FakeCaller caller;
  pipeline_->Attach(kProducer, &observer);
  pipeline_->SubmitAndWait(MakeBatch(event::Id{}, 1, "u"), true, caller.done());
  pipeline_->Stop();
  pipeline_->Stop();
  EXPECT_THAT(observer.end(), StatusIs(absl::StatusCode::kUnavailable, _));
  EXPECT_EQ(caller.answers(), 1);
  EXPECT_THAT(caller.receipt().status, StatusIs(absl::StatusCode::kUnavailable, _));
  pipeline_->Detach(kProducer, &observer);
}

TEST(PipelineOptionsTest, AFieldOutOfItsRangeIsNamed) {
  PipelineOptions options;
  options.lanes_per_kind = 17;
  EXPECT_THAT(options.Validate(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("lanes_per_kind")));
  options.lanes_per_kind = 2;
  options.memory_bytes_max = 1;
  EXPECT_THAT(options.Validate(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("memory_bytes_max")));
  options.memory_bytes_max = size_t{1} << 20;
  options.batch_bytes_max = 1;
  EXPECT_THAT(options.Validate(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("batch_bytes_max")));
  options.batch_bytes_max = size_t{1} << 20;
  options.retry.wait_min = absl::ZeroDuration();
  EXPECT_THAT(options.Validate(), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("wait")));
}

}  // namespace
}  // namespace holdfast::pipeline
