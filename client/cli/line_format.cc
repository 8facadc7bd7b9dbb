#include "client/cli/line_format.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/util/json_util.h"

#include "holdfast/v1/journal.pb.h"

namespace holdfast::client {

namespace {

// Has `line` this key? A text that contains it has its quotes escaped.
constexpr absl::string_view kExportedKey = "\"event\"";

absl::Status Parse(absl::string_view line, google::protobuf::Message* message) {
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = false;
  const auto parsed = google::protobuf::util::JsonStringToMessage(
      google::protobuf::StringPiece(line.data(), line.size()), message, options);
  if (parsed.ok()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("is not an event in JSON: ",
                   absl::string_view(parsed.message().data(), parsed.message().size())));
}

absl::StatusOr<v1::Event> ParseExportedLine(absl::string_view line) {
  v1::JournaledEvent exported;
  if (absl::Status status = Parse(line, &exported); !status.ok()) return status;
  v1::Event event = std::move(*exported.mutable_event());
  const bool counts_twice = event.rate_limit().count_case() == v1::RateLimitEvent::kHits &&
                            event.rate_limit().event_id().empty();
  if (!counts_twice) return event;
  if (exported.delivery() != v1::DELIVERY_PENDING || exported.resend_id().empty()) {
    return absl::FailedPreconditionError(
        "hits without an event_id, which may have been counted already; an export with "
        "--pending_only, made while the daemon is stopped, tells whether they were");
  }
  event.mutable_rate_limit()->set_event_id(exported.resend_id());
  return event;
}

}  // namespace

absl::StatusOr<v1::Event> ParseHoldfastLine(absl::string_view line) {
  if (absl::StrContains(line, kExportedKey)) return ParseExportedLine(line);
  v1::Event event;
  if (absl::Status status = Parse(line, &event); !status.ok()) return status;
  return event;
}

absl::StatusOr<v1::Event> ParseLine(LineFormat format, absl::string_view line) {
  switch (format) {
    case LineFormat::kHoldfast:
      return ParseHoldfastLine(line);
    case LineFormat::kRelayBilling:
      return ParseRelayBillingLine(line);
  }
  return absl::InternalError("no such format");
}

}  // namespace holdfast::client
