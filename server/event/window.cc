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

int64_t StartSeconds(const v1::Event& event) {
  const v1::RateLimitEvent& rate_limit = event.rate_limit();
  if (rate_limit.has_window_start()) return rate_limit.window_start().seconds();
  // Valid times are not before 1970, so division rounds down.
  const int64_t length = WindowSeconds(rate_limit.window_type());
  return event.occurred_at().seconds() / length * length;
}

}  // namespace

absl::Time OccurredAt(const v1::Event& event) {
  return absl::FromUnixSeconds(event.occurred_at().seconds()) +
         absl::Microseconds(event.occurred_at().nanos() / 1000);
}

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

absl::Time WindowStart(const v1::Event& event) {
  return absl::FromUnixSeconds(StartSeconds(event));
}

absl::Time WindowEnd(const v1::Event& event) {
  const v1::RateLimitEvent& rate_limit = event.rate_limit();
  if (rate_limit.has_window_end()) {
    return absl::FromUnixSeconds(rate_limit.window_end().seconds());
  }
  return absl::FromUnixSeconds(StartSeconds(event) + WindowSeconds(rate_limit.window_type()));
}

}  // namespace holdfast::event
