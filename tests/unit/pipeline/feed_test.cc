// From memory or from the journal: each event once, in order, and no more memory than allowed.

#include "server/pipeline/feed.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/pipeline/memory.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/pipeline/events.h"
#include "tests/unit/pipeline/fake_journal.h"

namespace holdfast::pipeline {
namespace {

using test::EventText;
using test::kMessageLane;
using test::MakeBatch;
using test::ProducerId;
using test::StatusIs;
using test::TextOf;
using testing::_;

constexpr size_t kMemoryBytes = size_t{1} << 20;
const event::Id kProducer = ProducerId(1);

// Keeps what has become durable, for the test to tell the feed of when it likes.
class Kept final : public journal::Listener {
 public:
  void OnDurable(absl::Span<const journal::Durable> group) override {
    absl::MutexLock lock(&mu_);
    durable_.insert(durable_.end(), group.begin(), group.end());
  }
  void OnFailure(const absl::Status& /*failure*/) override {}

  journal::Durable Await(size_t index) {
    absl::MutexLock lock(&mu_);
    const auto there = [this, index]()
                           ABSL_NO_THREAD_SAFETY_ANALYSIS { return durable_.size() > index; };
    EXPECT_TRUE(mu_.AwaitWithTimeout(absl::Condition(&there), absl::Seconds(60)));
    return durable_.at(index);
  }

 private:
  absl::Mutex mu_;
  std::vector<journal::Durable> durable_ ABSL_GUARDED_BY(mu_);
};

class FeedTest : public testing::Test {
 protected:
  FeedTest() {
    journal_.Start(&kept_);
    MakeFeed({.rows_max = 4096, .bytes_max = size_t{4} << 20});
  }
  ~FeedTest() override { journal_.Stop(); }

  void MakeFeed(const FeedLimits& limits) {
    feed_ =
        std::make_unique<Feed>(kMessageLane, 0, 0, limits, journal_, memory_, base::SystemClock());
  }

  // Makes `count` events more durable; the feed is not told.
  journal::Durable Append(size_t count, size_t padding = 0) {
    EXPECT_OK(
        journal_.Append(MakeBatch(kProducer, sequence_ + 1, std::string(count, 'm'), padding)));
    sequence_ += count;
    return kept_.Await(appended_++);
  }

  // As the pipeline does.
  void Tell(const journal::Durable& durable) {
    Number(durable);
    feed_->OnDurable();
  }

  // The first half of it.
  void Number(const journal::Durable& durable) {
    Arrival arrival;
    arrival.first_ordinal = durable.ordinals.front();
    arrival.last_ordinal = durable.ordinals.back();
    arrival.last_offset = durable.last_offset;
    const auto owner = memory_.TryHold(durable.batch);
    for (size_t i = 0; owner != nullptr && i < owner->items.size(); ++i) {
      const event::Item& item = owner->items[i];
      arrival.events.push_back({durable.first_offset + i, durable.ordinals[i], owner->producer,
                                item.sequence, owner->accepted_at, item.bytes, nullptr, owner});
    }
    feed_->OnNumbered(std::move(arrival));
  }

  void UseUpMemory() {
    do {
      hogs_.push_back(memory_.TryHold(MakeBatch(kProducer, 1, "m", 3000)));
    } while (hogs_.back() != nullptr);
  }

  // So many more events, for which there is no memory.
  void MakeGap(size_t count) {
    UseUpMemory();
    Tell(Append(count, 3000));
    hogs_.clear();
  }

  // The next cut's ordinals; every event is what was sent.
  std::vector<uint64_t> Next() {
    cut_.clear();
    const auto outcome = feed_->Next(&cut_);
    EXPECT_OK(outcome);
    EXPECT_EQ(*outcome, Feed::Outcome::kEvents);
    return Ordinals();
  }

  std::vector<uint64_t> Ordinals() const {
    std::vector<uint64_t> ordinals;
    for (const event::Accepted& event : cut_) {
      ordinals.push_back(event.ordinal);
      v1::Event parsed;
      EXPECT_TRUE(parsed.ParseFromArray(event.bytes.data(), static_cast<int>(event.bytes.size())));
      EXPECT_EQ(TextOf(parsed), EventText(kProducer, event.sequence));
    }
    return ordinals;
  }

  static std::vector<uint64_t> Range(uint64_t first, uint64_t last) {
    std::vector<uint64_t> range;
    for (uint64_t i = first; i <= last; ++i) range.push_back(i);
    return range;
  }

