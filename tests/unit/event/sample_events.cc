#include "tests/unit/event/sample_events.h"

#include <google/protobuf/descriptor.h>

#include "absl/strings/str_split.h"

#include "server/base/check.h"

namespace holdfast::event {
namespace {

using google::protobuf::FieldDescriptor;

v1::Event At(absl::Time time) {
  v1::Event event;
  event.mutable_occurred_at()->set_seconds(absl::ToUnixSeconds(time));
  event.mutable_occurred_at()->set_nanos(123'456'789);
  return event;
}

std::string VarintBytes(uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes.push_back(static_cast<char>(value | 0x80));
  bytes.push_back(static_cast<char>(value));
  return bytes;
}

}  // namespace

absl::Time SampleTime() {
  return absl::FromUnixSeconds(1767263415) + absl::Nanoseconds(123'456'789);
}

v1::Event RateLimitSample() {
  v1::Event event = At(SampleTime());
  v1::RateLimitEvent& rate_limit = *event.mutable_rate_limit();
  rate_limit.set_identifier("user:42");
  rate_limit.set_window_type(v1::WINDOW_TYPE_MINUTE);
  rate_limit.set_route_path("/v1/messages");
  rate_limit.mutable_window_start()->set_seconds(1767263400);
  rate_limit.mutable_window_end()->set_seconds(1767263460);
  rate_limit.set_hits(3);
  rate_limit.set_event_id("0194f1c0-5b7e-7c11-8f00-0123456789ab");
  return event;
}

v1::Event UsageSample() {
  v1::Event event = At(SampleTime());
  v1::UsageEvent& usage = *event.mutable_usage();
  usage.set_event_id("0194f1c0-5b7e-7c11-8f00-0123456789ac");
  usage.set_api_key_id("key-7");
  usage.set_account_id("account-3");
  usage.set_account_type("claude");
  usage.set_model("model-x");
  usage.set_request_id("request-1");
  usage.set_endpoint("/v1/messages");
  usage.set_method("POST");
  usage.set_status_code(200);
  usage.set_stream(true);
  usage.set_duration_ms(1234);
  usage.set_input_tokens(11);
  usage.set_output_tokens(22);
  usage.set_cache_create_tokens(33);
  usage.set_cache_read_tokens(44);
  usage.set_ephemeral_5m_tokens(55);
  usage.set_ephemeral_1h_tokens(66);
  usage.set_long_context(true);
  usage.set_cost_micros(777);
  usage.set_real_cost_micros(888);
  return event;
}

v1::Event MessageSample() {
  v1::Event event = At(SampleTime());
  v1::MessageEvent& message = *event.mutable_message();
  message.set_ig_message_id("message-1");
  message.set_ig_sender_id("sender-1");
  message.set_ig_recipient_id("recipient-1");
  message.set_text("hello");
  message.set_attachments_json("[]");
  message.set_timestamp_ms(1767263415123);
  message.set_raw_json("{}");
  message.set_conversation_id(99);
  message.set_direction(v1::DIRECTION_IN);
  message.set_sender_username("bob");
  message.set_story_id("story-1");
  message.set_story_url("https://story.example");
  message.set_ad_id("ad-1");
  message.set_ad_link("https://ad.example");
  message.set_ad_title("title");
  message.set_ad_image_url("https://image.example");
  message.set_ad_name("name");
  message.set_referral_json("null");
  return event;
}

std::vector<v1::Event> AllSamples() { return {RateLimitSample(), UsageSample(), MessageSample()}; }

FieldOf Find(v1::Event* event, absl::string_view path) {
  google::protobuf::Message* message = event;
  const std::vector<std::string> names = absl::StrSplit(path, '.');
  for (size_t i = 0; i + 1 < names.size(); ++i) {
    message = message->GetReflection()->MutableMessage(
        message, message->GetDescriptor()->FindFieldByName(names[i]));
  }
  const FieldDescriptor* field = message->GetDescriptor()->FindFieldByName(names.back());
  HOLDFAST_CHECK(field != nullptr);
  return {message, field};
}

void SetString(v1::Event* event, absl::string_view path, const std::string& value) {
  const FieldOf found = Find(event, path);
  found.message->GetReflection()->SetString(found.message, found.field, value);
}

void SetInteger(v1::Event* event, absl::string_view path, int64_t value) {
  const auto [message, field] = Find(event, path);
  const google::protobuf::Reflection* reflection = message->GetReflection();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return reflection->SetInt32(message, field, static_cast<int32_t>(value));
    case FieldDescriptor::CPPTYPE_INT64:
      return reflection->SetInt64(message, field, value);
    case FieldDescriptor::CPPTYPE_ENUM:
      return reflection->SetEnumValue(message, field, static_cast<int>(value));
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection->SetBool(message, field, value != 0);
    default:
      HOLDFAST_CHECK(false);
  }
}

void Clear(v1::Event* event, absl::string_view path) {
  const FieldOf found = Find(event, path);
  found.message->GetReflection()->ClearField(found.message, found.field);
}

std::string Encode(uint64_t first_sequence, const std::vector<v1::Event>& events) {
  v1::EventBatch batch;
  batch.set_first_sequence(first_sequence);
  for (const v1::Event& event : events) *batch.add_events() = event;
  return batch.SerializeAsString();
}

std::string LengthDelimited(int number, absl::string_view bytes) {
  return VarintBytes(static_cast<uint64_t>(number) << 3 | 2) + VarintBytes(bytes.size()) +
         std::string(bytes);
}

std::string Varint(int number, uint64_t value) {
  return VarintBytes(static_cast<uint64_t>(number) << 3) + VarintBytes(value);
}

std::string Mutate(std::string bytes, std::mt19937_64* random) {
  const auto below = [random](size_t limit) { return (*random)() % limit; };
  for (size_t changes = 1 + below(3); changes > 0 && !bytes.empty(); --changes) {
    const size_t place = below(bytes.size());
    const size_t length = 1 + below(std::min<size_t>(8, bytes.size() - place));
    switch (below(4)) {
      case 0:
        bytes[place] = static_cast<char>((*random)());
        break;
      case 1:
        bytes.erase(place, length);
        break;
      case 2:
        bytes.insert(place, 1, static_cast<char>((*random)()));
        break;
      default:
        bytes.insert(below(bytes.size()), bytes.substr(place, length));
        break;
    }
  }
  return bytes;
}

}  // namespace holdfast::event
