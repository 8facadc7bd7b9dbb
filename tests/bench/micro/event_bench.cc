// What arrives: a request's bytes to validated events.

#include <benchmark/benchmark.h>

#include <string>

#include "holdfast/v1/ingest.pb.h"
#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/event/batch.h"
#include "tests/bench/micro/allocations.h"
#include "tests/bench/workload.h"

namespace holdfast::bench {
namespace {

void DecodeAndValidate(benchmark::State& state, event::Kind kind) {
  v1::EventBatch request;
  request.set_first_sequence(1);
  for (v1::Event& event : MakeEvents(kind, 0, static_cast<size_t>(state.range(0)), 1000)) {
    *request.add_events() = std::move(event);
  }
  const std::string encoded = request.SerializeAsString();
  const event::Id producer = event::RandomUuid();
  const absl::Time now = base::SystemClock().Now();
  const AllocationCount allocations;
  for (auto _ : state) {
    const auto batch = event::Batch::Read(encoded, producer, 2, now);
    HOLDFAST_CHECK(batch.ok() && (*batch)->refusals.empty());
  }
  allocations.Report(state, state.range(0));
}
BENCHMARK_CAPTURE(DecodeAndValidate, usage, event::Kind::kUsage)->Arg(1)->Arg(16)->Arg(1024);
BENCHMARK_CAPTURE(DecodeAndValidate, message, event::Kind::kMessage)->Arg(1)->Arg(16)->Arg(1024);

}  // namespace
}  // namespace holdfast::bench
