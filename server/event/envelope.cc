#include "server/event/envelope.h"

#include <climits>
#include <utility>

#include "server/base/status_macros.h"
#include "server/event/wire.h"

namespace holdfast::event {
namespace {

absl::Status Malformed(const google::protobuf::Message& message) {
  return absl::InvalidArgumentError("request: is not a " + message.GetTypeName());
}

template <typename Message>
absl::StatusOr<Message> Parse(absl::string_view bytes) {
  Message message;
  if (bytes.size() > INT_MAX ||
      !message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return Malformed(message);
  }
  return message;
}

// `part` is a view of `bytes`: looked at before these are moved, since short strings take their
// bytes along.
Encoded PartOf(std::string&& bytes, absl::string_view part) {
  const auto begin = static_cast<size_t>(part.data() - bytes.data());
  return Encoded(std::move(bytes), begin, part.size());
}

// A message that occurs several times is merged from its parts. No encoder writes that; where it
// comes all the same the generated parser does it.
absl::StatusOr<StreamEnvelope> MergeStreamRequest(absl::string_view bytes) {
  HOLDFAST_ASSIGN_OR_RETURN(const v1::StreamRequest request, Parse<v1::StreamRequest>(bytes));
  StreamEnvelope envelope;
  if (request.has_hello()) {
    envelope.hello = request.hello();
  } else {
    envelope.batch = request.batch().SerializeAsString();
  }
  return envelope;
}

}  // namespace

absl::StatusOr<StreamEnvelope> ReadStreamRequest(std::string bytes) {
  WireReader reader(bytes);
  WireField field;
  WireField request;
  while (reader.Next(&field)) {
    const bool known = field.number == v1::StreamRequest::kHelloFieldNumber ||
                       field.number == v1::StreamRequest::kBatchFieldNumber;
    if (!known || !field.is_bytes) continue;
    if (request.is_bytes) return MergeStreamRequest(bytes);
    request = field;
  }
  if (!reader.ok()) return Malformed(v1::StreamRequest::default_instance());
  StreamEnvelope envelope;
  if (request.number == v1::StreamRequest::kHelloFieldNumber) {
    HOLDFAST_ASSIGN_OR_RETURN(envelope.hello, Parse<v1::Hello>(request.bytes));
  } else if (request.number == v1::StreamRequest::kBatchFieldNumber) {
    envelope.batch = PartOf(std::move(bytes), request.bytes);
  } else {
    return absl::InvalidArgumentError("request: is required: hello or batch");
  }
  return envelope;
}

absl::StatusOr<WriteEnvelope> ReadWriteRequest(std::string bytes) {
  WireReader reader(bytes);
  WireField field;
  WireField batch;
  WriteEnvelope envelope;
  while (reader.Next(&field)) {
    if (field.number == v1::WriteRequest::kProducerIdFieldNumber && field.is_bytes) {
      envelope.producer_id = std::string(field.bytes);
    } else if (field.number == v1::WriteRequest::kWaitForFieldNumber && !field.is_bytes) {
      envelope.wait_for = static_cast<v1::AckLevel>(static_cast<int>(field.varint));
    } else if (field.number == v1::WriteRequest::kBatchFieldNumber && field.is_bytes) {
      if (batch.is_bytes) {
        // Merged from its parts, as above.
        HOLDFAST_ASSIGN_OR_RETURN(const v1::WriteRequest request, Parse<v1::WriteRequest>(bytes));
        return ReadWriteRequest(request.SerializeAsString());
      }
      batch = field;
    }
  }
  if (!reader.ok()) return Malformed(v1::WriteRequest::default_instance());
  if (!batch.is_bytes) return absl::InvalidArgumentError("batch: is required");
  if (!v1::AckLevel_IsValid(envelope.wait_for)) {
    return absl::InvalidArgumentError("wait_for: is not an acknowledgement level of this daemon");
  }
  envelope.batch = PartOf(std::move(bytes), batch.bytes);
  return envelope;
}

}  // namespace holdfast::event
