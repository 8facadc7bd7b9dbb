#include "server/admin/json.h"

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

namespace holdfast::admin {

absl::StatusOr<std::string> ToJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.always_print_primitive_fields = true;
  options.preserve_proto_field_names = true;
  std::string json;
  const auto printed = google::protobuf::util::MessageToJsonString(message, &json, options);
  if (!printed.ok()) return absl::InternalError(printed.ToString());
  return json;
}

absl::StatusOr<std::string> HealthJson(const Readiness& readiness, absl::string_view version) {
  google::protobuf::Struct health;
  auto& fields = *health.mutable_fields();
  fields["status"].set_string_value(!readiness.ready()           ? "unhealthy"
                                    : readiness.degraded.empty() ? "healthy"
                                                                 : "degraded");
  fields["version"].set_string_value(std::string(version));
  auto& missing = *fields["missing"].mutable_list_value();
  for (const std::string& reason : readiness.refusing) {
    missing.add_values()->set_string_value(reason);
  }
  for (const std::string& reason : readiness.degraded) {
    missing.add_values()->set_string_value(reason);
  }
  return ToJson(health);
}

absl::StatusOr<std::string> ErrorJson(const absl::Status& error) {
  google::protobuf::Struct described;
  (*described.mutable_fields())["error"].set_string_value(std::string(error.message()));
  return ToJson(described);
}

}  // namespace holdfast::admin
