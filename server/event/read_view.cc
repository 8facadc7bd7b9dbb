// Reads an event where it lies.

#include <google/protobuf/stubs/common.h>

#include <cstring>

#include "server/event/view.h"

namespace holdfast::event {
namespace {

using R = v1::RateLimitEvent;
using U = v1::UsageEvent;
using M = v1::MessageEvent;
using google::protobuf::Timestamp;

// A field's tag on the wire.
constexpr uint32_t Number(int field) { return static_cast<uint32_t>(field) << 3; }
constexpr uint32_t Bytes(int field) { return static_cast<uint32_t>(field) << 3 | 2; }

bool IsAscii(absl::string_view text) {
  constexpr uint64_t kHighBits = 0x8080808080808080;
  const char* at = text.data();
  size_t left = text.size();
  uint64_t seen = 0;
  for (; left >= sizeof(uint64_t); left -= sizeof(uint64_t), at += sizeof(uint64_t)) {
    uint64_t eight = 0;
    std::memcpy(&eight, at, sizeof(eight));
    seen |= eight;
  }
  for (; left > 0; --left, ++at) seen |= static_cast<uint8_t>(*at);
  return (seen & kHighBits) == 0;
}

// Takes fields off the front of a message. Every call returns false where what stands there is not
// what an encoder writes; the reader is of no use then.
class Fields final {
 public:
  explicit Fields(absl::string_view message)
      : at_(message.data()), end_(message.data() + message.size()) {}

  bool done() const { return at_ == end_; }

  // At most two bytes: no field of ours has a number above 2047.
  bool Tag(uint32_t* tag) {
    *tag = static_cast<uint8_t>(*at_++);
    if (*tag < 0x80) return true;
    if (done()) return false;
    const uint32_t second = static_cast<uint8_t>(*at_++);
    *tag = (*tag & 0x7f) | second << 7;
    return second < 0x80;
  }

  bool Varint(uint64_t* value) {
    uint64_t result = 0;
    for (int shift = 0; at_ != end_; shift += 7) {
      const uint64_t byte = static_cast<uint8_t>(*at_++);
      result |= (byte & 0x7f) << shift;
      // The tenth has one bit left.
      if (shift == 63 && byte > 1) return false;
      if (byte < 0x80) {
        *value = result;
        return true;
      }
    }
    return false;
  }

  // An int64, an int32, an enum or a bool: all are cut from 64 bits as the generated parser does.
  template <typename T>
  bool Read(T* value) {
    uint64_t varint = 0;
    if (!Varint(&varint)) return false;
    *value = static_cast<T>(varint);
    return true;
  }
  bool Read(std::optional<int64_t>* value) { return Read(&value->emplace()); }

  bool Read(absl::string_view* text) {
    if (!Embedded(text)) return false;
    return IsAscii(*text) || google::protobuf::internal::IsStructurallyValidUTF8(
                                 text->data(), static_cast<int>(text->size()));
  }
  bool Read(std::optional<absl::string_view>* text) { return Read(&text->emplace()); }

  // Only once: where it comes again the two would be merged.
  bool Read(std::optional<Moment>* moment) {
    absl::string_view bytes;
    return !moment->has_value() && Embedded(&bytes) && ReadMoment(bytes, &moment->emplace());
  }

  bool Embedded(absl::string_view* bytes) {
    uint64_t length = 0;
    const char* const start = at_;
    // The generated parser takes lengths of five bytes, which ours never need.
    if (!Varint(&length) || at_ - start > 4 || length > static_cast<size_t>(end_ - at_)) {
      return false;
    }
    *bytes = absl::string_view(at_, length);
    at_ += length;
    return true;
  }

  // Passes over a field that a later version of the contract may have: its number is above those
  // of this version, which run from 1 to `known_max`.
  bool Skip(uint32_t tag, int known_max) {
    if (tag < Number(known_max + 1)) return false;
    uint64_t number = 0;
    absl::string_view bytes;
    switch (tag & 7) {
      case 0:
        return Varint(&number);
      case 2:
        return Embedded(&bytes);
      default:
        return false;
    }
  }

