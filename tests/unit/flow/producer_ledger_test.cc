#include "server/flow/producer_ledger.h"

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <vector>

#include "gtest/gtest.h"

namespace holdfast::flow {
namespace {

event::Id Producer(uint8_t number) {
  event::Id id;
  id.bytes[0] = number;
  return id;
}

const event::Id kOne = Producer(1);
const event::Id kOther = Producer(2);

TEST(ProducerLedgerTest, NothingIsCommittedOfAProducerThatIsNotKnown) {
  ProducerLedger ledger;
  EXPECT_EQ(ledger.CommittedThrough(kOne), 0u);
  ledger.Journaled(kOne, 3, 3, {{0, 3}});
  EXPECT_EQ(ledger.CommittedThrough(kOther), 0u);
  ledger.Settled(0, 3);
  EXPECT_EQ(ledger.CommittedThrough(kOne), 3u);
  ledger.Forget(kOne);
  EXPECT_EQ(ledger.CommittedThrough(kOne), 0u);
}

TEST(ProducerLedgerTest, AStoppedLaneHoldsBackOnlyThoseWhoUseIt) {
  ProducerLedger ledger;
  ledger.Journaled(kOne, 1, 1, {{0, 1}});
  ledger.Journaled(kOther, 1, 2, {{1, 2}});
  ledger.Settled(1, 2);
  EXPECT_EQ(ledger.CommittedThrough(kOne), 0u);
  EXPECT_EQ(ledger.CommittedThrough(kOther), 1u);
}

TEST(ProducerLedgerTest, ALaneThatHasNothingMoreOfAProducerNoLongerHoldsItBack) {
  ProducerLedger ledger;
  ledger.Journaled(kOne, 10, 10, {{0, 5}, {1, 10}});
  ledger.Settled(0, 5);
  ledger.Settled(1, 10);
  EXPECT_EQ(ledger.CommittedThrough(kOne), 10u);
  ledger.Journaled(kOther, 5, 15, {{0, 15}});  // Lane 0 is busy with another's.
  ledger.Journaled(kOne, 11, 16, {{1, 16}});
  ledger.Settled(1, 16);
  EXPECT_EQ(ledger.CommittedThrough(kOne), 11u);
}

TEST(ProducerLedgerTest, AnEarlierEventThatIsPendingHoldsBackLaterOnes) {
  ProducerLedger ledger;
  ledger.Journaled(kOne, 1, 1, {{0, 1}});
  ledger.Journaled(kOne, 2, 2, {{1, 2}});
  ledger.Settled(1, 2);
  EXPECT_EQ(ledger.CommittedThrough(kOne), 0u);
  ledger.Settled(0, 1);
  EXPECT_EQ(ledger.CommittedThrough(kOne), 2u);
}

TEST(ProducerLedgerTest, RefusedEventsAreCommittedOnceThoseBeforeThemAre) {
  ProducerLedger ledger;
  ledger.Journaled(kOne, 5, 0, {});
  EXPECT_EQ(ledger.CommittedThrough(kOne), 5u);
  ledger.Journaled(kOne, 6, 1, {{0, 1}});
  ledger.Journaled(kOne, 9, 1, {});
  EXPECT_EQ(ledger.CommittedThrough(kOne), 5u);
  ledger.Settled(0, 1);
  EXPECT_EQ(ledger.CommittedThrough(kOne), 9u);
}

TEST(ProducerLedgerTest, ALaneWithNothingPendingHasSomethingOnceItIsJournaled) {
  ProducerLedger ledger;
  ledger.Settled(0, kNothingPending);
  ledger.Journaled(kOne, 1, 7, {{0, 7}});
  EXPECT_EQ(ledger.CommittedThrough(kOne), 0u);
  ledger.Settled(0, kNothingPending);
  EXPECT_EQ(ledger.CommittedThrough(kOne), 1u);
  EXPECT_EQ(ledger.settled(0), kNothingPending);
}

TEST(ProducerLedgerTest, WhatWasSaidIsNotTakenBackWhenALaneIsReplayed) {
  ProducerLedger ledger;
  ledger.Journaled(kOne, 4, 4, {{0, 4}});
  ledger.Settled(0, 4);
  EXPECT_EQ(ledger.CommittedThrough(kOne), 4u);
  ledger.Settled(0, 0);
  EXPECT_EQ(ledger.CommittedThrough(kOne), 4u);
  ledger.Journaled(kOne, 5, 5, {{1, 5}});
  ledger.Settled(1, 5);
  EXPECT_EQ(ledger.CommittedThrough(kOne), 4u);  // Not 5: lane 0 is pending again.
  ledger.Settled(0, 4);
  EXPECT_EQ(ledger.CommittedThrough(kOne), 5u);
}

TEST(ProducerLedgerTest, ABacklogBeyondTheCheckpointsIsStillAcknowledgedInSteps) {
  constexpr uint64_t kEvents = 20 * ProducerLedger::kCheckpointsMax;
  ProducerLedger ledger;
  for (uint64_t i = 1; i <= kEvents; ++i) ledger.Journaled(kOne, i, i, {{0, i}});
  std::set<uint64_t> steps;
  uint64_t widest = 0;
  for (uint64_t i = 1; i <= kEvents; ++i) {
    ledger.Settled(0, i);
    const uint64_t committed = ledger.CommittedThrough(kOne);
    ASSERT_LE(committed, i);
    widest = std::max(widest, i - committed);
    steps.insert(committed);
  }
  EXPECT_EQ(ledger.CommittedThrough(kOne), kEvents);
  EXPECT_LE(steps.size(), ProducerLedger::kCheckpointsMax + 1);  // So memory is bounded.
  EXPECT_LT(widest, kEvents / 100);
}

// A ledger that remembers every event.
class NaiveLedger {
 public:
  struct Event {
    event::Id producer;
    uint64_t sequence;
    uint64_t offset;
    event::Lane lane;
  };

