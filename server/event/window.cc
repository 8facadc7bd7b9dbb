#include "server/event/window.h"

#include "server/base/check.h"

namespace holdfast::event {
namespace {

int64_t WindowSeconds(v1::WindowType type) {
  switch (type) {
    case v1::WINDOW_TYPE_SECOND:
      return 1;
    case v1::WINDOW_TYPE_MINUTE:
      return 60;
    case v1::WINDOW_TYPE_HOUR:
      return 3600;
    case v1::WINDOW_TYPE_DAY:
      return 86400;
    default:
      break;
  }
  HOLDFAST_CHECK(false);
}

int64_t StartSeconds(const EventView& event) {
  const RateLimitView& rate_limit = event.rate_limit();
  if (rate_limit.window_start.has_value()) return rate_limit.window_start->seconds;
  // Valid times are not before 1970, so division rounds down.
  const int64_t length = WindowSeconds(rate_limit.window_type);
  return event.occurred_at->seconds / length * length;
}

}  // namespace

absl::Time TimeOf(const Moment& moment) {
  return absl::FromUnixSeconds(moment.seconds) + absl::Microseconds(moment.nanos / 1000);
}

absl::Time OccurredAt(const EventView& event) { return TimeOf(*event.occurred_at); }

absl::string_view WindowTypeName(v1::WindowType type) {
  switch (type) {
    case v1::WINDOW_TYPE_SECOND:
      return "second";
    case v1::WINDOW_TYPE_MINUTE:
      return "minute";
    case v1::WINDOW_TYPE_HOUR:
      return "hour";
    case v1::WINDOW_TYPE_DAY:
      return "day";
    default:
      break;
  }
  HOLDFAST_CHECK(false);
}

absl::Duration WindowLength(v1::WindowType type) { return absl::Seconds(WindowSeconds(type)); }

absl::Time WindowStart(const EventView& event) {
  return absl::FromUnixSeconds(StartSeconds(event));
}

absl::Time WindowEnd(const EventView& event) {
  const RateLimitView& rate_limit = event.rate_limit();
  if (rate_limit.window_end.has_value()) {
    return absl::FromUnixSeconds(rate_limit.window_end->seconds);
  }
  return absl::FromUnixSeconds(StartSeconds(event) + WindowSeconds(rate_limit.window_type));
}

}  // namespace holdfast::event
