// A pipeline on a journal in memory and a database that knows only lanes.

#pragma once

#include <memory>
#include <string>

#include "gtest/gtest.h"

#include "server/base/clock.h"
#include "server/metrics/metrics.h"
#include "server/pipeline/sink.h"
#include "tests/unit/pipeline/events.h"
#include "tests/unit/pipeline/fake_journal.h"
#include "tests/unit/pipeline/fake_observer.h"
#include "tests/unit/pipeline/fake_sink.h"

namespace holdfast::test {

class PipelineFixture : public testing::Test {
 protected:
  PipelineFixture() {
    options_.lanes_per_kind = 1;
    options_.retry.wait_min = absl::Milliseconds(1);
    options_.retry.wait_max = absl::Milliseconds(4);
    options_.retry.outage_wait_max = absl::Milliseconds(4);
    options_.writer.writer_id = "test";
  }

  // A test that failed half-way must still come to its end.
  ~PipelineFixture() override { database_.LetGo(); }

  void Start() {
    pipeline_ = pipeline::MakePipeline(options_, journal_, database_.sinks(), base::SystemClock(),
                                       metrics_);
    pipeline_->Start();
  }

  // As a new process would find things.
  void Restart() {
    pipeline_.reset();
    journal_.Reopen();
    Start();
  }

  pipeline::LaneReport ReportOf(event::Lane lane) const {
    for (const pipeline::LaneReport& report : pipeline_->Status().lanes) {
      if (report.lane == lane) return report;
    }
    ADD_FAILURE() << "lane " << lane << " is not in use";
    return {};
  }

  // Asks until `holds` says so; false if that takes too long.
  template <typename Holds>
  bool Await(Holds holds) const {
    const absl::Time deadline = base::SystemClock().Steady() + absl::Seconds(60);
    while (!holds()) {
      if (base::SystemClock().Steady() > deadline) return false;
      base::SystemClock().Sleep(absl::Milliseconds(1));
    }
    return true;
  }

  // A lane that has no seat yet is handed nothing before it is durable.
  bool AwaitSeats() const {
    return Await([this] { return ReportOf(kUsageLane).seated && ReportOf(kMessageLane).seated; });
  }

  bool AwaitState(event::Lane lane, pipeline::LaneState state) const {
    return Await([this, lane, state] { return ReportOf(lane).state == state; });
  }

  // The lane has every event once, each as it was sent, in order.
  void ExpectWhole(event::Lane lane, uint64_t count) const {
    const auto rows = database_.rows(lane);
    ASSERT_EQ(rows.size(), count);
    for (size_t i = 0; i < rows.size(); ++i) {
      ASSERT_EQ(rows[i].ordinal, i + 1);
      ASSERT_EQ(rows[i].text, EventText(rows[i].producer, rows[i].sequence));
    }
    EXPECT_FALSE(database_.order_broken());
  }

  pipeline::PipelineOptions options_;
  FakeJournal journal_;
  FakeDatabaseOfLanes database_;
  metrics::Metrics metrics_{"test"};
  std::unique_ptr<pipeline::Pipeline> pipeline_;
};

}  // namespace holdfast::test
