// What every call of a gateway works with.

#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/byte_buffer.h>

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/message_lite.h"

#include "holdfast/v1/ingest.pb.h"
#include "server/base/clock.h"
#include "server/event/batch.h"
#include "server/ingress/open_calls.h"
#include "server/metrics/metrics.h"
#include "server/pipeline/pipeline.h"

namespace holdfast::ingress {

struct IngestOptions {
  // For clients that do not say.
  v1::AckLevel default_ack_level = v1::ACK_LEVEL_JOURNALED;

  // False: rate-limit events are refused, each with its reason.
  bool take_rate_limits = true;

  // The most bytes of one request, all of it.
  size_t request_bytes_max = event::kBatchBytesMax + 64;

  // Of one stream, what is handed in and not yet journaled. Above either its next read is put off.
  // Less: a gateway far away cannot fill the line. More: more memory for a stream.
  size_t waiting_batches_max = 64;
  size_t waiting_bytes_max = size_t{8} << 20;

  // Errors that a stream's client has not yet read. Above the first, its next read is put off; at
  // the second (what the database refuses comes unasked) the stream ends.
  size_t unread_errors_max = 1024;
  size_t unread_errors_end = 65536;

  CallLimits calls;
};

// Everything given must outlive it.
struct Door {
  const IngestOptions options;
  pipeline::Pipeline& pipeline;
  base::Clock& clock;
  metrics::Metrics& metrics;
  OpenCalls calls;
};

// The bytes of a request. InvalidArgument if there are more than `bytes_max`; Internal if gRPC
// cannot give them.
absl::StatusOr<std::string> BytesOf(const grpc::ByteBuffer& buffer, size_t bytes_max);

grpc::ByteBuffer BufferOf(const google::protobuf::MessageLite& message);

// The trace that a call's metadata names, as `traceparent`; not set if there is none, or more than
// one, or one that is not valid: nothing is refused for that.
event::Trace TraceOf(const grpc::CallbackServerContext& context);

// Reads a batch of `producer` (the nil id: of nobody that is known) that a call of `trace` brought,
// refuses what this daemon does not take, counts what is refused. InvalidArgument, naming the
// field, if the batch itself is unusable.
absl::StatusOr<std::shared_ptr<const event::Batch>> ReadBatch(Door& door, event::Encoded encoded,
                                                              const event::Id& producer,
                                                              const event::Trace& trace);

// The id in `text`. InvalidArgument, naming `field`, if it is no UUID or the nil one.
absl::StatusOr<event::Id> ReadProducer(absl::string_view field, absl::string_view text);

}  // namespace holdfast::ingress