  void Take(const Event& event) { events_.push_back(event); }
  void Hear(const event::Id& producer, uint64_t sequence) { last_[producer] = sequence; }
  void Settle(event::Lane lane, uint64_t offset) { settled_[lane] = offset; }

  // No ledger may say more than this.
  uint64_t CommittedThrough(const event::Id& producer) {
    uint64_t committed = last_[producer];
    for (const Event& event : events_) {
      if (event.producer == producer && event.offset > settled_[event.lane]) {
        committed = std::min(committed, event.sequence - 1);
      }
    }
    return said_[producer] = std::max(said_[producer], committed);
  }

 private:
  std::vector<Event> events_;
  std::map<event::Id, uint64_t> last_;
  std::map<event::Id, uint64_t> said_;
  std::map<event::Lane, uint64_t> settled_;
};

class Scenario {
 public:
  explicit Scenario(uint64_t seed) : random_(seed) {}

  // Of `journal_share` + 2 steps all but two journal something: with many of them there is a
  // backlog.
  void Run(int steps, size_t journal_share) {
    for (int i = 0; i < steps; ++i) {
      switch (Below(journal_share + 2)) {
        case 0:
          SettleSome(static_cast<event::Lane>(Below(kLanes)));
          break;
        case 1:
          Check();
          break;
        default:
          Journal();
          break;
      }
    }
    for (event::Lane lane = 0; lane < kLanes; ++lane) Settle(lane, heads_[lane]);
    for (uint8_t i = 0; i < kProducers; ++i) {
      EXPECT_EQ(ledger_.CommittedThrough(Producer(i)), sequences_[i]);
    }
  }

 private:
  static constexpr uint8_t kProducers = 3;
  static constexpr event::Lane kLanes = 5;

  size_t Below(size_t limit) { return random_() % limit; }

  void Journal() {
    const auto producer = static_cast<uint8_t>(Below(kProducers));
    std::map<event::Lane, uint64_t> last_offsets;
    for (size_t count = 1 + Below(6); count > 0; --count) {
      ++sequences_[producer];
      if (Below(5) == 0) continue;  // A refused one.
      const auto lane = static_cast<event::Lane>(Below(kLanes));
      ++offset_;
      naive_.Take({Producer(producer), sequences_[producer], offset_, lane});
      // Nothing was pending; now something is.
      if (settled_[lane] == kNothingPending) Remember(lane, heads_[lane]);
      heads_[lane] = last_offsets[lane] = offset_;
    }
    std::vector<ProducerLedger::LaneOffset> lanes;
    for (const auto& [lane, last_offset] : last_offsets) lanes.push_back({lane, last_offset});
    ledger_.Journaled(Producer(producer), sequences_[producer], offset_, lanes);
    naive_.Hear(Producer(producer), sequences_[producer]);
  }

  void SettleSome(event::Lane lane) {
    if (settled_[lane] == kNothingPending) return;
    const uint64_t todo = heads_[lane] - settled_[lane];
    const uint64_t reached = settled_[lane] + Below(todo + 1);
    const bool all = reached == heads_[lane];
    if (all && Below(2) == 0) return Settle(lane, kNothingPending);
    if (Below(20) == 0) return Settle(lane, Below(reached + 1));  // A replay.
    Settle(lane, reached);
  }

  void Settle(event::Lane lane, uint64_t offset) {
    ledger_.Settled(lane, offset);
    Remember(lane, offset);
  }
  void Remember(event::Lane lane, uint64_t offset) {
    settled_[lane] = offset;
    naive_.Settle(lane, offset);
  }

  // The naive ledger is asked every time too: what it once said stays said.
  void Check() {
    for (uint8_t i = 0; i < kProducers; ++i) {
      const uint64_t most = naive_.CommittedThrough(Producer(i));
      const uint64_t said = ledger_.CommittedThrough(Producer(i));
      ASSERT_LE(said, most);
      ASSERT_GE(said, said_[i]);
      said_[i] = said;
    }
  }

  std::mt19937_64 random_;
  ProducerLedger ledger_;
  NaiveLedger naive_;
  uint64_t offset_ = 0;
  std::map<uint8_t, uint64_t> sequences_;
  std::map<uint8_t, uint64_t> said_;
  std::map<event::Lane, uint64_t> heads_;
  std::map<event::Lane, uint64_t> settled_;
};

TEST(ProducerLedgerTest, NeverSaysMoreThanIsTrueAndSaysAllOnceAllIsSettled) {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    SCOPED_TRACE(seed);
    Scenario(seed).Run(200, 2);
    if (testing::Test::HasFailure()) return;
  }
}

TEST(ProducerLedgerTest, NeverSaysMoreThanIsTrueOfABacklogBeyondTheCheckpointsEither) {
  for (uint64_t seed = 0; seed < 2; ++seed) {
    SCOPED_TRACE(seed);
    Scenario(seed).Run(8000, 100);
    if (testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace holdfast::flow
