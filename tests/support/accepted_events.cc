#include "tests/support/accepted_events.h"

#include <algorithm>

#include "absl/strings/str_format.h"

#include "server/base/check.h"
#include "server/event/event_id.h"

namespace holdfast::test {

absl::Time EventTime() { return absl::FromUnixSeconds(1767227400) + absl::Microseconds(123456); }

void SetOccurredAt(absl::Time time, v1::Event* event) {
  const int64_t micros = absl::ToUnixMicros(time);
  event->mutable_occurred_at()->set_seconds(micros / 1000000);
  event->mutable_occurred_at()->set_nanos(static_cast<int32_t>(micros % 1000000 * 1000));
}

std::string UuidOf(uint64_t n) { return absl::StrFormat("00000000-0000-7000-8000-%012x", n); }

v1::Event UsageOf(absl::string_view event_id, absl::string_view api_key_id) {
  v1::Event event;
  SetOccurredAt(EventTime(), &event);
  v1::UsageEvent& usage = *event.mutable_usage();
  usage.set_event_id(std::string(event_id));
  usage.set_api_key_id(std::string(api_key_id));
  usage.set_account_id("account-1");
  usage.set_account_type("claude");
  usage.set_model("model-1");
  usage.set_request_id("request-1");
  usage.set_endpoint("/v1/messages");
  usage.set_method("POST");
  usage.set_status_code(200);
  usage.set_stream(true);
  usage.set_duration_ms(1234);
  usage.set_input_tokens(10);
  usage.set_output_tokens(5);
  usage.set_cost_micros(100);
  usage.set_real_cost_micros(90);
  return event;
}

v1::Event HitsOf(absl::string_view identifier, int64_t hits, absl::string_view event_id) {
  v1::Event event;
  SetOccurredAt(EventTime(), &event);
  v1::RateLimitEvent& rate = *event.mutable_rate_limit();
  rate.set_identifier(std::string(identifier));
  rate.set_window_type(v1::WINDOW_TYPE_MINUTE);
  rate.set_route_path("/v1");
  rate.set_hits(hits);
  rate.set_event_id(std::string(event_id));
  return event;
}

v1::Event ObservedOf(absl::string_view identifier, int64_t observed) {
  v1::Event event = HitsOf(identifier, 0);
  event.mutable_rate_limit()->set_observed(observed);
  return event;
}

v1::Event MessageOf(absl::string_view ig_message_id, absl::string_view text) {
  v1::Event event;
  SetOccurredAt(EventTime(), &event);
  v1::MessageEvent& message = *event.mutable_message();
  message.set_ig_message_id(std::string(ig_message_id));
  message.set_ig_sender_id("sender-1");
  message.set_ig_recipient_id("recipient-1");
  message.set_text(std::string(text));
  message.set_timestamp_ms(1767227400123);
  message.set_direction(v1::DIRECTION_IN);
  return event;
}

v1::Event Parsed(absl::string_view bytes) {
  v1::Event event;
  HOLDFAST_CHECK(event.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())));
  return event;
}

event::Accepted AcceptedEvents::Add(const v1::Event& event) {
  bytes_.push_back(event.SerializeAsString());
  event::Accepted& accepted = events_.emplace_back();
  accepted.ordinal = ++ordinal_;
  accepted.offset = ordinal_ * 3;  // Other lanes have the rest.
  accepted.sequence = ordinal_;
  accepted.producer = producer_;
  accepted.accepted_at = EventTime();
  accepted.bytes = bytes_.back();
  return accepted;
}

absl::Span<const event::Accepted> AcceptedEvents::After(uint64_t position, size_t count) const {
  const auto first =
      std::find_if(events_.begin(), events_.end(),
                   [&](const event::Accepted& event) { return event.ordinal > position; });
  return absl::MakeConstSpan(events_).subspan(static_cast<size_t>(first - events_.begin()), count);
}

}  // namespace holdfast::test
