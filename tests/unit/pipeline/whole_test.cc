// The pipeline with the real journal and the real writer, on a disk and a database in memory that
// fail as real ones do: what is acknowledged is in the tables, and everything is there once.

#include <atomic>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/numbers.h"

#include "server/base/clock.h"
#include "server/journal/journal.h"
#include "server/metrics/metrics.h"
#include "server/pipeline/pipeline.h"
#include "tests/support/fake_database.h"
#include "tests/support/forgetful_disk.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/pipeline/events.h"
#include "tests/unit/pipeline/fake_observer.h"

namespace holdfast::pipeline {
namespace {

using test::EventText;
using test::FakeCall;
using test::FakeCaller;
using test::FakeFault;
using test::FakeObserver;
using test::ForgetfulDisk;
using test::MakeBatch;
using test::ProducerId;

constexpr uint8_t kProducers = 3;
constexpr uint64_t kEventsPerBatch = 8;

class WholeTest : public testing::Test {
 protected:
  WholeTest() {
    journal_options_.segment_bytes = uint64_t{256} << 10;
    journal_options_.bytes_max = uint64_t{64} << 20;
    journal_options_.retention_bytes = uint64_t{32} << 20;
    journal_options_.producers_max = 16;
    options_.memory_bytes_max = size_t{1} << 20;
    options_.retry.wait_min = absl::Milliseconds(1);
    options_.retry.wait_max = absl::Milliseconds(4);
    options_.retry.outage_wait_max = absl::Milliseconds(4);
    options_.writer.writer_id = "whole";
    options_.writer.rows_max = 64;
  }

  ~WholeTest() override { Stop(); }

  void Start() {
    auto journal = journal::Journal::Open(journal_options_, disk_, base::SystemClock(), metrics_);
    ASSERT_OK(journal);
    journal_ = *std::move(journal);
    options_.writer.journal_id = journal_->journal_id();
    ASSERT_OK(options_.Validate());
    pipeline_ = Pipeline::Make(options_, *journal_, database_, base::SystemClock(), metrics_);
    pipeline_->Start();
  }

  void Stop() {
    pipeline_.reset();
    journal_.reset();
  }

  // Sends a producer's events up to `last`, from wherever the journal has it; ends early if the
  // stream does, or after `patience`. Returns how far it was told that its events are durable.
  uint64_t Send(const event::Id& producer, uint64_t last,
                absl::Duration patience = absl::Seconds(60)) {
    FakeObserver observer;
    uint64_t sent = pipeline_->Attach(producer, &observer);
    while (sent < last && observer.end().ok()) {
      const auto batch = MakeBatch(producer, sent + 1, "umumumum", 300, 2, 7);
      if (!pipeline_->Submit(batch).ok()) break;
      sent += kEventsPerBatch;
    }
    if (sent >= last) observer.AwaitJournaledOrEnd(last, patience);
    pipeline_->Detach(producer, &observer);
    EXPECT_FALSE(observer.broke_a_promise());
    return observer.journaled();
  }

  bool Drain() {
    return pipeline_->Drain(base::SystemClock().Steady() + absl::Seconds(60), [] { return false; });
  }

  static uint64_t Sum(const std::vector<mysql::ResultRow>& rows, size_t column) {
    uint64_t sum = 0;
    for (const mysql::ResultRow& row : rows) {
      uint64_t value = 0;
      EXPECT_TRUE(absl::SimpleAtoi(row.at(column).value(), &value));
      sum += value;
    }
    return sum;
  }

  // Every event of every producer up to `last` is there, counted once, and the books balance.
  void ExpectWhole(uint64_t last) {
    const uint64_t events = kProducers * last;
    absl::flat_hash_set<std::string> messages;
    for (const mysql::ResultRow& row : database_.Read("message", {"ig_message_id"})) {
      messages.insert(row.at(0).value());
    }
    EXPECT_EQ(messages.size(), events / 2);
    for (uint8_t producer = 0; producer < kProducers; ++producer) {
      for (uint64_t sequence = 2; sequence <= last; sequence += 2) {
        ASSERT_TRUE(messages.contains(EventText(ProducerId(producer), sequence)));
      }
    }
    EXPECT_EQ(database_.Count("message"), events / 2);
    EXPECT_EQ(database_.Count("usage_records"), events / 2);
    EXPECT_EQ(Sum(database_.Read("usage_stats", {"requests"}), 0), events / 2);
    const auto lanes = database_.Read(
        "holdfast_lanes", {"position", "committed", "duplicate", "quarantined", "adjusted"});
    EXPECT_EQ(Sum(lanes, 0), events);
    EXPECT_EQ(Sum(lanes, 1) + Sum(lanes, 2) + Sum(lanes, 3), events);
    EXPECT_EQ(Sum(lanes, 4), 0u);
  }