  Kept kept_;
  test::FakeJournal journal_;
  Memory memory_{kMemoryBytes, 2};
  std::unique_ptr<Feed> feed_;
  uint64_t sequence_ = 0;
  size_t appended_ = 0;
  std::vector<event::Accepted> cut_;
  std::vector<std::shared_ptr<const event::Batch>> hogs_;
};

TEST_F(FeedTest, AFeedThatKeepsUpReadsNothingBack) {
  feed_->SeatAt(0);
  Tell(Append(3));
  Tell(Append(2));
  EXPECT_EQ(Next(), Range(1, 5));
  Tell(Append(1));
  EXPECT_EQ(Next(), Range(6, 6));
  EXPECT_EQ(journal_.records_read(), 0u);
}

TEST_F(FeedTest, WhatCameBeforeTheSeatWasTakenIsReadBack) {
  Tell(Append(5));
  feed_->SeatAt(2);
  EXPECT_EQ(Next(), Range(3, 5));
  EXPECT_EQ(journal_.records_read(), 3u);
}

TEST_F(FeedTest, AnEventWithoutMemoryMakesItColdUntilTheJournalIsReadUpToTheHead) {
  feed_->SeatAt(0);
  Tell(Append(2));
  UseUpMemory();
  Tell(Append(11, 3000));
  EXPECT_EQ(Next(), Range(1, 2));
  EXPECT_EQ(Next(), Range(3, 13));
  EXPECT_EQ(journal_.records_read(), 11u);
  hogs_.clear();
  Tell(Append(1));
  EXPECT_EQ(Next(), Range(14, 14));
  EXPECT_EQ(journal_.records_read(), 11u);
}

TEST_F(FeedTest, WhatArrivesBehindAShortGapWaitsInMemory) {
  feed_->SeatAt(0);
  Tell(Append(2));
  MakeGap(10);
  Tell(Append(5));
  Tell(Append(1));
  EXPECT_EQ(Next(), Range(1, 2));
  EXPECT_EQ(Next(), Range(3, 18));
  EXPECT_EQ(journal_.records_read(), 10u);
  Tell(Append(1));
  EXPECT_EQ(Next(), Range(19, 19));
  EXPECT_EQ(journal_.records_read(), 10u);
}

TEST_F(FeedTest, ALaneThatIsFarBehindTakesNoMemoryForWhatArrives) {
  MakeFeed({.rows_max = 2, .bytes_max = size_t{4} << 20});
  feed_->SeatAt(0);
  MakeGap(100);
  const size_t before = memory_.used_bytes();
  Tell(Append(5));
  EXPECT_EQ(memory_.used_bytes(), before);
  for (uint64_t first = 1; first <= 105; first += 2) {
    EXPECT_EQ(Next(), Range(first, std::min<uint64_t>(first + 1, 105)));
  }
}

TEST_F(FeedTest, AGapThatTheJournalHasLostIsPassedOver) {
  feed_->SeatAt(0);
  MakeGap(3);
  Tell(Append(2));
  for (uint64_t ordinal = 1; ordinal <= 3; ++ordinal) journal_.Lose(kMessageLane, ordinal);
  EXPECT_EQ(Next(), Range(4, 5));
}

TEST_F(FeedTest, WhatWaitsBehindAGapStaysWithinTheLanesMemory) {
  feed_->SeatAt(0);
  MakeGap(1);
  for (int i = 0; i < 100; ++i) Tell(Append(10, 2000));
  EXPECT_LE(memory_.used_bytes(), memory_.lane_bytes_max() + (size_t{100} << 10));
  uint64_t last = 0;
  while (last < 1001) {
    const std::vector<uint64_t> cut = Next();
    EXPECT_EQ(cut, Range(last + 1, cut.back()));
    last = cut.back();
    EXPECT_LE(memory_.used_bytes(), kMemoryBytes);
  }
}

TEST_F(FeedTest, WhatWaitsBehindAGapGoesWithTheSeatAndWithGivingUp) {
  feed_->SeatAt(0);
  MakeGap(3);
  Tell(Append(2));
  feed_->SeatAt(4);
  EXPECT_EQ(memory_.used_bytes(), 0u);
  EXPECT_EQ(Next(), Range(5, 5));
  MakeGap(3);
  Tell(Append(2));
  cut_.clear();
  feed_->GiveUp(&cut_);
  EXPECT_EQ(memory_.used_bytes(), 0u);
  feed_->Resume();
  EXPECT_EQ(Next(), Range(6, 10));
}

TEST_F(FeedTest, WhatWaitsBehindAGapAndIsNotDurableGoesWhenTheJournalFails) {
  feed_->SeatAt(0);
  MakeGap(3);
  Tell(Append(2));
  Number(Append(2));
  feed_->OnFailure();
  EXPECT_EQ(Next(), Range(1, 5));
}

TEST_F(FeedTest, NothingIsHandedOutThatThePipelineDoesNotKnowOf) {
  feed_->SeatAt(0);
  // Not hot, so that the journal is read.
  feed_->GiveUp(&cut_);
  Tell(Append(2));
  feed_->Resume();
  const journal::Durable untold = Append(3);
  EXPECT_EQ(Next(), Range(1, 2));
  Tell(untold);
  EXPECT_EQ(Next(), Range(3, 5));
}

TEST_F(FeedTest, GivingUpKeepsTheCutAndNothingElse) {
  MakeFeed({.rows_max = 3, .bytes_max = size_t{4} << 20});
  feed_->SeatAt(0);
  Tell(Append(100, 1000));
  EXPECT_EQ(Next(), Range(1, 3));
  const size_t before = memory_.used_bytes();
  feed_->GiveUp(&cut_);
  EXPECT_EQ(Ordinals(), Range(1, 3));
  EXPECT_LT(memory_.used_bytes(), before / 5);
  // Closed, it takes nothing.
  Tell(Append(1));
  EXPECT_LT(memory_.used_bytes(), before / 5);
  feed_->Resume();
  EXPECT_EQ(Next(), Range(4, 6));
}

TEST_F(FeedTest, AFeedThatNobodyTakesFromLeavesMemoryToOthers) {
  feed_->SeatAt(0);
  for (int i = 0; i < 100; ++i) Tell(Append(10, 2000));
  EXPECT_LE(memory_.used_bytes(), memory_.lane_bytes_max() + (size_t{100} << 10));
  uint64_t last = 0;
  while (last < 1000) {
    const std::vector<uint64_t> cut = Next();
    EXPECT_EQ(cut, Range(last + 1, cut.back()));
    last = cut.back();
    EXPECT_LE(memory_.used_bytes(), kMemoryBytes);
  }
}

TEST_F(FeedTest, ReadingTakesNoMoreThanTheShare) {
  for (int i = 0; i < 100; ++i) Tell(Append(10, 2000));
  feed_->SeatAt(0);
  uint64_t last = 0;
  while (last < 1000) {
    last = Next().back();
    EXPECT_LE(memory_.used_bytes(), memory_.share_bytes() + (size_t{40} << 10));
  }
  cut_.clear();
  EXPECT_EQ(memory_.used_bytes(), 0u);
}

TEST_F(FeedTest, ACutStaysWithinItsLimitsButHoldsAtLeastOneEvent) {
  MakeFeed({.rows_max = 4, .bytes_max = 2500});
  feed_->SeatAt(0);
  Tell(Append(6));
  EXPECT_EQ(Next(), Range(1, 4));
  EXPECT_EQ(Next(), Range(5, 6));
  Tell(Append(3, 1000));
  EXPECT_EQ(Next(), Range(7, 8));
  EXPECT_EQ(Next(), Range(9, 9));
  Tell(Append(2, 5000));
  EXPECT_EQ(Next(), Range(10, 10));
  EXPECT_EQ(Next(), Range(11, 11));
}

TEST_F(FeedTest, ASeatThatMovesBackReplaysFromTheJournal) {
  feed_->SeatAt(0);
  Tell(Append(8));
  EXPECT_EQ(Next(), Range(1, 8));
  Tell(Append(2));
  cut_.clear();
  feed_->SeatAt(4);
  EXPECT_EQ(Next(), Range(5, 10));
}

TEST_F(FeedTest, AJournalThatCannotBeReadLosesNothing) {
  Tell(Append(4));
  feed_->SeatAt(0);
  journal_.RefuseReads(true);
  EXPECT_THAT(feed_->Next(&cut_), StatusIs(absl::StatusCode::kUnavailable, _));
  journal_.RefuseReads(false);
  EXPECT_EQ(Next(), Range(1, 4));
}

TEST_F(FeedTest, WhatIsLostAtTheEndIsSaidOnce) {
  Tell(Append(4));
  journal_.Lose(kMessageLane, 3);
  journal_.Lose(kMessageLane, 4);
  feed_->SeatAt(0);
  EXPECT_EQ(Next(), Range(1, 2));
  cut_.clear();
  const auto outcome = feed_->Next(&cut_);
  ASSERT_OK(outcome);
  EXPECT_EQ(*outcome, Feed::Outcome::kLost);
  EXPECT_EQ(feed_->handed_through(), 4u);
  Tell(Append(1));
  EXPECT_EQ(Next(), Range(5, 5));
}

TEST_F(FeedTest, StopEndsTheWait) {
  feed_->SeatAt(0);
  feed_->Stop();
  const auto outcome = feed_->Next(&cut_);
  ASSERT_OK(outcome);
  EXPECT_EQ(*outcome, Feed::Outcome::kStopped);
}

}  // namespace
}  // namespace holdfast::pipeline
