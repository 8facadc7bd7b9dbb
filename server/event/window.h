// When an event happened, and the window that a rate-limit event counts in.

#pragma once

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

#include "holdfast/v1/event.pb.h"
#include "server/event/view.h"

namespace holdfast::event {

// A valid time, with finer digits than microseconds dropped.
absl::Time TimeOf(const Moment& moment);

// The same of occurred_at. REQUIRES: `event` is valid.
absl::Time OccurredAt(const EventView& event);

// "second", "minute", "hour" or "day", as in the column window_type.
// REQUIRES: `type` is one of the four.
absl::string_view WindowTypeName(v1::WindowType type);

// How long a window of `type` is. REQUIRES: `type` is one of the four.
absl::Duration WindowLength(v1::WindowType type);

// The first moment of the event's window, in whole seconds: window_start, or occurred_at rounded
// down to the window's length (days begin at midnight UTC). REQUIRES: `event` is a valid rate-limit
// event.
absl::Time WindowStart(const EventView& event);

// The end of the event's window, in whole seconds: window_end, or its start plus its length.
// REQUIRES: `event` is a valid rate-limit event.
absl::Time WindowEnd(const EventView& event);

}  // namespace holdfast::event
