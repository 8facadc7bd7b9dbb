// Many short lives of a journal on a disk that loses power, processes and syncs at random moments,
// from one seed each. What a life was told is durable, and what a life found when it opened, must
// be there for ever after, once, in order and unchanged.

#include <algorithm>
#include <cstdlib>
#include <map>
#include <random>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"

#include "server/base/log.h"
#include "server/event/kind.h"
#include "tests/unit/journal/fixture.h"

namespace holdfast::journal {
namespace {

using test::ForgetfulDisk;
using ::testing::IsEmpty;

constexpr uint8_t kProducers = 4;
constexpr event::Lane kLanes[] = {0, 16, 17, 32};

// What an event is follows from its producer and sequence, so that a resend says the same.
event::Lane LaneOfEvent(uint8_t producer, uint64_t sequence) {
  return kLanes[(sequence * 31 + producer) % 4];
}

struct Fact {
  uint64_t offset = 0;
  uint8_t producer = 0;
  uint64_t sequence = 0;
  friend bool operator==(const Fact&, const Fact&) = default;
};

class Simulation {
 public:
  explicit Simulation(uint64_t seed) : random_(seed), disk_(seed) {
    options_.producers_max = 8;
    options_.bytes_max = 16 * options_.segment_bytes;
  }

  void Run(int lives) {
    for (int life = 0; life < lives && !::testing::Test::HasFailure(); ++life) {
      SCOPED_TRACE(absl::StrCat("life ", life));
      Live();
    }
    if (!::testing::Test::HasFailure()) LastLife();
  }

  int crashes() const { return crashes_; }
  size_t facts() const {
    size_t count = 0;
    for (const auto& [lane, facts] : facts_) count += facts.size();
    return count;
  }

 private:
  uint64_t Below(uint64_t limit) { return random_() % limit; }
  bool OneIn(uint64_t n) { return Below(n) == 0; }

  // One life: open, check, append, die.
  void Live() {
    if (OneIn(3)) disk_.PowerOffAfter(1 + static_cast<int>(Below(12)));  // Recovery crashes too.
    test::FakeClock clock;
    absl::StatusOr<std::unique_ptr<Journal>> journal =
        Journal::Open(options_, disk_, clock, TestMetrics());
    if (journal.ok()) {
      Check(**journal);
      RecordingListener listener;
      if (OneIn(2)) disk_.PowerOffAfter(1 + static_cast<int>(Below(30)));
      if (OneIn(4)) {
        disk_.FailNth(OneIn(2) ? ForgetfulDisk::Call::kSync : ForgetfulDisk::Call::kWrite,
                      1 + static_cast<int>(Below(15)), absl::UnavailableError("EIO"));
      }
      (*journal)->Start(&listener);
      Work(**journal, listener, clock);
      if (OneIn(4)) {
        (*journal)->Stop();
      } else {
        disk_.PowerOff();
      }
      *journal = nullptr;
      Note(listener);
    }
    ++crashes_;
    disk_.PowerOff();
    disk_.PowerOn(OneIn(3) ? ForgetfulDisk::End::kKill : ForgetfulDisk::End::kPowerCut);
  }

  // When the faults have stopped, everything is there and the journal takes events.
  void LastLife() {
    test::FakeClock clock;
    absl::StatusOr<std::unique_ptr<Journal>> journal =
        Journal::Open(options_, disk_, clock, TestMetrics());
    ASSERT_OK(journal);
    Check(**journal);
    RecordingListener listener;
    (*journal)->Start(&listener);
    Settle(**journal);
    ASSERT_TRUE(Eventually([&] { return !(*journal)->Status().full; }));
    ASSERT_OK((*journal)->Append(NextBatch(**journal, 1)));
    ASSERT_TRUE(listener.WaitForBatches(1));
    EXPECT_EQ(listener.failures(), 0);
    (*journal)->Stop();
  }

  void Work(Journal& journal, RecordingListener& listener, test::FakeClock& clock) {
    size_t appended = 0;
    for (uint64_t left = Below(12); left > 0; --left) {
      const auto producer = static_cast<uint8_t>(1 + Below(kProducers));
      if (!journal.Append(NextBatch(journal, producer)).ok()) break;
      ++appended;
      if (OneIn(3) && (!Await(journal, listener, appended) || listener.failures() > 0)) break;
      if (OneIn(8)) Settle(journal);
      if (OneIn(4)) clock.Advance(OneIn(4) ? absl::Seconds(1) : options_.idle_marker_after);
    }
    if (OneIn(2)) {
      ASSERT_TRUE(Await(journal, listener, appended));
    }
  }

  // Without power no segment can be prepared; what needs one then waits, and the journal counts as
  // full.
  static bool Await(const Journal& journal, const RecordingListener& listener, size_t batches) {
    return Eventually([&] {
      return listener.durable().size() >= batches || listener.failures() > 0 ||
             journal.Status().full;
    });
  }

