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

// The same as the writer takes them: in batches of at most `rows`, one list of batches for each
// lane.
struct LaneWork {
  event::Lane lane = 0;
  std::vector<std::vector<event::Accepted>> batches;
};
std::vector<LaneWork> MakeLaneWork(const std::vector<v1::Event>& events, int lanes, size_t rows,
                                   absl::Time now);

}  // namespace holdfast::bench
