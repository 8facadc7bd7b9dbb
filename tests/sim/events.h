// What the simulated gateways send. An event follows from who sends it and as what, so that whoever
// looks later knows what was sent without having kept it.

#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/time/time.h"

#include "holdfast/v1/ingest.pb.h"
#include "server/event/batch.h"

namespace holdfast::sim {

// The event that gateway `gateway` sends as `sequence` in the simulation `seed`. Some ids are
// shared: other gateways send the same event, or another one under the same id. Some events are
// poison: the database does not take them.
v1::Event MakeEvent(uint64_t seed, uint64_t gateway, uint64_t sequence);

// The same, of a kind that has an id of its own: may be sent without a producer, again and again.
v1::Event MakeEventWithId(uint64_t seed, uint64_t gateway, uint64_t number);

// Models of usage events that are longer than this are what the database does not take.
inline constexpr size_t kModelBytesMax = 24;
bool IsPoison(const v1::Event& event);

// A batch as it arrives.
std::shared_ptr<const event::Batch> ToBatch(v1::EventBatch message, const event::Id& producer,
                                            int lanes_per_kind, absl::Time now);

}  // namespace holdfast::sim
