// Answers as JSON.

#pragma once

#include <google/protobuf/message.h>

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "server/admin/status.h"

namespace holdfast::admin {

// With every field, under the names of the proto.
absl::StatusOr<std::string> ToJson(const google::protobuf::Message& message);

// {"status": "healthy", "version": "...", "missing": [...]}, in the form of gateways' own /health.
// "degraded": events are taken, and something keeps them from moving on. "unhealthy": they are
// refused.
absl::StatusOr<std::string> HealthJson(const Readiness& readiness, absl::string_view version);

// {"error": "..."}
absl::StatusOr<std::string> ErrorJson(const absl::Status& error);

}  // namespace holdfast::admin
