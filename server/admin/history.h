// The last quarter of an hour, so that the status page has its lines at the first look.

#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

#include "server/metrics/metrics.h"
#include "server/pipeline/pipeline.h"

namespace holdfast::admin {

// A moment. Fields as in holdfast.v1.Sample.
struct Sample {
  absl::Time at;  // By the clock that people read.
  uint64_t accepted = 0;
  bool complete = false;
  uint64_t committed = 0;
  uint64_t pending = 0;
  uint64_t journal_used_bytes = 0;
  uint64_t journal_syncs = 0;
  absl::Duration journal_sync_time;
};

Sample SampleOf(absl::Time at, const pipeline::PipelineStatus& pipeline,
                const metrics::Metrics& metrics);

// Thread-safe.
class History final {
 public:
  static constexpr absl::Duration kInterval = absl::Seconds(5);
  static constexpr size_t kSamplesMax = 181;  // A quarter of an hour, both ends included.

  // Whether the last sample is an interval old. `steady`: a clock that does not jump.
  bool IsDue(absl::Time steady) const;

  // Forgets the oldest beyond kSamplesMax.
  void Add(absl::Time steady, const Sample& sample);

  std::vector<Sample> Samples() const;  // Oldest first.

 private:
  mutable absl::Mutex mu_;
  absl::Time added_at_ ABSL_GUARDED_BY(mu_) = absl::InfinitePast();  // Steady.
  std::deque<Sample> samples_ ABSL_GUARDED_BY(mu_);
};

}  // namespace holdfast::admin
