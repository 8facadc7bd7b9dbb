// An event as it lies in the bytes that the gateway sent: its numbers, and its texts as views. Made
// anew wherever an event is looked at, because reading one costs less than keeping it: between
// the wire and the database an event is its bytes and nothing else.

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <variant>

#include "absl/strings/string_view.h"

#include "holdfast/v1/event.pb.h"

namespace holdfast::event {

// A google.protobuf.Timestamp.
struct Moment {
  int64_t seconds = 0;
  int32_t nanos = 0;

  friend bool operator==(const Moment&, const Moment&) = default;
};

// A v1::RateLimitEvent.
struct RateLimitView {
  absl::string_view identifier;
  v1::WindowType window_type = v1::WINDOW_TYPE_UNSPECIFIED;
  absl::string_view route_path;
  std::optional<Moment> window_start;
  std::optional<Moment> window_end;
  v1::RateLimitEvent::CountCase count_case = v1::RateLimitEvent::COUNT_NOT_SET;
  int64_t count = 0;  // Observed or hits.
  absl::string_view event_id;

  friend bool operator==(const RateLimitView&, const RateLimitView&) = default;
};

// A v1::UsageEvent.
struct UsageView {
  absl::string_view event_id;
  absl::string_view api_key_id;
  absl::string_view account_id;
  absl::string_view account_type;
  absl::string_view model;
  absl::string_view request_id;
  absl::string_view endpoint;
  absl::string_view method;
  int32_t status_code = 0;
  bool stream = false;
  bool long_context = false;
  int64_t duration_ms = 0;
  int64_t input_tokens = 0;
  int64_t output_tokens = 0;
  int64_t cache_create_tokens = 0;
  int64_t cache_read_tokens = 0;
  int64_t ephemeral_5m_tokens = 0;
  int64_t ephemeral_1h_tokens = 0;
  int64_t cost_micros = 0;
  int64_t real_cost_micros = 0;

  friend bool operator==(const UsageView&, const UsageView&) = default;
};

// A v1::MessageEvent.
struct MessageView {
  using OptionalText = std::optional<absl::string_view>;

  absl::string_view ig_message_id;
  absl::string_view ig_sender_id;
  absl::string_view ig_recipient_id;
  OptionalText text;
  OptionalText attachments_json;
  int64_t timestamp_ms = 0;
  OptionalText raw_json;
  std::optional<int64_t> conversation_id;
  v1::Direction direction = v1::DIRECTION_UNSPECIFIED;
  OptionalText sender_username;
  OptionalText story_id;
  OptionalText story_url;
  OptionalText ad_id;
  OptionalText ad_link;
  OptionalText ad_title;
  OptionalText ad_image_url;
  OptionalText ad_name;
  OptionalText referral_json;

  friend bool operator==(const MessageView&, const MessageView&) = default;
};

// A v1::Event. The texts belong to what it was made from.
struct EventView {
  EventView() = default;
  // Every message is also a view.
  EventView(const v1::Event& event);  // NOLINT(google-explicit-constructor)

  // REQUIRES: it is of that kind.
  const RateLimitView& rate_limit() const { return *std::get_if<RateLimitView>(&kind); }
  const UsageView& usage() const { return *std::get_if<UsageView>(&kind); }
  const MessageView& message() const { return *std::get_if<MessageView>(&kind); }

  std::optional<Moment> occurred_at;
  std::variant<std::monostate, RateLimitView, UsageView, MessageView> kind;  // monostate: none.

  friend bool operator==(const EventView&, const EventView&) = default;
};

// Reads `bytes`, a serialized v1::Event, as an encoder of today writes it. False for everything
// else: what is no event, and what only the generated parser takes, such as a message in several
// parts. Where it says true, that parser would say the same of every field.
bool ReadView(absl::string_view bytes, EventView* view);

}  // namespace holdfast::event
