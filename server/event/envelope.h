// Takes the outer message off a request, so that the batch inside is not copied and its events are
// read one by one (batch.h). Says the same as the generated parser would, with one exception:
// what is inside the batch is not looked at.

#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "holdfast/v1/ingest.pb.h"
#include "server/event/batch.h"

namespace holdfast::event {

// A v1::StreamRequest.
struct StreamEnvelope {
  std::optional<v1::Hello> hello;
  Encoded batch;  // Without a hello: for Batch::Read.
};

// A v1::WriteRequest.
struct WriteEnvelope {
  std::string producer_id;                            // As it was sent; empty if it was not.
  Encoded batch;                                      // For Batch::Read.
  v1::AckLevel wait_for = v1::ACK_LEVEL_UNSPECIFIED;  // One of the enum's values.
};

// InvalidArgument, "<field>: <reason>", if `bytes` is no such request, or holds neither a hello nor
// a batch.
absl::StatusOr<StreamEnvelope> ReadStreamRequest(std::string bytes);

// InvalidArgument, "<field>: <reason>", if `bytes` is no such request, holds no batch, or its
// wait_for is not known.
absl::StatusOr<WriteEnvelope> ReadWriteRequest(std::string bytes);

}  // namespace holdfast::event
