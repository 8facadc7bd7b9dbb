// Many threads and a database that comes and goes: nothing is lost, doubled or out of order.

#include <atomic>
#include <random>
#include <thread>
#include <vector>

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

class StressTest : public test::PipelineFixture {
 protected:
  static constexpr uint8_t kProducers = 4;
  static constexpr uint64_t kBatches = 150;
  static constexpr uint64_t kEventsPerBatch = 10;
  static constexpr uint64_t kEvents = kBatches * kEventsPerBatch;

  void Submit(const event::Id& producer) {
    for (uint64_t batch = 0; batch < kBatches; ++batch) {
      EXPECT_OK(
          pipeline_->Submit(MakeBatch(producer, batch * kEventsPerBatch + 1, "umumumumum", 1500)));
    }
  }

  // Each lane in turn fails, loses answers and works.
  void Disturb(const std::atomic<bool>* over) {
    std::minstd_rand random(7);
    const std::vector<Verdict> verdicts = {Verdict::kRetry, Verdict::kReconnect, Verdict::kUnknown,
                                           Verdict::kOutage};
    while (!over->load()) {
      const event::Lane lane = random() % 2 == 0 ? kUsageLane : kMessageLane;
      switch (random() % 4) {
        case 0:
          database_.Fail(lane, verdicts[random() % verdicts.size()]);
          break;
        case 1:
          database_.LoseAnswer(lane);
          break;
        case 2:
          database_.FailNext(lane, verdicts[random() % verdicts.size()], 1);
          break;
        default:
          database_.Heal(lane);
      }
      base::SystemClock().Sleep(absl::Milliseconds(1));  // Pace, not synchronisation.
    }
    for (const event::Lane lane : {kUsageLane, kMessageLane}) database_.Heal(lane);
  }
};

TEST_F(StressTest, SwitchingBetweenMemoryAndJournalLosesNothing) {
  options_.memory_bytes_max = size_t{1} << 20;
  options_.writer.rows_max = 64;
  Start();
  std::vector<FakeObserver> observers(kProducers);
  std::vector<std::thread> threads;
  for (uint8_t i = 0; i < kProducers; ++i) {
    pipeline_->Attach(ProducerId(i), &observers[i]);
    threads.emplace_back([this, i] { Submit(ProducerId(i)); });
  }
  std::atomic<bool> over{false};
  std::thread disturber([this, &over] { Disturb(&over); });
  std::thread onlooker([this, &over] {
    while (!over.load()) {
      EXPECT_EQ(pipeline_->Status().lanes.size(), 3u);
      base::SystemClock().Sleep(absl::Milliseconds(1));
    }
  });
  for (std::thread& thread : threads) thread.join();
  for (const FakeObserver& observer : observers) EXPECT_TRUE(observer.AwaitJournaled(kEvents));
  over.store(true);
  disturber.join();
  onlooker.join();
  for (const FakeObserver& observer : observers) {
    EXPECT_TRUE(observer.AwaitCommitted(kEvents));
    EXPECT_FALSE(observer.broke_a_promise());
  }
  ExpectWhole(kUsageLane, kProducers * kEvents / 2);
  ExpectWhole(kMessageLane, kProducers * kEvents / 2);
  // Otherwise it has not shown anything.
  EXPECT_GT(journal_.records_read(), 0u);
  for (uint8_t i = 0; i < kProducers; ++i) pipeline_->Detach(ProducerId(i), &observers[i]);
}

TEST_F(StressTest, StreamsMayComeAndGoWhileEverythingRuns) {
  Start();
  std::vector<std::thread> threads;
  for (uint8_t i = 0; i < kProducers; ++i) {
    threads.emplace_back([this, i] {
      const event::Id producer = ProducerId(i);
      uint64_t sequence = 0;
      for (int round = 0; round < 100; ++round) {
        FakeObserver observer;
        EXPECT_EQ(pipeline_->Attach(producer, &observer), sequence);
        EXPECT_OK(pipeline_->Submit(MakeBatch(producer, sequence + 1, "um")));
        sequence += 2;
        if (round % 3 == 0) {
          EXPECT_TRUE(observer.AwaitCommitted(sequence));
        }
        pipeline_->Detach(producer, &observer);
        EXPECT_FALSE(observer.broke_a_promise());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(
      pipeline_->Drain(base::SystemClock().Steady() + absl::Seconds(60), [] { return false; }));
  ExpectWhole(kUsageLane, kProducers * 100);
}

}  // namespace
}  // namespace holdfast::pipeline
