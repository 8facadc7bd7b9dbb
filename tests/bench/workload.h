// The events that the benches send: made ahead of the clock, the same for every rival.

#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/time/time.h"

#include "holdfast/v1/event.pb.h"
#include "server/event/batch.h"
#include "server/event/kind.h"

namespace holdfast::bench {

// `count` events of `kind`, whose ids begin at number `first`: no id of one run occurs in another
// whose range is disjoint. Keys are drawn from `keys` of them.
std::vector<v1::Event> MakeEvents(event::Kind kind, uint64_t first, size_t count, uint64_t keys);

// What a table must hold once these events are in it, as the audit's SQL adds it up: rows, and the
// sum of the CRC-32 of each row's columns put together as text. The rest is for the counters of
// usage.
struct Expectation {
  uint64_t rows = 0;
  uint64_t checksum = 0;
  uint64_t input_tokens = 0;
  uint64_t output_tokens = 0;
  uint64_t cache_read_tokens = 0;
  uint64_t cost_micros = 0;
  uint64_t real_cost_micros = 0;
};
void AddTo(Expectation* expectation, const std::vector<v1::Event>& events);

// The same as the writer takes them: in batches of at most `rows`, one list of batches for each
// lane.
struct LaneWork {
  event::Lane lane = 0;
  std::vector<std::vector<event::Accepted>> batches;
};
std::vector<LaneWork> MakeLaneWork(const std::vector<v1::Event>& events, int lanes, size_t rows,
                                   absl::Time now);

}  // namespace holdfast::bench
