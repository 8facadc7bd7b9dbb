#include "server/event/kind.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

#include "server/base/check.h"
#include "server/event/canonical.h"
#include "server/event/window.h"

namespace holdfast::event {
namespace {

// What tells the two ways apart in which a message finds its lane.
enum MessageKey : int64_t { kByConversation = 1, kByPair = 2 };

uint64_t KeyHash(const RateLimitView& rate_limit, absl::Time window_start) {
  return Canonical()
      .Add(rate_limit.identifier)
      .Add(int64_t{rate_limit.window_type})
      .Add(rate_limit.route_path)
      .Add(absl::ToUnixSeconds(window_start))
      .Hash();
}

uint64_t KeyHash(const MessageView& message) {
  if (message.conversation_id.has_value()) {
    return Canonical().Add(int64_t{kByConversation}).Add(*message.conversation_id).Hash();
  }
  const auto& [first, second] = std::minmax(message.ig_sender_id, message.ig_recipient_id);
  return Canonical().Add(int64_t{kByPair}).Add(first).Add(second).Hash();
}

uint64_t KeyHash(const EventView& event) {
  switch (KindOf(event)) {
    case Kind::kRateLimit:
      return KeyHash(event.rate_limit(), WindowStart(event));
    case Kind::kUsage:
      return Canonical().Add(event.usage().api_key_id).Hash();
    case Kind::kMessage:
      return KeyHash(event.message());
  }
  HOLDFAST_CHECK(false);
}

}  // namespace

absl::string_view KindName(Kind kind) {
  switch (kind) {
    case Kind::kRateLimit:
      return "rate_limit";
    case Kind::kUsage:
      return "usage";
    case Kind::kMessage:
      return "message";
  }
  HOLDFAST_CHECK(false);
}

Kind KindOf(const EventView& event) {
  HOLDFAST_CHECK(!std::holds_alternative<std::monostate>(event.kind));
  if (std::holds_alternative<UsageView>(event.kind)) return Kind::kUsage;
  return std::holds_alternative<MessageView>(event.kind) ? Kind::kMessage : Kind::kRateLimit;
}

std::string LaneName(Lane lane) {
  HOLDFAST_CHECK(lane < kLaneCount);
  return absl::StrCat(KindName(KindOfLane(lane)), "-", lane % kLanesPerKindMax);
}

Lane LaneOf(const EventView& event, int lanes_per_kind) {
  HOLDFAST_CHECK(lanes_per_kind >= 1 && lanes_per_kind <= kLanesPerKindMax);
  const Kind kind = KindOf(event);
  if (lanes_per_kind == 1) return MakeLane(kind, 0);
  return MakeLane(kind, static_cast<int>(KeyHash(event) % static_cast<uint64_t>(lanes_per_kind)));
}

}  // namespace holdfast::event
