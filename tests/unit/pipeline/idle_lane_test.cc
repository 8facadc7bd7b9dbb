// A lane without events finds out by itself what happened to its row in the database.

#include "server/pipeline/pipeline.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/pipeline/pipeline_fixture.h"

namespace holdfast::pipeline {
namespace {

using flow::Verdict;
using test::FakeObserver;
using test::kMessageLane;
using test::kUsageLane;
using test::MakeBatch;
using test::ProducerId;
using testing::HasSubstr;

const event::Id kProducer = ProducerId(1);

class IdleLaneTest : public test::PipelineFixture {
 protected:
  IdleLaneTest() { options_.look_every = absl::Milliseconds(1); }
  ~IdleLaneTest() override {
    if (pipeline_ != nullptr) pipeline_->Detach(kProducer, &observer_);
  }

  void StartAndCommit(absl::string_view letters) {
    Start();
    pipeline_->Attach(kProducer, &observer_);
    EXPECT_OK(pipeline_->Submit(MakeBatch(kProducer, 1, letters)));
    EXPECT_TRUE(observer_.AwaitCommitted(letters.size()));
  }

  FakeObserver observer_;
};

TEST_F(IdleLaneTest, AFailoverThatLostItsCommitsIsReplayedWithoutANewEvent) {
  StartAndCommit("uuuuuuuuuu");
  database_.RollBack(kUsageLane, 4);
  EXPECT_TRUE(database_.AwaitPosition(kUsageLane, 10));
  ExpectWhole(kUsageLane, 10);
  EXPECT_EQ(observer_.committed(), 10u);
  EXPECT_FALSE(observer_.broke_a_promise());
}

TEST_F(IdleLaneTest, WhatAnotherLaneFoundMakesItLookAtOnce) {
  options_.look_every = absl::Hours(1);
  StartAndCommit("umumumumum");
  database_.RollBack(kMessageLane, 2);
  database_.RollBack(kUsageLane, 3);
  EXPECT_OK(pipeline_->Submit(MakeBatch(kProducer, 11, "u")));
  EXPECT_TRUE(database_.AwaitPosition(kMessageLane, 5));
  EXPECT_TRUE(database_.AwaitPosition(kUsageLane, 6));
  ExpectWhole(kMessageLane, 5);
  ExpectWhole(kUsageLane, 6);
}

TEST_F(IdleLaneTest, BooksThatMovedAreShownOnceItLooks) {
  StartAndCommit("u");
  database_.MoveBooks(kUsageLane);
  EXPECT_TRUE(Await([this] { return ReportOf(kUsageLane).seat.committed == 1; }));
}

TEST_F(IdleLaneTest, ALookThatFailsIsShownAndMadeAgain) {
  StartAndCommit("uu");
  database_.RollBack(kUsageLane, 1);
  database_.Fail(kUsageLane, Verdict::kOutage);
  EXPECT_TRUE(AwaitState(kUsageLane, LaneState::kStopped));
  EXPECT_THAT(ReportOf(kUsageLane).reason, HasSubstr("the test's attempt"));
  // What comes meanwhile waits in the journal, as for a cut that fails.
  EXPECT_OK(pipeline_->Submit(MakeBatch(kProducer, 3, "uu")));
  EXPECT_TRUE(observer_.AwaitJournaled(4));
  database_.Heal(kUsageLane);
  EXPECT_TRUE(observer_.AwaitCommitted(4));
  EXPECT_TRUE(AwaitState(kUsageLane, LaneState::kIdle));
  ExpectWhole(kUsageLane, 4);
}

TEST_F(IdleLaneTest, ALaneThatAnotherProcessTookIsFenced) {
  StartAndCommit("u");
  database_.Fence(kUsageLane);
  EXPECT_TRUE(AwaitState(kUsageLane, LaneState::kFenced));
}

}  // namespace
}  // namespace holdfast::pipeline
