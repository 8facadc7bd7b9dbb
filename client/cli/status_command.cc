#include "client/cli/status_command.h"

#include <iostream>

#include "absl/strings/str_cat.h"
#include "google/protobuf/util/json_util.h"

#include "client/cli/admin_call.h"
#include "client/cli/flags.h"
#include "client/cli/status_watch.h"
#include "holdfast/v1/admin.grpc.pb.h"

namespace holdfast::client {
namespace {

constexpr absl::Duration kTimeout = absl::Seconds(5);

int Print(const v1::GetStatusResponse& status, bool json) {
  if (!json) {
    std::cout << FormatStatus(status, absl::Now());
  } else {
    google::protobuf::util::JsonPrintOptions options;
    options.add_whitespace = true;
    options.always_print_primitive_fields = true;
    std::string text;
    const auto printed = google::protobuf::util::MessageToJsonString(status, &text, options);
    if (!printed.ok()) {
      std::cerr << "holdfast status: the answer cannot be shown as JSON: " << printed.ToString()
                << "\n";
      return kExitUnavailable;
    }
    std::cout << text;
  }
  return status.missing().empty() ? kExitOk : kExitRejected;
}

absl::StatusOr<int> RunStatus(const Arguments& arguments) {
  if (arguments.Has("watch") && arguments.Has("json")) {
    return absl::InvalidArgumentError("--watch and --json are two forms; choose one");
  }
  for (const char* flag : {"every", "times"}) {
    if (arguments.Has(flag) && !arguments.Has("watch")) {
      return absl::InvalidArgumentError(absl::StrCat("--", flag, " goes with --watch"));
    }
  }
  absl::StatusOr<AdminCaller> caller = AdminCaller::Make("status", arguments, kTimeout);
  if (!caller.ok()) return caller.status();
  if (arguments.Has("watch")) return WatchStatus(*caller, arguments);
  const auto status = caller->Call(&AdminCaller::Stub::GetStatus, v1::GetStatusRequest());
  if (!status.ok()) return caller->Failed(status.status());
  return Print(*status, arguments.Has("json"));
}

}  // namespace

const Command& StatusCommand() {
  static const auto& command = *new Command{
      .name = "status",
      .group = CommandGroup::kLooking,
      .summary = "Shows what the daemon is doing.",
      .description =
          R"(Shows what a Holdfast daemon is doing. First, in the words of its status page, whether
your data is safe and flows, and each problem with its cause and what to do. Then how many events it
took and where they are, its lanes towards the database, its journal and its database.

It is ready as long as nothing keeps events from being taken or from reaching the database. A
problem that does neither, as a journal on a volume that does not last, is told and changes nothing
of how the command ends. Scripts read --json: fields come, and none goes.
)",
      .flags = {ToFlag(),
                {.name = "json",
                 .help = "The same as JSON (holdfast.v1.GetStatusResponse), for programs."},
                {.name = "watch",
                 .help = "Goes on showing it, with rates: in place on a terminal, otherwise a line "
                         "for each change. Until it is interrupted."},
                {.name = "every", .value = "TIME", .help = "How often --watch looks. Default: 1s"},
                {.name = "times", .value = "N", .help = "--watch ends after N looks."},
                TimeoutFlag("How long to wait for the answer. Default: 5s")},
      .endings = {{kExitOk, "the daemon is ready"},
                  {kExitRejected,
                   "it is not: events are refused, or held up (with --watch: at the last look)"},
                  {kExitUnavailable, kUnreachableEnding}},
      .run = RunStatus};
  return command;
}

}  // namespace holdfast::client