 private:
  static bool ReadMoment(absl::string_view bytes, Moment* moment);

  const char* at_;
  const char* const end_;
};

bool Fields::ReadMoment(absl::string_view bytes, Moment* moment) {
  Fields in(bytes);
  uint32_t tag = 0;
  while (!in.done()) {
    if (!in.Tag(&tag)) return false;
    bool read = false;
    switch (tag) {
      case Number(Timestamp::kSecondsFieldNumber):
        read = in.Read(&moment->seconds);
        break;
      case Number(Timestamp::kNanosFieldNumber):
        read = in.Read(&moment->nanos);
        break;
      default:
        read = in.Skip(tag, Timestamp::kNanosFieldNumber);
    }
    if (!read) return false;
  }
  return true;
}

bool ReadCount(Fields& in, R::CountCase count_case, RateLimitView* view) {
  view->count_case = count_case;
  return in.Read(&view->count);
}

bool ReadField(Fields& in, uint32_t tag, RateLimitView* view) {
  switch (tag) {
    case Bytes(R::kIdentifierFieldNumber):
      return in.Read(&view->identifier);
    case Number(R::kWindowTypeFieldNumber):
      return in.Read(&view->window_type);
    case Bytes(R::kRoutePathFieldNumber):
      return in.Read(&view->route_path);
    case Bytes(R::kWindowStartFieldNumber):
      return in.Read(&view->window_start);
    case Bytes(R::kWindowEndFieldNumber):
      return in.Read(&view->window_end);
    case Number(R::kObservedFieldNumber):
      return ReadCount(in, R::kObserved, view);
    case Number(R::kHitsFieldNumber):
      return ReadCount(in, R::kHits, view);
    case Bytes(R::kEventIdFieldNumber):
      return in.Read(&view->event_id);
    default:
      return in.Skip(tag, R::kEventIdFieldNumber);
  }
}

bool ReadField(Fields& in, uint32_t tag, UsageView* view) {
  switch (tag) {
    case Bytes(U::kEventIdFieldNumber):
      return in.Read(&view->event_id);
    case Bytes(U::kApiKeyIdFieldNumber):
      return in.Read(&view->api_key_id);
    case Bytes(U::kAccountIdFieldNumber):
      return in.Read(&view->account_id);
    case Bytes(U::kAccountTypeFieldNumber):
      return in.Read(&view->account_type);
    case Bytes(U::kModelFieldNumber):
      return in.Read(&view->model);
    case Bytes(U::kRequestIdFieldNumber):
      return in.Read(&view->request_id);
    case Bytes(U::kEndpointFieldNumber):
      return in.Read(&view->endpoint);
    case Bytes(U::kMethodFieldNumber):
      return in.Read(&view->method);
    case Number(U::kStatusCodeFieldNumber):
      return in.Read(&view->status_code);
    case Number(U::kStreamFieldNumber):
      return in.Read(&view->stream);
    case Number(U::kDurationMsFieldNumber):
      return in.Read(&view->duration_ms);
    case Number(U::kInputTokensFieldNumber):
      return in.Read(&view->input_tokens);
    case Number(U::kOutputTokensFieldNumber):
      return in.Read(&view->output_tokens);
    case Number(U::kCacheCreateTokensFieldNumber):
      return in.Read(&view->cache_create_tokens);
    case Number(U::kCacheReadTokensFieldNumber):
      return in.Read(&view->cache_read_tokens);
    case Number(U::kEphemeral5MTokensFieldNumber):
      return in.Read(&view->ephemeral_5m_tokens);
    case Number(U::kEphemeral1HTokensFieldNumber):
      return in.Read(&view->ephemeral_1h_tokens);
    case Number(U::kLongContextFieldNumber):
      return in.Read(&view->long_context);
    case Number(U::kCostMicrosFieldNumber):
      return in.Read(&view->cost_micros);
    case Number(U::kRealCostMicrosFieldNumber):
      return in.Read(&view->real_cost_micros);
    default:
      return in.Skip(tag, U::kRealCostMicrosFieldNumber);
  }
}

bool ReadField(Fields& in, uint32_t tag, MessageView* view) {
  switch (tag) {
    case Bytes(M::kIgMessageIdFieldNumber):
      return in.Read(&view->ig_message_id);
    case Bytes(M::kIgSenderIdFieldNumber):
      return in.Read(&view->ig_sender_id);
    case Bytes(M::kIgRecipientIdFieldNumber):
      return in.Read(&view->ig_recipient_id);
    case Bytes(M::kTextFieldNumber):
      return in.Read(&view->text);
    case Bytes(M::kAttachmentsJsonFieldNumber):
      return in.Read(&view->attachments_json);
    case Number(M::kTimestampMsFieldNumber):
      return in.Read(&view->timestamp_ms);
    case Bytes(M::kRawJsonFieldNumber):
      return in.Read(&view->raw_json);
    case Number(M::kConversationIdFieldNumber):
      return in.Read(&view->conversation_id);
    case Number(M::kDirectionFieldNumber):
      return in.Read(&view->direction);
    case Bytes(M::kSenderUsernameFieldNumber):
      return in.Read(&view->sender_username);
    case Bytes(M::kStoryIdFieldNumber):
      return in.Read(&view->story_id);
    case Bytes(M::kStoryUrlFieldNumber):
      return in.Read(&view->story_url);
    case Bytes(M::kAdIdFieldNumber):
      return in.Read(&view->ad_id);
    case Bytes(M::kAdLinkFieldNumber):
      return in.Read(&view->ad_link);
    case Bytes(M::kAdTitleFieldNumber):
      return in.Read(&view->ad_title);
    case Bytes(M::kAdImageUrlFieldNumber):
      return in.Read(&view->ad_image_url);
    case Bytes(M::kAdNameFieldNumber):
      return in.Read(&view->ad_name);
    case Bytes(M::kReferralJsonFieldNumber):
      return in.Read(&view->referral_json);
    default:
      return in.Skip(tag, M::kReferralJsonFieldNumber);
  }
}

// The event's kind. Only once, as a moment.
template <typename View>
bool ReadKind(Fields& event, EventView* view) {
  absl::string_view bytes;
  if (!std::holds_alternative<std::monostate>(view->kind) || !event.Embedded(&bytes)) return false;
  View& kind = view->kind.emplace<View>();
  Fields in(bytes);
  uint32_t tag = 0;
  while (!in.done()) {
    if (!in.Tag(&tag) || !ReadField(in, tag, &kind)) return false;
  }
  return true;
}

bool ReadField(Fields& in, uint32_t tag, EventView* view) {
  switch (tag) {
    case Bytes(v1::Event::kOccurredAtFieldNumber):
      return in.Read(&view->occurred_at);
    case Bytes(v1::Event::kRateLimitFieldNumber):
      return ReadKind<RateLimitView>(in, view);
    case Bytes(v1::Event::kUsageFieldNumber):
      return ReadKind<UsageView>(in, view);
    case Bytes(v1::Event::kMessageFieldNumber):
      return ReadKind<MessageView>(in, view);
    default:
      return in.Skip(tag, v1::Event::kMessageFieldNumber);
  }
}

}  // namespace

bool ReadView(absl::string_view bytes, EventView* view) {
  *view = EventView();
  Fields in(bytes);
  uint32_t tag = 0;
  while (!in.done()) {
    if (!in.Tag(&tag) || !ReadField(in, tag, view)) return false;
  }
  return true;
}

}  // namespace holdfast::event
