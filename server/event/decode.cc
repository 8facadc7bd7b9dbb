// Parsing of one event, and the search for what is wrong with one that does not parse.

#include <google/protobuf/descriptor.h>
#include <google/protobuf/unknown_field_set.h>

#include <climits>

#include "absl/strings/str_cat.h"

#include "server/event/validate.h"
#include "server/event/wire.h"

namespace holdfast::event {
namespace {

using google::protobuf::FieldDescriptor;

bool Parse(absl::string_view bytes, google::protobuf::Message* message) {
  return bytes.size() <= INT_MAX &&
         message->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}

// The name of the first string field in `bytes`, a message like `prototype`, that does not parse
// though it stands alone; empty if there is none.
std::string FindBadString(absl::string_view bytes, const google::protobuf::Message& prototype) {
  WireReader reader(bytes);
  WireField field;
  const std::unique_ptr<google::protobuf::Message> probe(prototype.New());
  while (reader.Next(&field)) {
    const FieldDescriptor* descriptor = prototype.GetDescriptor()->FindFieldByNumber(field.number);
    if (descriptor == nullptr || !field.is_bytes) continue;
    if (descriptor->type() == FieldDescriptor::TYPE_STRING && !Parse(field.whole, probe.get())) {
      return descriptor->name();
    }
    if (descriptor->type() == FieldDescriptor::TYPE_MESSAGE) {
      const google::protobuf::Message& inner =
          prototype.GetReflection()->GetMessage(prototype, descriptor);
      const std::string name = FindBadString(field.bytes, inner);
      if (!name.empty()) return absl::StrCat(descriptor->name(), ".", name);
    }
  }
  return "";
}

// Clearing would keep the memory of the list.
void DropUnknownOf(google::protobuf::Message* message) {
  const google::protobuf::Reflection* reflection = message->GetReflection();
  if (reflection->GetUnknownFields(*message).empty()) return;
  google::protobuf::UnknownFieldSet dropped;
  reflection->MutableUnknownFields(message)->Swap(&dropped);
}

}  // namespace

void DropUnknownFields(v1::Event* event) {
  DropUnknownOf(event);
  if (event->has_occurred_at()) DropUnknownOf(event->mutable_occurred_at());
  if (event->has_usage()) DropUnknownOf(event->mutable_usage());
  if (event->has_message()) DropUnknownOf(event->mutable_message());
  if (!event->has_rate_limit()) return;
  v1::RateLimitEvent* rate_limit = event->mutable_rate_limit();
  DropUnknownOf(rate_limit);
  if (rate_limit->has_window_start()) DropUnknownOf(rate_limit->mutable_window_start());
  if (rate_limit->has_window_end()) DropUnknownOf(rate_limit->mutable_window_end());
}

std::optional<Fault> Decode(absl::string_view bytes, v1::Event* event) {
  if (Parse(bytes, event)) {
    DropUnknownFields(event);
    return std::nullopt;
  }
  const std::string field = FindBadString(bytes, v1::Event::default_instance());
  if (!field.empty()) return Fault{field, "is not valid UTF-8", "malformed"};
  return Fault{"", "is not a holdfast.v1.Event", "malformed"};
}

std::optional<Fault> Decode(absl::string_view bytes, Decoded* decoded) {
  if (ReadView(bytes, &decoded->view)) return std::nullopt;
  decoded->message = std::make_unique<v1::Event>();
  if (auto fault = Decode(bytes, decoded->message.get())) return fault;
  decoded->view = *decoded->message;
  return std::nullopt;
}

}  // namespace holdfast::event
