// The values behind the acknowledgements: progress, receipts, streams.

#include <thread>
#include <vector>

#include "server/pipeline/progress.h"
#include "server/pipeline/receipts.h"
#include "server/pipeline/streams.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/pipeline/events.h"
#include "tests/unit/pipeline/fake_observer.h"

namespace holdfast::pipeline {
namespace {

using test::FakeCaller;
using test::FakeObserver;
using test::kMessageLane;
using test::kUsageLane;
using test::MakeBatch;
using test::ProducerId;

const event::Id kProducer = ProducerId(1);
const event::Id kOther = ProducerId(2);

// Gives out offsets and ordinals as the journal does.
class Numbers {
 public:
  journal::Durable Make(const event::Id& producer, uint64_t first_sequence,
                        absl::string_view letters, size_t first_new_item = 0) {
    journal::Durable durable;
    durable.batch = MakeBatch(producer, first_sequence, letters);
    durable.first_new_item = first_new_item;
    durable.ordinals.resize(durable.batch->items.size());
    for (size_t i = first_new_item; i < durable.batch->items.size(); ++i) {
      durable.ordinals[i] = ++heads_[durable.batch->items[i].lane];
      ++last_offset_;
    }
    durable.last_offset = last_offset_;
    durable.first_offset = last_offset_ + 1 - durable.batch->items.size();
    return durable;
  }

 private:
  journal::LanePositions heads_{};
  uint64_t last_offset_ = 0;
};

Progress NewProgress() { return Progress({kUsageLane, kMessageLane}, {}, 0, {}); }

TEST(ProgressTest, AnEventThatArrivesAtAnIdleLaneIsNotTakenForSettled) {
  Progress progress = NewProgress();
  Numbers numbers;
  progress.OnSeated(kUsageLane, 0);
  progress.OnDurable(numbers.Make(kProducer, 1, "u"));
  EXPECT_EQ(progress.Of(kProducer).journaled_through, 1u);
  EXPECT_FALSE(progress.Update(kProducer));
  progress.OnSettled(kUsageLane, 1, 1);
  EXPECT_TRUE(progress.Update(kProducer));
  EXPECT_EQ(progress.Of(kProducer).committed_through, 1u);
  progress.OnDurable(numbers.Make(kProducer, 2, "u"));
  EXPECT_FALSE(progress.Update(kProducer));
}

TEST(ProgressTest, AReplayDoesNotTakeBackWhatWasSaid) {
  Progress progress = NewProgress();
  Numbers numbers;
  progress.OnSeated(kUsageLane, 0);
  progress.OnDurable(numbers.Make(kProducer, 1, "uuu"));
  progress.OnSettled(kUsageLane, 3, 3);
  progress.Update(kProducer);
  progress.OnSeated(kUsageLane, 1);
  progress.UpdateAll();
  EXPECT_EQ(progress.Of(kProducer).committed_through, 3u);
  EXPECT_FALSE(progress.AllSettled());
  progress.OnDurable(numbers.Make(kProducer, 4, "u"));
  progress.UpdateAll();
  EXPECT_EQ(progress.Of(kProducer).committed_through, 3u);
  progress.OnSettled(kUsageLane, 4, 4);
  progress.UpdateAll();
  EXPECT_EQ(progress.Of(kProducer).committed_through, 4u);
}

TEST(ProgressTest, AProducerWithNothingPendingIsThinnedWithoutForgettingHowFarItIs) {
  Progress progress = NewProgress();
  Numbers numbers;
  progress.OnSeated(kUsageLane, 0);
  progress.OnDurable(numbers.Make(kProducer, 1, "uu"));
  progress.OnSettled(kUsageLane, 2, 2);
  progress.UpdateAll();
  progress.OnDurable(numbers.Make(kOther, 1, "u"));
  progress.Thin(10, [](const event::Id&) { return false; });
  EXPECT_EQ(progress.Of(kProducer).committed_through, 2u);
  progress.OnDurable(numbers.Make(kProducer, 3, "u"));
  EXPECT_FALSE(progress.Update(kProducer));
  progress.OnSettled(kUsageLane, 4, 4);
  progress.UpdateAll();
  EXPECT_EQ(progress.Of(kProducer).committed_through, 3u);
  // Above the limit, those the journal has forgotten go.
  progress.Thin(1, [](const event::Id& id) { return id == kOther; });
  EXPECT_EQ(progress.Of(kProducer).journaled_through, 0u);
  EXPECT_EQ(progress.Of(kOther).journaled_through, 1u);
}

TEST(ProgressTest, OnlyLanesWithASeatAreReleasedAndOneWithEventsAndNoneIsNotSettled) {
  journal::LanePositions heads{};
  heads[kUsageLane] = 7;
  Progress progress({kUsageLane, kMessageLane}, heads, 7, {});
  EXPECT_FALSE(progress.AllSettled());
  EXPECT_EQ(progress.Positions()[kUsageLane], 0u);
  progress.OnSeated(kUsageLane, 7);
  EXPECT_TRUE(progress.AllSettled());
  EXPECT_EQ(progress.Positions()[kUsageLane], 7u);
}

TEST(ProgressTest, ARecoveredProducerIsSettledOnceEveryLaneHasPassedItsLastEvent) {
  journal::LanePositions heads{};
  heads[kUsageLane] = 4;
  heads[kMessageLane] = 3;
  // Of the second one a damaged journal knows more than it has.
  Progress progress({kUsageLane, kMessageLane}, heads, 7, {{kOther, 9, 50}, {kProducer, 5, 6}});
  EXPECT_EQ(progress.Of(kProducer).journaled_through, 5u);
  progress.OnSeated(kUsageLane, 4);
  progress.OnSeated(kMessageLane, 1);
  progress.OnSettled(kMessageLane, 1, 5);
  EXPECT_TRUE(progress.UpdateAll().empty());
  progress.OnSettled(kMessageLane, 2, 6);
  EXPECT_EQ(progress.UpdateAll(), std::vector<event::Id>{kProducer});
  EXPECT_EQ(progress.Of(kProducer).committed_through, 5u);
  progress.OnSettled(kMessageLane, 3, 7);
  EXPECT_EQ(progress.UpdateAll(), std::vector<event::Id>{kOther});
  EXPECT_EQ(progress.Of(kOther).committed_through, 9u);
}

class ReceiptsTest : public testing::Test {
 protected:
  uint64_t Add(const journal::Durable& durable, FakeCaller* caller) {
    auto done = caller->done();
    return receipts_.Add(durable.batch.get(), true, done);
  }
  void Arrive(const journal::Durable& durable) {
    progress_.OnDurable(durable);
    receipts_.OnDurable(durable, progress_);
  }
  void Answer() { Send(receipts_.TakeAnswers()); }

