#include "server/event/validate.h"

#include <climits>
#include <cstdint>

#include "absl/strings/str_cat.h"

#include "server/base/check.h"
#include "server/event/window.h"
#include "server/event/wire.h"

namespace holdfast::event {
namespace {

constexpr int64_t kSecondsMax =
    253402300799;  // 9999-12-31T23:59:59Z, the last that DATETIME holds.
constexpr int64_t kMillisMax = kSecondsMax * 1000 + 999;
constexpr int64_t kUint32Max = UINT32_MAX;
constexpr int64_t kMicrosOfDollarMax = 100'000'000'000'000;
constexpr int64_t kHitsMax = 1'000'000'000;

// The rule of one string: its length in bytes. A rule with a minimum of 1 says "required".
template <typename View, typename Text>
struct StringRule {
  const char* field;
  Text View::*value;
  size_t bytes_min;
  size_t bytes_max;
};

// The rule of one integer.
template <typename View>
struct IntegerRule {
  const char* field;
  int64_t View::*value;
  int64_t min;
  int64_t max;
};

using R = RateLimitView;
constexpr StringRule<R, absl::string_view> kRateLimitStrings[] = {
    {"rate_limit.identifier", &R::identifier, 1, 255},
    {"rate_limit.route_path", &R::route_path, 0, 500},
    {"rate_limit.event_id", &R::event_id, 0, 128},
};

using U = UsageView;
constexpr StringRule<U, absl::string_view> kUsageStrings[] = {
    {"usage.event_id", &U::event_id, 1, 128},    {"usage.api_key_id", &U::api_key_id, 1, 64},
    {"usage.account_id", &U::account_id, 0, 64}, {"usage.account_type", &U::account_type, 0, 32},
    {"usage.model", &U::model, 0, 128},          {"usage.request_id", &U::request_id, 0, 128},
    {"usage.endpoint", &U::endpoint, 0, 255},    {"usage.method", &U::method, 0, 16},
};
constexpr IntegerRule<U> kUsageIntegers[] = {
    {"usage.duration_ms", &U::duration_ms, 0, kUint32Max},
    {"usage.input_tokens", &U::input_tokens, 0, kUint32Max},
    {"usage.output_tokens", &U::output_tokens, 0, kUint32Max},
    {"usage.cache_create_tokens", &U::cache_create_tokens, 0, kUint32Max},
    {"usage.cache_read_tokens", &U::cache_read_tokens, 0, kUint32Max},
    {"usage.ephemeral_5m_tokens", &U::ephemeral_5m_tokens, 0, kUint32Max},
    {"usage.ephemeral_1h_tokens", &U::ephemeral_1h_tokens, 0, kUint32Max},
    {"usage.cost_micros", &U::cost_micros, 0, kMicrosOfDollarMax},
    {"usage.real_cost_micros", &U::real_cost_micros, 0, kMicrosOfDollarMax},
};

using M = MessageView;
constexpr StringRule<M, absl::string_view> kMessageStrings[] = {
    {"message.ig_message_id", &M::ig_message_id, 1, 255},
    {"message.ig_sender_id", &M::ig_sender_id, 1, 255},
    {"message.ig_recipient_id", &M::ig_recipient_id, 1, 255},
};
constexpr StringRule<M, M::OptionalText> kMessageOptionalStrings[] = {
    {"message.text", &M::text, 0, 65535},
    {"message.attachments_json", &M::attachments_json, 0, kEventBytesMax},
    {"message.raw_json", &M::raw_json, 0, kEventBytesMax},
    {"message.sender_username", &M::sender_username, 0, 255},
    {"message.story_id", &M::story_id, 0, 255},
    {"message.story_url", &M::story_url, 0, 2048},
    {"message.ad_id", &M::ad_id, 0, 255},
    {"message.ad_link", &M::ad_link, 0, 2048},
    {"message.ad_title", &M::ad_title, 0, 512},
    {"message.ad_image_url", &M::ad_image_url, 0, 2048},
    {"message.ad_name", &M::ad_name, 0, 255},
    {"message.referral_json", &M::referral_json, 0, kEventBytesMax},
};

Fault Missing(absl::string_view field) { return {std::string(field), "is required", "missing"}; }

Fault OutOfRange(absl::string_view field, int64_t min, int64_t max) {
  return {std::string(field), absl::StrCat("is out of range; ", min, " to ", max, " is allowed"),
          "out_of_range"};
}

size_t BytesOf(absl::string_view text) { return text.size(); }
size_t BytesOf(const M::OptionalText& text) { return text.has_value() ? text->size() : 0; }

template <typename View, typename Text, size_t n>
std::optional<Fault> CheckStrings(const View& view, const StringRule<View, Text> (&rules)[n]) {
  for (const StringRule<View, Text>& rule : rules) {
    const size_t bytes = BytesOf(view.*rule.value);
    if (bytes < rule.bytes_min) return Missing(rule.field);
    if (bytes > rule.bytes_max) {
      return Fault{
          rule.field,
          absl::StrCat("is ", bytes, " bytes long; at most ", rule.bytes_max, " are allowed"),
          "too_long"};
    }
  }
  return std::nullopt;
}

std::optional<Fault> CheckInteger(absl::string_view field, int64_t value, int64_t min,
                                  int64_t max) {
  if (value < min || value > max) return OutOfRange(field, min, max);
  return std::nullopt;
}

// An enum whose zero is not allowed and whose other values go up to `max` without a gap.
std::optional<Fault> CheckEnum(absl::string_view field, int value, int max) {
  if (value == 0) return Missing(field);
  return CheckInteger(field, value, 1, max);
}

std::optional<Fault> CheckTimestamp(absl::string_view field, const Moment& time) {
  if (time.seconds < 0 || time.seconds > kSecondsMax || time.nanos < 0 ||
      time.nanos > 999'999'999) {
    return Fault{std::string(field),
                 "is out of range; 1970-01-01T00:00:00Z to 9999-12-31T23:59:59.999999Z is allowed",
                 "out_of_range"};
  }
  return std::nullopt;
}

std::optional<Fault> CheckWholeSeconds(absl::string_view field, const Moment& time) {
  if (auto fault = CheckTimestamp(field, time)) return fault;
  if (time.nanos == 0) return std::nullopt;
  return Fault{std::string(field), "must be in whole seconds", "out_of_range"};
}

std::optional<Fault> CheckWindow(const EventView& event) {
  const RateLimitView& rate_limit = event.rate_limit();
  constexpr absl::string_view kStart = "rate_limit.window_start";
  constexpr absl::string_view kEnd = "rate_limit.window_end";
  if (rate_limit.window_start.has_value()) {
    if (auto fault = CheckWholeSeconds(kStart, *rate_limit.window_start)) return fault;
  }
  if (rate_limit.window_end.has_value()) {
    if (auto fault = CheckWholeSeconds(kEnd, *rate_limit.window_end)) return fault;
    if (WindowEnd(event) <= WindowStart(event)) {
      return Fault{std::string(kEnd), "must be after window_start", "out_of_range"};
    }
  } else if (WindowEnd(event) > absl::FromUnixSeconds(kSecondsMax)) {
    return Fault{std::string(kEnd), "would be after the year 9999; give one that is not",
                 "out_of_range"};
  }
  return std::nullopt;
}

// An id of hits is good only while it is remembered: later the same event would be added again.
std::optional<Fault> CheckHitsId(const EventView& event, absl::Time now) {
  const RateLimitView& rate_limit = event.rate_limit();
  if (rate_limit.event_id.empty()) return std::nullopt;
  if (rate_limit.count_case != v1::RateLimitEvent::kHits) {
    return Fault{"rate_limit.event_id", "is allowed only with hits", "malformed"};
  }
  if (OccurredAt(event) >= now - kHitsIdRetention) return std::nullopt;
  return Fault{"occurred_at",
               absl::StrCat("is more than ", absl::ToInt64Hours(kHitsIdRetention),
                            " hours ago; ids of hits are not remembered for longer, so it could be "
                            "added twice"),
               "too_old"};
}

std::optional<Fault> CheckKind(const EventView& event, const RateLimitView& rate_limit,
                               absl::Time now) {
  if (auto fault = CheckStrings(rate_limit, kRateLimitStrings)) return fault;
  if (auto fault =
          CheckEnum("rate_limit.window_type", rate_limit.window_type, v1::WindowType_MAX)) {
    return fault;
  }
  if (auto fault = CheckWindow(event)) return fault;
  switch (rate_limit.count_case) {
    case v1::RateLimitEvent::kObserved:
      if (auto fault = CheckInteger("rate_limit.observed", rate_limit.count, 0, INT64_MAX)) {
        return fault;
      }
      break;
    case v1::RateLimitEvent::kHits:
      if (auto fault = CheckInteger("rate_limit.hits", rate_limit.count, 1, kHitsMax)) {
        return fault;
      }
      break;
    case v1::RateLimitEvent::COUNT_NOT_SET:
      return Fault{"rate_limit.count", "is required: observed or hits", "missing"};
  }
  return CheckHitsId(event, now);
}

std::optional<Fault> CheckKind(const UsageView& usage) {
  if (auto fault = CheckStrings(usage, kUsageStrings)) return fault;
  if (auto fault = CheckInteger("usage.status_code", usage.status_code, 0, 999)) return fault;
  for (const IntegerRule<U>& rule : kUsageIntegers) {
    const int64_t value = usage.*rule.value;
    if (value < rule.min || value > rule.max) return OutOfRange(rule.field, rule.min, rule.max);
  }
  return std::nullopt;
}

std::optional<Fault> CheckKind(const MessageView& message) {
  if (auto fault = CheckStrings(message, kMessageStrings)) return fault;
  if (auto fault = CheckStrings(message, kMessageOptionalStrings)) return fault;
  if (auto fault = CheckInteger("message.timestamp_ms", message.timestamp_ms, 0, kMillisMax)) {
    return fault;
  }
  if (message.conversation_id.has_value()) {
    if (auto fault =
            CheckInteger("message.conversation_id", *message.conversation_id, 1, INT64_MAX)) {
      return fault;
    }
  }
  return CheckEnum("message.direction", message.direction, v1::Direction_MAX);
}

// The rules are tables over proto enums; a value added to one of them must be thought of here.
static_assert(v1::WindowType_MAX == v1::WINDOW_TYPE_DAY);
static_assert(v1::Direction_MAX == v1::DIRECTION_OUT);

}  // namespace

std::optional<Fault> Validate(const EventView& event, absl::Time now) {
  if (!event.occurred_at.has_value()) return Missing("occurred_at");
  if (auto fault = CheckTimestamp("occurred_at", *event.occurred_at)) return fault;
  if (const auto* usage = std::get_if<UsageView>(&event.kind)) return CheckKind(*usage);
  if (const auto* message = std::get_if<MessageView>(&event.kind)) return CheckKind(*message);
  if (const auto* rate_limit = std::get_if<RateLimitView>(&event.kind)) {
    return CheckKind(event, *rate_limit, now);
  }
  return Fault{"kind", "is none that this daemon knows: rate_limit, usage or message",
               "unknown_kind"};
}

}  // namespace holdfast::event
