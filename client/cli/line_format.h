// A line of a file, as an event.

#pragma once

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "holdfast/v1/event.pb.h"

namespace holdfast::client {

// What the lines of a file are.
enum class LineFormat {
  kHoldfast,      // holdfast.v1.Event or holdfast.v1.JournaledEvent in Protobuf's JSON.
  kRelayBilling,  // The `usage.recorded` events of a relay's Redis stream `billing:events`.
};

// The event that `line` says, or INVALID_ARGUMENT with the place and the reason. Whether it is a
// valid event is for the daemon to say. A field that is not known is an error: it would be lost.
//
// Of a line of `holdfast journal export`, the event inside. Hits without an event_id get its
// resend_id if they were pending; FAILED_PRECONDITION if they may have been counted already: to
// send them could count them twice.
absl::StatusOr<v1::Event> ParseHoldfastLine(absl::string_view line);

// As above. Takes the event itself or, as the stream stores it, {"data": "<the event as text>"}.
//  - eventId, apiKey.id and cost.total are needed; the other parts of the reduced form that a relay
//    writes in bulk may be missing or null.
//  - cost.total, dollars as a decimal number, becomes cost_micros, rounded to the nearest
//  millionth.
//    real_cost_micros stays 0: these events do not tell it.
//  - occurred_at is context.requestTimestamp, else timestamp.
//  - What has no place in a usage event (names, user ids, the cost's breakdown) is left out.
absl::StatusOr<v1::Event> ParseRelayBillingLine(absl::string_view line);

absl::StatusOr<v1::Event> ParseLine(LineFormat format, absl::string_view line);

}  // namespace holdfast::client