  Numbers numbers_;
  Progress progress_ = NewProgress();
  Receipts receipts_;
};

TEST_F(ReceiptsTest, ACallerIsAnsweredWhenItsLastLaneHasSettledItsLastEvent) {
  const journal::Durable durable = numbers_.Make(event::Id{}, 1, "umu");
  FakeCaller caller;
  Add(durable, &caller);
  Arrive(durable);
  receipts_.OnSettled(kMessageLane, 1);
  receipts_.OnSettled(kUsageLane, 1);
  Answer();
  EXPECT_EQ(caller.answers(), 0);
  receipts_.OnSettled(kUsageLane, 2);
  Answer();
  ASSERT_EQ(caller.answers(), 1);
  EXPECT_TRUE(caller.receipt().committed);
}

TEST_F(ReceiptsTest, ACallerWithOldAndNewEventsWaitsForBoth) {
  Arrive(numbers_.Make(kProducer, 1, "uu"));
  const journal::Durable again = numbers_.Make(kProducer, 1, "uum", 2);
  FakeCaller caller;
  Add(again, &caller);
  Arrive(again);
  receipts_.OnSettled(kMessageLane, 1);
  receipts_.OnCommitted(kProducer, 1);
  Answer();
  EXPECT_EQ(caller.answers(), 0);
  receipts_.OnCommitted(kProducer, 2);
  Answer();
  EXPECT_EQ(caller.answers(), 1);
}

TEST_F(ReceiptsTest, OneThatIsCancelledDisturbsNoOther) {
  const journal::Durable first = numbers_.Make(kProducer, 1, "um");
  const journal::Durable second = numbers_.Make(kProducer, 3, "um");
  FakeCaller cancelled;
  FakeCaller caller;
  const uint64_t number = Add(first, &cancelled);
  Add(second, &caller);
  Arrive(first);
  Arrive(second);
  std::optional<pipeline::Answer> answer = receipts_.Cancel(number, absl::CancelledError("gone"));
  ASSERT_TRUE(answer.has_value());
  EXPECT_FALSE(receipts_.Cancel(number, absl::CancelledError("gone")).has_value());
  receipts_.OnRejected({kProducer, 1, 1, 1406, "", ""});
  receipts_.OnRejected({kProducer, 4, 4, 1406, "", ""});
  receipts_.OnSettled(kUsageLane, 2);
  receipts_.OnSettled(kMessageLane, 2);
  Answer();
  ASSERT_EQ(caller.answers(), 1);
  ASSERT_EQ(caller.receipt().rejections.size(), 1u);
  EXPECT_EQ(caller.receipt().rejections[0].sequence, 4u);
  EXPECT_EQ(receipts_.count(), 0u);
}

TEST_F(ReceiptsTest, TooManyCallersAreTurnedAway) {
  std::vector<journal::Durable> batches;
  FakeCaller caller;
  for (size_t i = 0; i < Receipts::kReceiptsMax; ++i) {
    batches.push_back(numbers_.Make(event::Id{}, 1, "u"));
    EXPECT_NE(Add(batches.back(), &caller), 0u);
  }
  EXPECT_EQ(Add(numbers_.Make(event::Id{}, 1, "u"), &caller), 0u);
  receipts_.CancelAll(absl::UnavailableError("over"));
  Answer();
  EXPECT_EQ(caller.answers(), static_cast<int>(Receipts::kReceiptsMax));
}

// Stays within OnProgress until it is let go.
class SlowObserver final : public StreamObserver {
 public:
  void OnProgress(uint64_t journaled_through, uint64_t /*committed_through*/) override {
    absl::MutexLock lock(&mu_);
    seen_.push_back(journaled_through);
    mu_.Await(absl::Condition(&let_go_));
    left_ = seen_.size();
  }
  void OnRejected(const writer::Rejection& /*rejection*/) override {}
  void OnRoom() override {}
  void OnEnd(const absl::Status& /*reason*/) override {}

