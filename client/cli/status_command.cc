#include "client/cli/status_command.h"

#include <iostream>

#include "absl/strings/str_cat.h"
#include "google/protobuf/util/json_util.h"

#include "client/cli/flags.h"
#include "client/stream.h"
#include "holdfast/v1/admin.grpc.pb.h"

namespace holdfast::client {
namespace {

absl::StatusOr<v1::GetStatusResponse> GetStatus(const std::string& address,
                                                absl::Duration timeout) {
  const auto stub = v1::AdminService::NewStub(OpenChannel(address));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + absl::ToChronoNanoseconds(timeout));
  v1::GetStatusResponse response;
  const grpc::Status status = stub->GetStatus(&context, v1::GetStatusRequest(), &response);
  if (!status.ok()) return FromGrpc(status);
  return response;
}

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
  const absl::StatusOr<absl::Duration> timeout = arguments.GetDuration("timeout", absl::Seconds(5));
  if (!timeout.ok()) return timeout.status();
  const std::string address = DaemonAddress(arguments);
  const absl::StatusOr<v1::GetStatusResponse> status = GetStatus(address, *timeout);
  if (!status.ok()) {
    std::cerr << "holdfast status: no answer from " << address << ": " << status.status().message()
              << "\n"
              << UnreachableAdvice(address) << "\n";
    return kExitUnavailable;
  }
  return Print(*status, arguments.Has("json"));
}

}  // namespace

const Command& StatusCommand() {
  static const auto& command = *new Command{
      .name = "status",
      .group = CommandGroup::kLooking,
      .summary = "Shows what the daemon is doing.",
      .description =
          R"(Shows what a Holdfast daemon is doing: whether it is ready and what is missing, how many
events it took and where they are, its lanes towards the database, its journal and its database.
)",
      .flags = {ToFlag(),
                {.name = "json",
                 .help = "The same as JSON (holdfast.v1.GetStatusResponse), for programs."},
                TimeoutFlag("How long to wait for the answer. Default: 5s")},
      .endings = {{kExitOk, "the daemon is ready"},
                  {kExitRejected, "something is missing"},
                  {kExitUnavailable, kUnreachableEnding}},
      .run = RunStatus};
  return command;
}

}  // namespace holdfast::client
