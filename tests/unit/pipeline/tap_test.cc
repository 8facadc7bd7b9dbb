// What those who watch are shown, and what it costs.

#include "server/pipeline/tap.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/unit/pipeline/pipeline_fixture.h"

namespace holdfast::pipeline {
namespace {

using test::kMessageLane;
using test::kUsageLane;
using test::MakeBatch;
using test::ProducerId;
using ::testing::SizeIs;

const absl::Time kNow = absl::FromUnixSeconds(1767225600);

TapOptions Options(uint32_t rate_max, bool content = false,
                   std::optional<event::Kind> kind = std::nullopt) {
  TapOptions options;
  options.rate_max = rate_max;
  options.content = content;
  options.kind = kind;
  return options;
}

// Events 1 to n of a lane each, all in one batch.
journal::Durable Group(absl::string_view letters, uint64_t first_ordinal = 1) {
  journal::Durable durable;
  durable.batch = MakeBatch(ProducerId(1), first_ordinal, letters);
  const size_t items = durable.batch->items.size();
  durable.first_offset = first_ordinal;
  durable.last_offset = first_ordinal + items - 1;
  for (size_t i = 0; i < items; ++i) durable.ordinals.push_back(first_ordinal + i);
  return durable;
}

TEST(TapTest, NobodyListensUntilSomebodyDoes) {
  Tap tap;
  EXPECT_FALSE(tap.listening());
  const auto queue = tap.Listen({});
  EXPECT_TRUE(tap.listening());
  tap.Leave(queue);
  EXPECT_FALSE(tap.listening());
}

TEST(TapTest, OnlySoManyMayListen) {
  Tap tap;
  std::vector<std::shared_ptr<TapQueue>> queues;
  for (size_t i = 0; i < Tap::kListenersMax; ++i) queues.push_back(tap.Listen({}));
  EXPECT_EQ(tap.Listen({}), nullptr);
  tap.Leave(queues[0]);
  EXPECT_NE(tap.Listen({}), nullptr);
}

TEST(TapTest, AnEventIsShownOnceItIsSettled) {
  Tap tap;
  const auto queue = tap.Listen({});
  tap.OnDurable({Group("u")}, kNow);
  EXPECT_TRUE(queue->Take(absl::InfinitePast(), absl::Seconds(1)).empty());
  tap.OnSettled(kUsageLane, 1, {}, kNow);
  const TapQueue::Taken taken = queue->Take(kNow, absl::Seconds(1));
  ASSERT_THAT(taken.events, SizeIs(1));
  EXPECT_EQ(taken.events[0].outcome, Tapped::Outcome::kCommitted);
  EXPECT_EQ(taken.events[0].lane, kUsageLane);
  EXPECT_EQ(taken.events[0].sequence, 1);
  EXPECT_GT(taken.events[0].bytes, 0);
  EXPECT_EQ(taken.events[0].content, "");
  EXPECT_TRUE(queue->Take(kNow, absl::Seconds(1)).empty());
}

TEST(TapTest, AnEventThatDoesNotSettleIsShownAsJournaledAfterAWhile) {
  Tap tap;
  const auto queue = tap.Listen({});
  const journal::Durable durable = Group("u");
  tap.OnDurable({durable}, kNow);
  tap.OnSettled(kMessageLane, 9, {}, kNow);  // Another lane's.
  const absl::Time accepted_at = durable.batch->accepted_at;
  EXPECT_TRUE(queue->Take(accepted_at, absl::Seconds(1)).empty());
  const TapQueue::Taken taken = queue->Take(accepted_at + absl::Seconds(1), absl::Seconds(1));
  ASSERT_THAT(taken.events, SizeIs(1));
  EXPECT_EQ(taken.events[0].outcome, Tapped::Outcome::kJournaled);
}

TEST(TapTest, ARefusalAndAQuarantineAreShownWithTheirReasons) {
  Tap tap;
  const auto queue = tap.Listen({});
  tap.OnDurable({Group("ux")}, kNow);
  writer::Rejection rejection;
  rejection.offset = 1;
  rejection.reason = "Data too long";
  tap.OnSettled(kUsageLane, 1, {rejection}, kNow);
  const TapQueue::Taken taken = queue->Take(kNow, absl::Seconds(1));
  ASSERT_THAT(taken.events, SizeIs(2));
  EXPECT_EQ(taken.events[0].outcome, Tapped::Outcome::kQuarantined);
  EXPECT_EQ(taken.events[0].reason, "Data too long");
  EXPECT_EQ(taken.events[1].outcome, Tapped::Outcome::kRefused);
  EXPECT_EQ(taken.events[1].sequence, 2);
  EXPECT_FALSE(taken.events[1].lane.has_value());
  EXPECT_NE(taken.events[1].reason, "");
}

TEST(TapTest, NoMoreThanTheRateIsCopiedAndTheRestIsCounted) {
  Tap tap;
  const auto queue = tap.Listen(Options(10));
  uint64_t shown = 0;
  uint64_t not_sampled = 0;
  for (int i = 0; i < 100; ++i) {  // Five seconds with 2,000 events.
    const absl::Time now = kNow + i * absl::Milliseconds(50);
    tap.OnDurable({Group("uuuuuuuuuuuuuuuuuuuu", 1 + static_cast<uint64_t>(i) * 20)}, now);
    const TapQueue::Taken taken = queue->Take(absl::InfiniteFuture(), absl::ZeroDuration());
    shown += taken.events.size();
    not_sampled += taken.not_sampled;
    EXPECT_EQ(taken.dropped, 0);
  }
  EXPECT_EQ(shown + not_sampled, 2000);
  EXPECT_GE(shown, 45);
  EXPECT_LE(shown, 60);
}

TEST(TapTest, AReaderThatTakesNothingCostsBoundedMemoryAndIsToldWhatItMissed) {
  Tap tap;
  const auto queue = tap.Listen(Options(1000, true));
  const uint64_t groups = 200;
  for (uint64_t i = 0; i < groups; ++i) {
    tap.OnDurable({Group("uuuuuuuuuuuuuuuuuuuu", 1 + i * 20)}, kNow + i * absl::Milliseconds(20));
  }
  const TapQueue::Taken taken = queue->Take(absl::InfiniteFuture(), absl::ZeroDuration());
  EXPECT_THAT(taken.events, SizeIs(TapQueue::kEventsMax));
  EXPECT_GT(taken.dropped, 0);
  EXPECT_EQ(taken.events.size() + taken.dropped + taken.not_sampled, groups * 20);
}

TEST(TapTest, ContentIsCopiedForThoseWhoAskedAndBounded) {
  Tap tap;
  const auto with = tap.Listen(Options(1000, true));
  const auto without = tap.Listen(Options(1000));
  journal::Durable durable = Group("u");
  durable.batch = MakeBatch(ProducerId(1), 1, "m", 900 << 10);
  for (int i = 0; i < 6; ++i) tap.OnDurable({durable}, kNow + i * absl::Seconds(1));
  const TapQueue::Taken taken = with->Take(absl::InfiniteFuture(), absl::ZeroDuration());
  EXPECT_THAT(taken.events, SizeIs(2));
  EXPECT_EQ(taken.dropped, 4);
  EXPECT_EQ(taken.events[0].content, std::string(durable.batch->items[0].bytes));
  const TapQueue::Taken bare = without->Take(absl::InfiniteFuture(), absl::ZeroDuration());
  EXPECT_THAT(bare.events, SizeIs(6));
  EXPECT_EQ(bare.events[0].content, "");
  EXPECT_EQ(bare.events[0].bytes, taken.events[0].content.size());
}

TEST(TapTest, WhatWasHeldAlreadyDoesNotArriveAgain) {
  Tap tap;
  const auto queue = tap.Listen(Options(1000));
  journal::Durable durable = Group("uuu");
  durable.first_new_item = 2;
  tap.OnDurable({durable}, kNow);
  const TapQueue::Taken taken = queue->Take(absl::InfiniteFuture(), absl::ZeroDuration());
  ASSERT_THAT(taken.events, SizeIs(1));
  EXPECT_EQ(taken.events[0].sequence, 3);
  EXPECT_EQ(taken.not_sampled, 0);
}

TEST(TapTest, OnlyTheKindThatWasAskedForIsShown) {
  Tap tap;
  const auto queue = tap.Listen(Options(1000, false, event::Kind::kMessage));
  tap.OnDurable({Group("uxm")}, kNow);
  const TapQueue::Taken taken = queue->Take(absl::InfiniteFuture(), absl::ZeroDuration());
  ASSERT_THAT(taken.events, SizeIs(1));
  EXPECT_EQ(taken.events[0].lane, kMessageLane);
}

class TappedPipelineTest : public test::PipelineFixture {};

TEST_F(TappedPipelineTest, EventsThatGoThroughAPipelineAreShownWithTheirOutcome) {
  Start();
  const auto queue = pipeline_->tap().Listen(Options(1000));
  ASSERT_TRUE(pipeline_->Submit(MakeBatch(ProducerId(1), 1, "u")).ok());
  TapQueue::Taken taken;
  ASSERT_TRUE(Await([&] {
    if (taken.events.empty()) {
      taken = queue->Take(absl::InfinitePast(), absl::InfiniteDuration());
    }
    return !taken.events.empty();
  }));
  EXPECT_EQ(taken.events[0].outcome, Tapped::Outcome::kCommitted);
  EXPECT_EQ(taken.events[0].ordinal, 1);
  pipeline_->tap().Leave(queue);
}

}  // namespace
}  // namespace holdfast::pipeline
