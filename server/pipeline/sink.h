// Where a lane's events go: writer::LaneWriter, or in a test whatever shows the lane what it must
// cope with. The contract is LaneWriter's.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

#include "server/base/clock.h"
#include "server/event/batch.h"
#include "server/journal/journal.h"
#include "server/metrics/metrics.h"
#include "server/pipeline/pipeline.h"
#include "server/writer/lane_writer.h"

namespace holdfast::pipeline {

// Not thread-safe: one lane, one thread.
class Sink {
 public:
  virtual ~Sink() = default;
  virtual absl::Status Open() = 0;
  virtual absl::StatusOr<writer::Written> Write(absl::Span<const event::Accepted> events,
                                                absl::FunctionRef<bool()> may_commit) = 0;
  virtual absl::StatusOr<writer::Written> Look() = 0;
  virtual absl::StatusOr<writer::Written> PassOver(uint64_t position) = 0;
  // REQUIRES: Open has succeeded.
  virtual const writer::Seat& seat() const = 0;
};

// Makes the sink of one lane; `recovered_head` as in LaneWriter.
using SinkFactory = std::function<std::unique_ptr<Sink>(event::Lane lane, uint64_t recovered_head)>;

// Pipeline::Make, with any sinks.
std::unique_ptr<Pipeline> MakePipeline(const PipelineOptions& options, journal::Journal& journal,
                                       const SinkFactory& sinks, base::Clock& clock,
                                       metrics::Metrics& metrics);

}  // namespace holdfast::pipeline
