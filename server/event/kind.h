// The three kinds of events, and their lanes.

#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

#include "server/event/view.h"

namespace holdfast::event {

enum class Kind : uint8_t { kRateLimit = 0, kUsage = 1, kMessage = 2 };

inline constexpr std::array kKinds = {Kind::kRateLimit, Kind::kUsage, Kind::kMessage};
inline constexpr int kKindCount = 3;

// "rate_limit", "usage" or "message", as in the proto and in metric labels.
absl::string_view KindName(Kind kind);

// REQUIRES: `event` has a kind.
Kind KindOf(const EventView& event);

// A lane's number: its kind and its place among the lanes of that kind. Stored in the journal and
// in holdfast_lanes: do not change the arithmetic.
using Lane = uint16_t;

inline constexpr int kLanesPerKindMax = 16;
inline constexpr int kLaneCount = kKindCount * kLanesPerKindMax;

constexpr Lane MakeLane(Kind kind, int index) {
  return static_cast<Lane>(static_cast<int>(kind) * kLanesPerKindMax + index);
}
// REQUIRES: lane < kLaneCount.
constexpr Kind KindOfLane(Lane lane) { return static_cast<Kind>(lane / kLanesPerKindMax); }

// "usage-2".
std::string LaneName(Lane lane);

// The lane that keeps `event` in order with the others of its key: usage by api_key_id, rate limits
// by their row's key, messages by conversation (conversation_id, or the unordered pair of sender
// and recipient). The same event always gets the same lane while `lanes_per_kind` stays.
// REQUIRES: `event` is valid; 1 <= lanes_per_kind <= kLanesPerKindMax.
Lane LaneOf(const EventView& event, int lanes_per_kind);

}  // namespace holdfast::event
