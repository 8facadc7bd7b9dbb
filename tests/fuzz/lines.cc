// A line of a file, as the command-line tool reads it: the first byte says in which form.

#include <google/protobuf/util/json_util.h>

#include <string>

#include "client/cli/line_format.h"
#include "server/base/check.h"
#include "tests/fuzz/targets.h"

namespace holdfast::fuzz {

void Lines(absl::string_view input) {
  if (input.empty()) return;
  const client::LineFormat format =
      input[0] % 2 == 0 ? client::LineFormat::kHoldfast : client::LineFormat::kRelayBilling;
  const absl::StatusOr<v1::Event> event = client::ParseLine(format, input.substr(1));
  if (!event.ok()) {
    HOLDFAST_CHECK(absl::IsInvalidArgument(event.status()));
    return;
  }
  if (format == client::LineFormat::kRelayBilling) {
    HOLDFAST_CHECK(!event->usage().event_id().empty() && !event->usage().api_key_id().empty());
    HOLDFAST_CHECK(event->occurred_at().nanos() >= 0 &&
                   event->occurred_at().nanos() < 1'000'000'000);
    return;
  }
  // What was understood can be written down and is understood again.
  std::string text;
  if (!google::protobuf::util::MessageToJsonString(*event, &text).ok()) return;
  const absl::StatusOr<v1::Event> again = client::ParseHoldfastLine(text);
  HOLDFAST_CHECK(again.ok());
  HOLDFAST_CHECK(again->SerializeAsString() == event->SerializeAsString());
}

}  // namespace holdfast::fuzz