  std::shared_ptr<const event::Batch> NextBatch(const Journal& journal, uint8_t producer) {
    const uint64_t last = journal.LastSequence(ProducerId(producer));
    const uint64_t first =
        OneIn(4) && last > 0 ? last - Below(std::min<uint64_t>(last, 5)) : last + 1;
    std::vector<event::Lane> lanes;
    for (uint64_t i = 0; i <= Below(OneIn(6) ? 40 : 6); ++i) {
      lanes.push_back(LaneOfEvent(producer, first + i));
    }
    return MakeBatch(producer, first, lanes);
  }

  // Everything known so far is settled.
  void Settle(Journal& journal) {
    for (const event::Lane lane : kLanes) {
      settled_[lane] = std::max(settled_[lane], journal.recovered_heads()[lane]);
    }
    journal.Release(settled_, absl::InfiniteFuture());
  }

  // What the listener was told is a fact.
  void Note(const RecordingListener& listener) {
    for (const Durable& durable : listener.durable()) {
      const event::Batch& batch = *durable.batch;
      const uint8_t producer = batch.producer.bytes[15];
      for (size_t i = durable.first_new_item; i < batch.items.size(); ++i) {
        AddFact(batch.items[i].lane, durable.ordinals[i],
                {durable.first_offset + i, producer, batch.items[i].sequence});
      }
      last_[producer] = std::max(last_[producer], batch.last_sequence);
    }
  }

  void AddFact(event::Lane lane, uint64_t ordinal, const Fact& fact) {
    const auto [place, is_new] = facts_[lane].emplace(ordinal, fact);
    EXPECT_EQ(place->second, fact) << "lane " << lane << " ordinal " << ordinal;
    if (!is_new) return;
    EXPECT_TRUE(events_.emplace(fact.producer, fact.sequence).second) << "taken twice";
    EXPECT_TRUE(offsets_.insert(fact.offset).second) << "offset given twice";
  }

  void Check(Journal& journal) {
    EXPECT_THAT(journal.Status().corruptions, IsEmpty());
    for (const event::Lane lane : kLanes) {
      const uint64_t head = journal.recovered_heads()[lane];
      uint64_t next = settled_[lane] + 1;
      for (const Held& held : ReadAll(journal, lane, settled_[lane])) {
        ASSERT_EQ(held.ordinal, next++) << "lane " << lane;
        const uint8_t producer = held.producer.bytes[15];
        ASSERT_EQ(held.bytes, EventText(producer, held.sequence));
        ASSERT_EQ(LaneOfEvent(producer, held.sequence), lane);
        // What a gateway is told is held must stay.
        AddFact(lane, held.ordinal, {held.offset, producer, held.sequence});
        last_[producer] = std::max(last_[producer], held.sequence);
      }
      ASSERT_EQ(head, next - 1) << "lane " << lane;
      const uint64_t known = facts_[lane].empty() ? 0 : facts_[lane].rbegin()->first;
      ASSERT_LE(known, head) << "lane " << lane;
    }
    for (uint8_t producer = 1; producer <= kProducers; ++producer) {
      ASSERT_EQ(journal.LastSequence(ProducerId(producer)), last_[producer]);
    }
  }

  std::mt19937_64 random_;
  JournalOptions options_ = SmallOptions();
  ForgetfulDisk disk_;
  std::map<event::Lane, std::map<uint64_t, Fact>> facts_;
  std::set<std::pair<uint8_t, uint64_t>> events_;
  std::set<uint64_t> offsets_;
  std::map<uint8_t, uint64_t> last_;
  LanePositions settled_{};
  int crashes_ = 0;
};

// HOLDFAST_CRASH_SEED runs one seed, HOLDFAST_CRASH_SEEDS so many.
uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* const text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

TEST(CrashTest, WhatWasDurableSurvivesEveryCrashOnceAndInOrder) {
  base::SetLogLevel(base::LogLevel::kError);
  const uint64_t first = FromEnvironment("HOLDFAST_CRASH_SEED", 1);
  const uint64_t seeds = FromEnvironment("HOLDFAST_CRASH_SEEDS", first == 1 ? 200 : 1);
  int crashes = 0;
  size_t facts = 0;
  for (uint64_t seed = first; seed < first + seeds && !HasFailure(); ++seed) {
    SCOPED_TRACE(absl::StrCat("HOLDFAST_CRASH_SEED=", seed));
    Simulation simulation(seed);
    simulation.Run(12);
    crashes += simulation.crashes();
    facts += simulation.facts();
  }
  RecordProperty("crashes", crashes);
  RecordProperty("events", static_cast<int>(facts));
  base::SetLogLevel(base::LogLevel::kInfo);
}

}  // namespace
}  // namespace holdfast::journal
