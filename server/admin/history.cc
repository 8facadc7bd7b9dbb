#include "server/admin/history.h"

#include <algorithm>

namespace holdfast::admin {

Sample SampleOf(absl::Time at, const pipeline::PipelineStatus& pipeline,
                const metrics::Metrics& metrics) {
  Sample sample;
  sample.at = at;
  sample.complete = true;
  for (const pipeline::LaneReport& lane : pipeline.lanes) {
    sample.accepted += lane.head;
    sample.complete = sample.complete && lane.seated;
    sample.committed += lane.seat.committed;
    sample.pending += lane.head - std::min(lane.seat.position, lane.head);
  }
  if (!sample.complete) {
    sample.committed = 0;
    sample.pending = 0;
  }
  sample.journal_used_bytes = pipeline.journal.used_bytes;
  const prometheus::ClientMetric::Histogram syncs =
      metrics.journal_sync_seconds->Collect().histogram;
  sample.journal_syncs = syncs.sample_count;
  sample.journal_sync_time = absl::Seconds(syncs.sample_sum);
  return sample;
}

bool History::IsDue(absl::Time steady) const {
  absl::MutexLock lock(&mu_);
  return steady - added_at_ >= kInterval;
}

void History::Add(absl::Time steady, const Sample& sample) {
  absl::MutexLock lock(&mu_);
  added_at_ = steady;
  samples_.push_back(sample);
  if (samples_.size() > kSamplesMax) samples_.pop_front();
}

std::vector<Sample> History::Samples() const {
  absl::MutexLock lock(&mu_);
  return {samples_.begin(), samples_.end()};
}

}  // namespace holdfast::admin