  void AwaitCall() {
    absl::MutexLock lock(&mu_);
    const auto called = [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return !seen_.empty(); };
    mu_.Await(absl::Condition(&called));
  }
  void LetGo() {
    absl::MutexLock lock(&mu_);
    let_go_ = true;
  }
  std::vector<uint64_t> seen() {
    absl::MutexLock lock(&mu_);
    return seen_;
  }
  size_t left() {
    absl::MutexLock lock(&mu_);
    return left_;
  }

 private:
  absl::Mutex mu_;
  bool let_go_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<uint64_t> seen_ ABSL_GUARDED_BY(mu_);
  size_t left_ ABSL_GUARDED_BY(mu_) = 0;
};

TEST(StreamsTest, WhatIsPostedDuringACallIsToldByTheThreadThatIsInItAndNobodyWaits) {
  Streams streams(base::SystemClock());
  SlowObserver observer;
  streams.Attach(kProducer, &observer, {}, absl::OkStatus());
  streams.PostProgress(kProducer, {1, 0});
  std::thread teller([&streams] { streams.Deliver(); });
  observer.AwaitCall();
  for (uint64_t i = 2; i <= 5; ++i) {
    streams.PostProgress(kProducer, {i, 0});
    streams.Deliver();  // Returns although the observer is busy.
  }
  EXPECT_EQ(observer.seen(), std::vector<uint64_t>{1});
  observer.LetGo();
  teller.join();
  EXPECT_EQ(observer.seen(), (std::vector<uint64_t>{1, 5}));
  streams.Detach(&observer);
}

TEST(StreamsTest, DetachReturnsOnlyWhenNoCallRunsAndNoneComesAfterIt) {
  Streams streams(base::SystemClock());
  auto observer = std::make_unique<SlowObserver>();
  streams.Attach(kProducer, observer.get(), {}, absl::OkStatus());
  streams.PostProgress(kProducer, {1, 0});
  std::thread teller([&streams] { streams.Deliver(); });
  observer->AwaitCall();
  std::thread detacher([&streams, &observer] {
    streams.Detach(observer.get());
    EXPECT_EQ(observer->left(), observer->seen().size());
    observer.reset();  // A call after this would be seen by the sanitizer.
  });
  streams.PostProgress(kProducer, {2, 0});
  observer->LetGo();
  detacher.join();
  teller.join();
  streams.PostProgress(kProducer, {3, 0});
  streams.PostEnd(absl::DataLossError("over"));
  streams.Deliver();
  EXPECT_EQ(streams.count(), 0u);
}

TEST(StreamsTest, ARejectionComesBeforeTheProgressThatWasPostedWithIt) {
  Streams streams(base::SystemClock());
  FakeObserver observer;
  streams.Attach(kProducer, &observer, {}, absl::OkStatus());
  streams.PostProgress(kProducer, {9, 9});
  streams.PostRejection(kProducer, {kProducer, 9, 9, 1406, "", ""});
  streams.Deliver();
  const auto calls = observer.calls();
  ASSERT_EQ(calls.size(), 2u);
  EXPECT_EQ(calls[0].what, FakeObserver::What::kRejected);
  EXPECT_EQ(calls[1].what, FakeObserver::What::kProgress);
  streams.Detach(&observer);
}

TEST(StreamsTest, RoomIsToldToThoseWhoStillWantIt) {
  Streams streams(base::SystemClock());
  FakeObserver wants;
  FakeObserver wanted;
  streams.Attach(kProducer, &wants, {}, absl::OkStatus());
  streams.Attach(kOther, &wanted, {}, absl::OkStatus());
  EXPECT_TRUE(streams.WantRoom(&wants));
  EXPECT_TRUE(streams.WantRoom(&wanted));
  EXPECT_TRUE(streams.NeedNoRoom(&wanted));
  EXPECT_FALSE(streams.NeedNoRoom(&wanted));
  streams.PostRoom();
  streams.PostRoom();
  streams.Deliver();
  EXPECT_EQ(wants.calls().size(), 1u);
  EXPECT_EQ(wanted.calls().size(), 0u);
  EXPECT_FALSE(streams.AnyWantsRoom());
  streams.Detach(&wants);
  streams.Detach(&wanted);
}

}  // namespace
}  // namespace holdfast::pipeline