  ForgetfulDisk disk_;
  test::FakeDatabase database_;
  metrics::Metrics metrics_{"test"};
  journal::JournalOptions journal_options_;
  PipelineOptions options_;
  std::unique_ptr<journal::Journal> journal_;
  std::unique_ptr<Pipeline> pipeline_;
};

TEST_F(WholeTest, EventsComeThroughOnBothLevels) {
  ASSERT_NO_FATAL_FAILURE(Start());
  FakeCaller caller;
  pipeline_->SubmitAndWait(MakeBatch(event::Id{}, 1, "umu"), true, caller.done());
  ASSERT_TRUE(caller.AwaitAnswer());
  EXPECT_OK(caller.receipt().status);
  EXPECT_EQ(database_.Count("usage_records"), 2u);
  EXPECT_EQ(database_.Count("message"), 1u);
  EXPECT_TRUE(Drain());
}

TEST_F(WholeTest, AnEventWithAnIdThatIsTakenByOtherContentIsRejectedToItsSender) {
  ASSERT_NO_FATAL_FAILURE(Start());
  FakeCaller first;
  FakeCaller second;
  // The same ids, charged to other keys.
  pipeline_->SubmitAndWait(MakeBatch(event::Id{}, 1, "uu", 0, 2, 1), true, first.done());
  ASSERT_TRUE(first.AwaitAnswer());
  pipeline_->SubmitAndWait(MakeBatch(event::Id{}, 1, "uu", 0, 2, 2), true, second.done());
  ASSERT_TRUE(second.AwaitAnswer());
  EXPECT_TRUE(first.receipt().rejections.empty());
  ASSERT_EQ(second.receipt().rejections.size(), 1u);
  EXPECT_EQ(second.receipt().rejections[0].sequence, 1u);
  EXPECT_EQ(database_.Count("holdfast_quarantine"), 1u);
}

TEST_F(WholeTest, ABacklogFromALongOutageIsDeliveredOnce) {
  database_.SetDown(true);
  ASSERT_NO_FATAL_FAILURE(Start());
  static constexpr uint64_t kLast = 2400;
  std::vector<std::thread> senders;
  for (uint8_t i = 0; i < kProducers; ++i) {
    senders.emplace_back([this, i] { EXPECT_EQ(Send(ProducerId(i), kLast), kLast); });
  }
  for (std::thread& sender : senders) sender.join();
  database_.SetDown(false);
  EXPECT_TRUE(Drain());
  ExpectWhole(kLast);
}

// Every tenth call fails in one way or another.
class BadDay {
 public:
  explicit BadDay(uint64_t seed) : random_(seed) {}

  FakeFault operator()(const FakeCall& call) {
    absl::MutexLock lock(&mu_);
    if (random_() % 10 != 0) return {};
    const bool commits = call.kind == FakeCall::Kind::kCommit;
    switch (random_() % 4) {
      case 0:
        return {.error_number = 1213};
      case 1:
        return {.error_number = 1205};
      case 2:
        return {.error_number = 2013, .took_effect = commits};
      default:
        return {.error_number = 2013, .server_lives_on = true};
    }
  }

 private:
  absl::Mutex mu_;
  std::mt19937_64 random_ ABSL_GUARDED_BY(mu_);
};

class BadDayTest : public WholeTest, public testing::WithParamInterface<uint64_t> {};

TEST_P(BadDayTest, NothingIsLostOrDoubledByADatabaseThatFails) {
  const auto bad_day = std::make_shared<BadDay>(GetParam());
  database_.SetFaults([bad_day](const FakeCall& call) { return (*bad_day)(call); });
  ASSERT_NO_FATAL_FAILURE(Start());
  static constexpr uint64_t kLast = 800;
  std::vector<std::thread> senders;
  for (uint8_t i = 0; i < kProducers; ++i) {
    senders.emplace_back([this, i] { EXPECT_EQ(Send(ProducerId(i), kLast), kLast); });
  }
  std::mt19937_64 random(GetParam());
  for (int i = 0; i < 5; ++i) {
    base::SystemClock().Sleep(absl::Milliseconds(5));  // Pace, not synchronisation.
    database_.FailOver(random() % 4);
  }
  for (std::thread& sender : senders) sender.join();
  database_.SetFaults(nullptr);
  database_.EndZombies(random() % 2 == 0);
  EXPECT_TRUE(Drain());
  ExpectWhole(kLast);
}

TEST_P(BadDayTest, WhatWasAcknowledgedSurvivesAPowerCutAndTheRestIsSentAgain) {
  static constexpr uint64_t kLast = 800;
  // A journal that needs a new segment from a dead disk waits for it, and so it would.
  static constexpr absl::Duration kPatience = absl::Milliseconds(200);
  std::mt19937_64 random(GetParam());
  for (int life = 0; life < 4; ++life) {
    ASSERT_NO_FATAL_FAILURE(Start());
    disk_.PowerOffAfter(static_cast<int>(random() % 40) + 5);
    std::vector<std::thread> senders;
    std::vector<uint64_t> acknowledged(kProducers);
    for (uint8_t i = 0; i < kProducers; ++i) {
      senders.emplace_back(
          [this, i, &acknowledged] { acknowledged[i] = Send(ProducerId(i), kLast, kPatience); });
    }
    for (std::thread& sender : senders) sender.join();
    disk_.PowerOff();
    Stop();
    disk_.PowerOn(random() % 2 == 0 ? ForgetfulDisk::End::kPowerCut : ForgetfulDisk::End::kKill);
    ASSERT_NO_FATAL_FAILURE(Start());
    for (uint8_t i = 0; i < kProducers; ++i) {
      EXPECT_GE(journal_->LastSequence(ProducerId(i)), acknowledged[i]);
    }
    Stop();
  }
  ASSERT_NO_FATAL_FAILURE(Start());
  for (uint8_t i = 0; i < kProducers; ++i) EXPECT_EQ(Send(ProducerId(i), kLast), kLast);
  EXPECT_TRUE(Drain());
  ExpectWhole(kLast);
}

INSTANTIATE_TEST_SUITE_P(Seeds, BadDayTest, testing::Range<uint64_t>(1, 9));

}  // namespace
}  // namespace holdfast::pipeline
