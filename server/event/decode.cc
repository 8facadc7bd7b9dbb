// Parsing of one event, and the search for what is wrong with one that does not parse.

#include <google/protobuf/descriptor.h>

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

}  // namespace

std::optional<Fault> Decode(absl::string_view bytes, v1::Event* event) {
  if (Parse(bytes, event)) return std::nullopt;
  const std::string field = FindBadString(bytes, v1::Event::default_instance());
  if (!field.empty()) return Fault{field, "is not valid UTF-8", "malformed"};
  return Fault{"", "is not a holdfast.v1.Event", "malformed"};
}

}  // namespace holdfast::event
