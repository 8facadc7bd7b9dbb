#include "client/cli/line_format.h"

#include "absl/strings/str_cat.h"
#include "google/protobuf/util/json_util.h"

namespace holdfast::client {

absl::StatusOr<v1::Event> ParseHoldfastLine(absl::string_view line) {
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = false;
  v1::Event event;
  const auto parsed = google::protobuf::util::JsonStringToMessage(
      google::protobuf::StringPiece(line.data(), line.size()), &event, options);
  if (!parsed.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("is not an event in JSON: ",
                     absl::string_view(parsed.message().data(), parsed.message().size())));
  }
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
