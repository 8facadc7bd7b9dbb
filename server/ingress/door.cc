#include "server/ingress/door.h"

#include <grpcpp/support/proto_buffer_writer.h>
#include <grpcpp/support/slice.h>

#include <iterator>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "server/base/status_macros.h"
#include "server/ingress/call_status.h"

namespace holdfast::ingress {
namespace {

// An error of a batch names its fields as seen from the batch; a request's are seen from the
// request.
absl::Status WithinRequest(const absl::Status& status) {
  if (status.code() != absl::StatusCode::kInvalidArgument ||
      absl::StartsWith(status.message(), "batch:")) {
    return status;
  }
  return absl::InvalidArgumentError(absl::StrCat("batch.", status.message()));
}

}  // namespace

absl::StatusOr<std::string> BytesOf(const grpc::ByteBuffer& buffer, size_t bytes_max) {
  if (buffer.Length() > bytes_max) {
    return FieldError("request", absl::StrCat("has ", buffer.Length(), " bytes; at most ",
                                              bytes_max, " are taken: send smaller batches"));
  }
  std::vector<grpc::Slice> slices;
  if (!buffer.Dump(&slices).ok()) {
    return absl::InternalError("a request could not be read from its buffer");
  }
  std::string bytes;
  bytes.reserve(buffer.Length());
  for (const grpc::Slice& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return bytes;
}

grpc::ByteBuffer BufferOf(const google::protobuf::MessageLite& message) {
  const std::string bytes = message.SerializeAsString();
  const grpc::Slice slice(bytes);
  return grpc::ByteBuffer(&slice, 1);
}

event::Trace TraceOf(const grpc::CallbackServerContext& context) {
  const auto [first, end] = context.client_metadata().equal_range("traceparent");
  if (first == end || std::next(first) != end) return {};
  const grpc::string_ref text = first->second;
  return event::ParseTraceparent(absl::string_view(text.data(), text.size()))
      .value_or(event::Trace());
}

absl::StatusOr<std::shared_ptr<const event::Batch>> ReadBatch(Door& door, event::Encoded encoded,
                                                              const event::Id& producer,
                                                              const event::Trace& trace) {
  auto read = event::Batch::Read(std::move(encoded), producer, door.pipeline.lanes_per_kind(),
                                 door.clock.Now());
  if (!read.ok()) return WithinRequest(read.status());
  std::unique_ptr<event::Batch> batch = *std::move(read);
  batch->trace = trace;
  if (!door.options.take_rate_limits) RefuseRateLimits(*batch);
  for (const event::Refusal& refusal : batch->refusals) {
    door.metrics.EventsRefused(RefusedKind(refusal), refusal.fault.label).Increment();
  }
  return std::shared_ptr<const event::Batch>(std::move(batch));
}

absl::StatusOr<event::Id> ReadProducer(absl::string_view field, absl::string_view text) {
  const std::optional<event::Id> producer = event::ParseUuid(text);
  if (!producer.has_value()) {
    return FieldError(field, "must be a UUID, made anew when the client starts");
  }
  if (producer->is_nil()) return FieldError(field, "must not be the nil UUID");
  return *producer;
}

}  // namespace holdfast::ingress
