#include "client/cli/status_command.h"

#include <iostream>

#include "absl/strings/str_cat.h"
#include "google/protobuf/util/json_util.h"

#include "client/cli/flags.h"
#include "client/stream.h"
#include "holdfast/v1/admin.grpc.pb.h"

namespace holdfast::client {
namespace {

constexpr char kHelp[] =
    R"(Shows what a Holdfast daemon is doing: whether it is ready and what is missing, how many
events it took and where they are, its lanes towards the database, its journal and its database.

  holdfast status [flags]

Flags:
  --to=ADDRESS    Where the daemon listens: unix:/path or host:port.
                  Default: $HOLDFAST_LISTEN, else unix:/run/holdfast/holdfast.sock
  --json          The same as JSON (holdfast.v1.GetStatusResponse), for programs.
  --timeout=TIME  How long to wait for the answer. Default: 5s
  --help          Shows this.

Ends with 0 if the daemon is ready; 1 if something is missing; 64 if the arguments are wrong; 69 if
the daemon could not be reached.
)";

const std::vector<FlagSpec>& KnownFlags() {
  static const auto& flags =
      *new std::vector<FlagSpec>{{"to", true}, {"json", false}, {"timeout", true}, {"help", false}};
  return flags;
}

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

}  // namespace

int RunStatus(const std::vector<std::string>& arguments) {
  absl::StatusOr<Arguments> parsed = Arguments::Parse(arguments, KnownFlags());
  if (parsed.ok() && parsed->Has("help")) {
    std::cout << kHelp;
    return kExitOk;
  }
  absl::StatusOr<absl::Duration> timeout =
      parsed.ok() ? parsed->GetDuration("timeout", absl::Seconds(5)) : parsed.status();
  if (timeout.ok() && !parsed->positional().empty()) {
    timeout =
        absl::InvalidArgumentError(absl::StrCat("unexpected argument ", parsed->positional()[0]));
  }
  if (!timeout.ok()) {
    std::cerr << "holdfast status: " << timeout.status().message()
              << "\n`holdfast status --help` explains all flags.\n";
    return kExitUsage;
  }
  const std::string address = DaemonAddress(*parsed);
  const absl::StatusOr<v1::GetStatusResponse> status = GetStatus(address, *timeout);
  if (!status.ok()) {
    std::cerr << "holdfast status: no answer from " << address << ": " << status.status().message()
              << "\n"
              << UnreachableAdvice(address) << "\n";
    return kExitUnavailable;
  }
  return Print(*status, parsed->Has("json"));
}

}  // namespace holdfast::client
