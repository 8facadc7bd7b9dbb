#include "server/admin/history.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace holdfast::admin {
namespace {

pipeline::LaneReport LaneOf(uint64_t head, uint64_t position, uint64_t committed) {
  pipeline::LaneReport lane;
  lane.head = head;
  lane.seated = true;
  lane.seat.position = position;
  lane.seat.committed = committed;
  return lane;
}

TEST(HistoryTest, ASampleAddsUpTheLanes) {
  metrics::Metrics metrics("test");
  metrics.journal_sync_seconds->Observe(0.25);
  metrics.journal_sync_seconds->Observe(0.5);
  pipeline::PipelineStatus pipeline;
  pipeline.lanes = {LaneOf(10, 7, 6), LaneOf(5, 5, 5)};
  pipeline.journal.used_bytes = 4096;
  const Sample sample = SampleOf(absl::FromUnixSeconds(9), pipeline, metrics);
  EXPECT_EQ(sample.at, absl::FromUnixSeconds(9));
  EXPECT_TRUE(sample.complete);
  EXPECT_EQ(sample.accepted, 15);
  EXPECT_EQ(sample.committed, 11);
  EXPECT_EQ(sample.pending, 3);
  EXPECT_EQ(sample.journal_used_bytes, 4096);
  EXPECT_EQ(sample.journal_syncs, 2);
  EXPECT_EQ(sample.journal_sync_time, absl::Milliseconds(750));
}

TEST(HistoryTest, WhileALaneIsUnknownOnlyTheAcceptedAreTold) {
  const metrics::Metrics metrics("test");
  pipeline::PipelineStatus pipeline;
  pipeline.lanes = {LaneOf(10, 7, 6), LaneOf(5, 0, 0)};
  pipeline.lanes[1].seated = false;
  const Sample sample = SampleOf(absl::UnixEpoch(), pipeline, metrics);
  EXPECT_FALSE(sample.complete);
  EXPECT_EQ(sample.accepted, 15);
  EXPECT_EQ(sample.committed, 0);
  EXPECT_EQ(sample.pending, 0);
}

TEST(HistoryTest, ItIsDueOnceAnInterval) {
  History history;
  const absl::Time start = absl::FromUnixSeconds(100);
  EXPECT_TRUE(history.IsDue(start));
  history.Add(start, Sample());
  EXPECT_FALSE(history.IsDue(start + History::kInterval - absl::Milliseconds(1)));
  EXPECT_TRUE(history.IsDue(start + History::kInterval));
}

TEST(HistoryTest, TheOldestAreForgottenFirst) {
  History history;
  for (uint64_t i = 0; i < History::kSamplesMax + 3; ++i) {
    Sample sample;
    sample.accepted = i;
    history.Add(absl::FromUnixSeconds(static_cast<int64_t>(i)), sample);
  }
  const std::vector<Sample> samples = history.Samples();
  ASSERT_EQ(samples.size(), History::kSamplesMax);
  EXPECT_EQ(samples.front().accepted, 3);
  EXPECT_EQ(samples.back().accepted, History::kSamplesMax + 2);
}

}  // namespace
}  // namespace holdfast::admin
