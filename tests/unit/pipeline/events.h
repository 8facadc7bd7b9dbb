// Batches of valid events for the pipeline's tests. With one lane for each kind the lanes are
// kUsageLane and kMessageLane.

#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

#include "server/event/batch.h"

namespace holdfast::test {

inline constexpr event::Lane kUsageLane = event::MakeLane(event::Kind::kUsage, 0);
inline constexpr event::Lane kMessageLane = event::MakeLane(event::Kind::kMessage, 0);

// A producer for each number.
event::Id ProducerId(uint8_t number);

// A trace for each number.
event::Trace TraceOf(uint8_t number);

// What `TextOf` gives back for an event that the functions below made.
std::string EventText(const event::Id& producer, uint64_t sequence);
std::string TextOf(const v1::Event& event);

// One event for each letter: 'u' usage, 'm' message, 'x' one that is refused. `padding` bytes more
// for each. `keys`: over so many api keys the usage events are spread, and so over the lanes.
std::shared_ptr<const event::Batch> MakeBatch(const event::Id& producer, uint64_t first_sequence,
                                              absl::string_view letters, size_t padding = 0,
                                              int lanes_per_kind = 1, int keys = 1);
// One usage event of a call that belongs to `trace`.
std::shared_ptr<const event::Batch> MakeTracedBatch(const event::Id& producer, uint64_t sequence,
                                                    const event::Trace& trace);

}  // namespace holdfast::test
