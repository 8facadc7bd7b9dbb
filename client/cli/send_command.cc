#include "client/cli/send_command.h"

#include <iostream>
#include <optional>

#include "absl/strings/str_cat.h"

#include "client/cli/connection.h"
#include "client/cli/flags.h"
#include "client/cli/line_format.h"
#include "client/cli/sender.h"

namespace holdfast::client {
namespace {

constexpr char kDescription[] =
    R"(Sends the lines of a file to a Holdfast daemon, one event for each line.

FILE holds one JSON object on each line; "-" reads standard input. A line in the form
`holdfast` is a holdfast.v1.Event with Protobuf's JSON names:

  {"occurredAt":"2026-01-15T10:30:00Z","usage":{"eventId":"0194...","apiKeyId":"key-1",
   "model":"m","inputTokens":"1200","outputTokens":"80","costMicros":"4800"}}

(on one line), or a line of `holdfast journal export`, of which the event is sent; one that might
count twice is held back. Blank lines are left out. The daemon may be restarted meanwhile: what it
has not acknowledged is sent again, and counts once.
)";

absl::StatusOr<SenderOptions> ReadOptions(const Arguments& arguments) {
  SenderOptions options;
  options.file = arguments.positional()[0];
  const absl::StatusOr<Connection> connection = ConnectionOf(arguments);
  if (!connection.ok()) return connection.status();
  options.client.target = connection->address;
  options.client.tls = connection->tls;

  const std::string ack = arguments.Get("ack", "journaled");
  if (ack != "journaled" && ack != "committed") {
    return absl::InvalidArgumentError(
        absl::StrCat("--ack=", ack, " is not possible: journaled or committed is needed"));
  }
  options.client.ack_level = ack == "committed" ? v1::ACK_LEVEL_COMMITTED : v1::ACK_LEVEL_JOURNALED;

  const std::string format = arguments.Get("format", "holdfast");
  if (format != "holdfast" && format != "relay-billing") {
    return absl::InvalidArgumentError(
        absl::StrCat("--format=", format, " is not possible: holdfast or relay-billing is needed"));
  }
  options.format = format == "holdfast" ? LineFormat::kHoldfast : LineFormat::kRelayBilling;

  options.client.producer_id = arguments.Get("producer_id", "");
  if (arguments.Has("producer_id") && options.client.producer_id.empty()) {
    return absl::InvalidArgumentError("--producer_id is empty; a UUID is needed");
  }
  // Under another name the file could no longer be sent again without repetitions.
  options.client.renew_producer = options.client.producer_id.empty();

  const auto window = arguments.GetNumber("window", options.client.window, 1);
  if (!window.ok()) return window.status();
  options.client.window = *window;
  const auto timeout = arguments.GetDuration("timeout", options.timeout);
  if (!timeout.ok()) return timeout.status();
  options.timeout = *timeout;

  if (absl::Status status = options.client.Validate(); !status.ok()) return status;
  return options;
}

absl::StatusOr<int> RunSend(const Arguments& arguments) {
  const absl::StatusOr<SenderOptions> options = ReadOptions(arguments);
  if (!options.ok()) return options.status();
  return Sender(*options).Run();
}

}  // namespace

const Command& SendCommand() {
  static const auto& command = *new Command{
      .name = "send",
      .group = CommandGroup::kEvents,
      .summary = "Sends the events of a file, one JSON object on each line.",
      .description = kDescription,
      .operands = "FILE|-",
      .operands_min = 1,
      .operands_max = 1,
      .operand_kind = WordKind::kFile,
      .flags =
          {ToFlag(),
           {.name = "ack",
            .value = "LEVEL",
            .help = "journaled (on the daemon's disk; the default) or committed (in the database).",
            .choices = {"journaled", "committed"}},
           {.name = "format",
            .value = "FORMAT",
            .help = "holdfast (the default) or relay-billing: the usage.recorded events of a "
                    "relay's Redis stream billing:events, bare or as {\"data\":\"...\"}.",
            .choices = {"holdfast", "relay-billing"}},
           {.name = "producer_id",
            .value = "UUID",
            .help = "Makes the command repeatable: the n-th line that is not blank is the n-th of "
                    "this producer, and lines that the daemon already holds are left out. Use a "
                    "new UUID for each file, and the same for each attempt with it. A line that "
                    "cannot be read keeps its number: an empty event is sent for it and refused."},
           {.name = "window",
            .value = "N",
            .help = "Events on their way at a time. Default: 16384"},
           TimeoutFlag("Give up after so long without any progress. Default: 60s")},
      .endings = {{kExitOk,
                   "every line was accepted, now or (with --producer_id) at an earlier attempt, "
                   "which told what it refused"},
                  {kExitRejected, "some were refused, quarantined, unreadable or held back"},
                  {kExitNoInput, "FILE cannot be read"},
                  {kExitUnavailable, kUnreachableEnding},
                  {kExitTemporary,
                   "it stopped before all lines were acknowledged, as at Ctrl-C or SIGTERM"}},
      .run = RunSend};
  return command;
}

}  // namespace holdfast::client
