// The rules of proto/holdfast/v1/event.proto, enforced. What passes here fits the columns of sql/.

#pragma once

#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

#include "holdfast/v1/event.pb.h"
#include "server/event/view.h"

namespace holdfast::event {

// A serialized event above this is refused.
inline constexpr size_t kEventBytesMax = 1 << 20;

// How long the ids of `hits` are remembered (table holdfast_rate_limit_hits).
inline constexpr absl::Duration kHitsIdRetention = absl::Hours(7 * 24);

// Why an event cannot be taken.
struct Fault {
  std::string field;  // In the names of the proto: "usage.api_key_id".
  std::string
      reason;  // What is wrong and what would be right. Never repeats a value that may be secret.
  absl::string_view
      label;  // For the metric: "missing", "too_long", "out_of_range", "unknown_kind",
              // "malformed", "too_large", "too_old". Points to static storage.
};

// The first fault of `event`, or nullopt if it may be taken. `now` is for the rule on old ids.
std::optional<Fault> Validate(const EventView& event, absl::Time now);

// Frees what `event` holds of fields that this version does not know. They cost up to thirty times
// their bytes, which nobody counts; the event's own bytes still have them.
void DropUnknownFields(v1::Event* event);

// Parses `bytes` into `event`, without fields that are not known. On failure says which field is at
// fault where that can be found (invalid UTF-8), and leaves `event` in an unspecified state.
std::optional<Fault> Decode(absl::string_view bytes, v1::Event* event);

// An event that was read, and what its texts point into where that is not the bytes themselves.
struct Decoded {
  EventView view;
  std::unique_ptr<v1::Event> message;  // Only of an event in an unusual encoding.
};

// The same, without copying what is encoded as usual.
std::optional<Fault> Decode(absl::string_view bytes, Decoded* decoded);

}  // namespace holdfast::event
