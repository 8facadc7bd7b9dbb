// Counts what operator new gives out in this program, over all threads.

#pragma once

#include <benchmark/benchmark.h>

#include <cstdint>

namespace holdfast::bench {

uint64_t AllocationsSoFar();

// From its making to Report: allocations for each event that the benchmark went through, beside the
// events a second.
class AllocationCount {
 public:
  AllocationCount() : before_(AllocationsSoFar()) {}
  void Report(benchmark::State& state, int64_t events_per_iteration) const;

 private:
  const uint64_t before_;
};

}  // namespace holdfast::bench
