#include "tests/bench/micro/allocations.h"

#include <atomic>
#include <cstdlib>
#include <new>

namespace {

std::atomic<uint64_t> allocations = 0;

void* Allocate(std::size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  std::abort();
}

}  // namespace

void* operator new(std::size_t size) { return Allocate(size); }
void* operator new[](std::size_t size) { return Allocate(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

namespace holdfast::bench {

uint64_t AllocationsSoFar() { return allocations.load(std::memory_order_relaxed); }

void AllocationCount::Report(benchmark::State& state, int64_t events_per_iteration) const {
  const auto events = static_cast<double>(state.iterations() * events_per_iteration);
  state.SetItemsProcessed(state.iterations() * events_per_iteration);
  state.counters["allocations_per_event"] =
      static_cast<double>(AllocationsSoFar() - before_) / events;
}

}  // namespace holdfast::bench
