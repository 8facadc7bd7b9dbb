// Errors in the words of gRPC, and refusals in the words of our contract.

#pragma once

#include <grpcpp/support/status.h>

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

#include "holdfast/v1/ingest.pb.h"
#include "server/event/batch.h"
#include "server/writer/lane_writer.h"

namespace holdfast::ingress {

// InvalidArgument that carries `field`, in the names of the proto, for programs too.
absl::Status FieldError(absl::string_view field, absl::string_view reason);

// The same code and message. An InvalidArgument that names a field (by FieldError, or as the first
// word of its message, "batch.events: ...") also carries a google.rpc.BadRequest.
grpc::Status ToGrpc(const absl::Status& status);

// "OK", "INVALID_ARGUMENT", ...: the label of a metric.
std::string CodeName(absl::StatusCode code);

// The metadata, and its value, that tell a client how long to wait before it tries again: a second
// and up to half of one more, so that those who were refused together do not come back together.
inline constexpr char kPushbackKey[] = "grpc-retry-pushback-ms";
std::string Pushback();

v1::EventError RefusedError(const event::Refusal& refusal);
v1::EventError QuarantinedError(const writer::Rejection& rejection);

// The kind of the event that was refused, from the field at fault: a label for the metric.
absl::string_view RefusedKind(const event::Refusal& refusal);

// Turns every rate-limit event of `batch` into a refusal: RATE_LIMIT_MYSQL_ENABLED is false.
void RefuseRateLimits(event::Batch& batch);

}  // namespace holdfast::ingress
