// From accepted events to the values of a transaction's statements.

#include <benchmark/benchmark.h>

#include <vector>

#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/statement/batch.h"
#include "tests/bench/micro/allocations.h"
#include "tests/bench/workload.h"

namespace holdfast::bench {
namespace {

// One lane's batch of `rows` events.
std::vector<event::Accepted> MakeAccepted(event::Kind kind, int64_t rows, int64_t keys) {
  const auto count = static_cast<size_t>(rows);
  const auto events = MakeEvents(kind, 0, count, static_cast<uint64_t>(keys));
  return MakeLaneWork(events, 1, count, base::SystemClock().Now()).front().batches.front();
}

void BuildRows(benchmark::State& state, event::Kind kind) {
  const auto events = MakeAccepted(kind, state.range(0), 1000);
  const AllocationCount allocations;
  for (auto _ : state) {
    const auto batch = statement::Batch::Make(kind, events, {.tag = 1});
    HOLDFAST_CHECK(batch->raw().rows.size() == events.size());
  }
  allocations.Report(state, state.range(0));
}
BENCHMARK_CAPTURE(BuildRows, usage, event::Kind::kUsage)->Arg(1)->Arg(64)->Arg(4096);
BENCHMARK_CAPTURE(BuildRows, message, event::Kind::kMessage)->Arg(1)->Arg(64)->Arg(4096);

// Rows, then keys among them.
void FoldCounters(benchmark::State& state) {
  const auto events = MakeAccepted(event::Kind::kUsage, state.range(0), state.range(1));
  const auto batch = statement::Batch::Make(event::Kind::kUsage, events, {.tag = 1});
  const AllocationCount allocations;
  for (auto _ : state) {
    const std::vector<statement::Call> counters = batch->Counters();
    HOLDFAST_CHECK(!counters.empty());
  }
  allocations.Report(state, state.range(0));
}
BENCHMARK(FoldCounters)->Args({1, 1})->Args({4096, 10})->Args({4096, 1000})->Args({4096, 100000});

}  // namespace
}  // namespace holdfast::bench
