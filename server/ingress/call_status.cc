#include "server/ingress/call_status.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/random/random.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace holdfast::ingress {
namespace {

constexpr char kFieldPayload[] = "holdfast/field";

// The field that a message starts with, as in "batch.first_sequence: must not be 0".
absl::string_view LeadingField(absl::string_view message) {
  const size_t colon = message.find(": ");
  if (colon == absl::string_view::npos || colon == 0) return "";
  const absl::string_view field = message.substr(0, colon);
  const bool is_path = std::all_of(field.begin(), field.end(), [](char c) {
    return absl::ascii_islower(static_cast<unsigned char>(c)) ||
           absl::ascii_isdigit(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == '[' ||
           c == ']';
  });
  return is_path ? field : "";
}

std::string FieldOf(const absl::Status& status) {
  if (const auto field = status.GetPayload(kFieldPayload)) {
    return std::string(*field);
  }
  return std::string(LeadingField(status.message()));
}

std::string BadRequestDetails(const absl::Status& status, const std::string& field) {
  google::rpc::BadRequest bad_request;
  auto* violation = bad_request.add_field_violations();
  violation->set_field(field);
  absl::string_view description = status.message();
  absl::ConsumePrefix(&description, absl::StrCat(field, ": "));
  violation->set_description(std::string(description));

  google::rpc::Status details;
  details.set_code(static_cast<int>(status.code()));
  details.set_message(std::string(status.message()));
  details.add_details()->PackFrom(bad_request);
  return details.SerializeAsString();
}

}  // namespace

absl::Status FieldError(absl::string_view field, absl::string_view reason) {
  absl::Status status = absl::InvalidArgumentError(absl::StrCat(field, ": ", reason));
  status.SetPayload(kFieldPayload, absl::Cord(field));
  return status;
}

grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  const auto code = static_cast<grpc::StatusCode>(status.code());
  const std::string message(status.message());
  if (status.code() == absl::StatusCode::kInvalidArgument) {
    const std::string field = FieldOf(status);
    if (!field.empty()) return grpc::Status(code, message, BadRequestDetails(status, field));
  }
  return grpc::Status(code, message);
}

std::string CodeName(absl::StatusCode code) { return absl::StatusCodeToString(code); }

std::string Pushback() {
  // Not a pure decision: only gateways see it, and no test needs to repeat it.
  thread_local absl::InsecureBitGen random;
  return absl::StrCat(absl::Uniform<int>(random, 1000, 1500));
}

v1::EventError RefusedError(const event::Refusal& refusal) {
  v1::EventError error;
  error.set_sequence(refusal.sequence);
  error.set_field(refusal.fault.field);
  error.set_reason(refusal.fault.reason);
  error.set_disposition(v1::DISPOSITION_REFUSED);
  error.set_code(static_cast<int>(absl::StatusCode::kInvalidArgument));
  return error;
}

v1::EventError QuarantinedError(const writer::Rejection& rejection) {
  v1::EventError error;
  error.set_sequence(rejection.sequence);
  error.set_reason(rejection.column.empty()
                       ? rejection.reason
                       : absl::StrCat(rejection.reason, " (column ", rejection.column, ")"));
  error.set_disposition(v1::DISPOSITION_QUARANTINED);
  error.set_code(static_cast<int>(rejection.error_number == 0
                                      ? absl::StatusCode::kAlreadyExists
                                      : absl::StatusCode::kFailedPrecondition));
  return error;
}

absl::string_view RefusedKind(const event::Refusal& refusal) {
  const absl::string_view field = refusal.fault.field;
  const absl::string_view head = field.substr(0, field.find('.'));
  for (const event::Kind kind : event::kKinds) {
    if (head == event::KindName(kind)) return event::KindName(kind);
  }
  return "unknown";
}

void RefuseRateLimits(event::Batch& batch) {
  const auto kept =
      std::stable_partition(batch.items.begin(), batch.items.end(), [](const event::Item& item) {
        return event::KindOfLane(item.lane) != event::Kind::kRateLimit;
      });
  if (kept == batch.items.end()) return;
  for (auto item = kept; item != batch.items.end(); ++item) {
    batch.refusals.push_back({item->sequence,
                              {"rate_limit",
                               "RATE_LIMIT_MYSQL_ENABLED is false: this daemon stores no rate "
                               "limits",
                               "disabled"}});
  }
  batch.items.erase(kept, batch.items.end());
  std::sort(
      batch.refusals.begin(), batch.refusals.end(),
      [](const event::Refusal& a, const event::Refusal& b) { return a.sequence < b.sequence; });
}

}  // namespace holdfast::ingress
