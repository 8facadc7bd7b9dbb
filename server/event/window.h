// When an event happened, and the window that a rate-limit event counts in.

#pragma once

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

#include "holdfast/v1/event.pb.h"

namespace holdfast::event {

// occurred_at, with finer digits than microseconds dropped. REQUIRES: `event` is valid.
absl::Time OccurredAt(const v1::Event& event);

// "second", "minute", "hour" or "day", as in the column window_type.
// REQUIRES: `type` is one of the four.
absl::string_view WindowTypeName(v1::WindowType type);

// How long a window of `type` is. REQUIRES: `type` is one of the four.
absl::Duration WindowLength(v1::WindowType type);

// The first moment of the event's window, in whole seconds: window_start, or occurred_at rounded
// down to the window's length (days begin at midnight UTC). REQUIRES: `event` is a valid rate-limit
// event.
absl::Time WindowStart(const v1::Event& event);

// The end of the event's window, in whole seconds: window_end, or its start plus its length.
// REQUIRES: `event` is a valid rate-limit event.
absl::Time WindowEnd(const v1::Event& event);

}  // namespace holdfast::event
