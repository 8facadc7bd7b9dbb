// A lane's feed while it keeps up: durable events in, a transaction's cut out.

#include <benchmark/benchmark.h>

#include <memory>
#include <vector>

#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/pipeline/feed.h"
#include "server/pipeline/memory.h"
#include "tests/bench/micro/allocations.h"
#include "tests/bench/workload.h"
#include "tests/unit/pipeline/fake_journal.h"

namespace holdfast::bench {
namespace {

void LaneDispatch(benchmark::State& state) {
  const auto count = static_cast<size_t>(state.range(0));
  const auto events = MakeEvents(event::Kind::kUsage, 0, count, 1000);
  const LaneWork work = MakeLaneWork(events, 1, count, base::SystemClock().Now()).front();
  const std::vector<event::Accepted>& batch = work.batches.front();
  test::FakeJournal journal;  // A feed that keeps up never asks it.
  pipeline::Memory memory(size_t{64} << 20, 1);
  pipeline::Feed feed(work.lane, 0, 0, {.rows_max = 4096, .bytes_max = size_t{4} << 20}, journal,
                      memory, base::SystemClock());
  feed.SeatAt(0);
  uint64_t head = 0;
  std::vector<event::Accepted> cut;
  const AllocationCount allocations;
  for (auto _ : state) {
    pipeline::Arrival arrival;
    arrival.first_ordinal = head + 1;
    arrival.accepted_at = batch.front().accepted_at;
    const std::shared_ptr<const event::Batch> owner = memory.TryHold(batch.front().owner);
    for (const event::Accepted& event : batch) {
      arrival.events.push_back(event);
      arrival.events.back().ordinal = arrival.events.back().offset = ++head;
      arrival.events.back().owner = owner;
    }
    arrival.last_ordinal = arrival.last_offset = head;
    feed.OnNumbered(std::move(arrival));
    feed.OnDurable();
    const auto outcome = feed.Next(&cut);
    HOLDFAST_CHECK(outcome.ok() && cut.size() == count);
    cut.clear();
  }
  allocations.Report(state, state.range(0));
}
BENCHMARK(LaneDispatch)->Arg(1)->Arg(16)->Arg(1024);

}  // namespace
}  // namespace holdfast::bench

BENCHMARK_MAIN();
