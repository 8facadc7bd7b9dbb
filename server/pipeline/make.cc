// The pipeline as the daemon runs it: every lane writes through a LaneWriter.

#include <memory>
#include <utility>

#include "server/pipeline/pipeline.h"
#include "server/pipeline/sink.h"
#include "server/writer/lane_writer.h"

namespace holdfast::pipeline {
namespace {

class WriterSink final : public Sink {
 public:
  template <typename... Arguments>
  explicit WriterSink(Arguments&&... arguments) : writer_(std::forward<Arguments>(arguments)...) {}

  absl::Status Open() override { return writer_.Open(); }
  absl::StatusOr<writer::Written> Write(absl::Span<const event::Accepted> events,
                                        absl::FunctionRef<bool()> may_commit) override {
    return writer_.Write(events, may_commit);
  }
  absl::StatusOr<writer::Written> Look() override { return writer_.Look(); }
  absl::StatusOr<writer::Written> PassOver(uint64_t position) override {
    return writer_.PassOver(position);
  }
  const writer::Seat& seat() const override { return writer_.seat(); }

 private:
  writer::LaneWriter writer_;
};

}  // namespace

std::unique_ptr<Pipeline> Pipeline::Make(const PipelineOptions& options, journal::Journal& journal,
                                         mysql::SessionSource& sessions, base::Clock& clock,
                                         metrics::Metrics& metrics) {
  const SinkFactory sinks = [&options, &sessions, &clock, &metrics](event::Lane lane,
                                                                    uint64_t recovered_head) {
    return std::make_unique<WriterSink>(options.writer, lane, recovered_head, sessions, clock,
                                        metrics);
  };
  return MakePipeline(options, journal, sinks, clock, metrics);
}

}  // namespace holdfast::pipeline
