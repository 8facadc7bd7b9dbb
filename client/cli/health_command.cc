#include "client/cli/health_command.h"

#include <iostream>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/grpcpp.h"

#include "client/cli/flags.h"
#include "client/stream.h"
#include "holdfast/v1/admin.grpc.pb.h"

namespace holdfast::client {
namespace {

constexpr char kHelp[] =
    R"(Asks a Holdfast daemon for its health through the listener that gateways use: for exec
probes, where the admin port cannot be reached. Over HTTP, /livez and /readyz there say the same.

  holdfast health [flags]

Flags:
  --ready         Whether the daemon takes events, and not only whether it answers. A database that
                  is away does not change that.
  --idle          Waits until no gateway has a stream open, --timeout at most: for a preStop hook,
                  where gateway and daemon are told to end at the same moment.
  --to=ADDRESS    Where the daemon listens: unix:/path or host:port.
                  Default: $HOLDFAST_LISTEN, else unix:/run/holdfast/holdfast.sock
  --timeout=TIME  How long to wait. Default: 3s
  --help          Shows this.

Ends with 0 if it is so; 1 if the daemon answers and takes no events; 64 if the arguments are wrong;
69 if the daemon could not be reached; 75 if gateways were still there after the time.
)";

constexpr absl::Duration kLookEvery = absl::Milliseconds(100);
constexpr char kIngest[] = "holdfast.v1.IngestService";

const std::vector<FlagSpec>& KnownFlags() {
  static const auto& flags = *new std::vector<FlagSpec>{
      {"ready", false}, {"idle", false}, {"to", true}, {"timeout", true}, {"help", false}};
  return flags;
}

void SetDeadline(absl::Time deadline, grpc::ClientContext* context) {
  context->set_deadline(absl::ToChronoTime(deadline));
}

// Whether grpc.health.v1 calls this service SERVING; "" is the server as a whole. Its two messages
// have one field each and are written by hand: a stub would be a generated file for four bytes.
absl::StatusOr<bool> IsServing(const std::shared_ptr<grpc::Channel>& channel,
                               const std::string& service, absl::Time deadline) {
  std::string encoded;
  if (!service.empty()) {
    encoded = absl::StrCat("\x0a", std::string(1, static_cast<char>(service.size())), service);
  }
  const grpc::Slice slice(encoded);
  const grpc::ByteBuffer request(&slice, 1);
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  SetDeadline(deadline, &context);
  grpc::ByteBuffer response;
  grpc::Status status;
  absl::Notification done;
  stub.UnaryCall(&context, "/grpc.health.v1.Health/Check", grpc::StubOptions(), &request, &response,
                 [&status, &done](grpc::Status answer) {
                   status = std::move(answer);
                   done.Notify();
                 });
  done.WaitForNotification();
  if (!status.ok()) return FromGrpc(status);
  grpc::Slice answer;
  const grpc::Status dumped = response.DumpToSingleSlice(&answer);
  if (!dumped.ok()) return FromGrpc(dumped);
  constexpr uint8_t kServing = 1;
  return answer.size() == 2 && answer.begin()[1] == kServing;
}

// The exit code.
absl::StatusOr<int> AwaitIdle(const std::shared_ptr<grpc::Channel>& channel, absl::Time deadline) {
  const auto stub = v1::AdminService::NewStub(channel);
  while (true) {
    grpc::ClientContext context;
    SetDeadline(deadline, &context);
    v1::GetStatusResponse found;
    const grpc::Status status = stub->GetStatus(&context, v1::GetStatusRequest(), &found);
    if (!status.ok()) return FromGrpc(status);
    if (found.streams() == 0) return kExitOk;
    if (absl::Now() + kLookEvery >= deadline) {
      std::cerr << "holdfast health: " << found.streams()
                << " streams of gateways are still open\n";
      return kExitTemporary;
    }
    absl::SleepFor(kLookEvery);
  }
}

absl::StatusOr<int> Ask(const Arguments& arguments, const std::string& address,
                        absl::Time deadline) {
  const std::shared_ptr<grpc::Channel> channel = OpenChannel(address);
  if (arguments.Has("idle")) return AwaitIdle(channel, deadline);
  const absl::StatusOr<bool> serving =
      IsServing(channel, arguments.Has("ready") ? kIngest : "", deadline);
  if (!serving.ok()) return serving.status();
  if (*serving) return kExitOk;
  std::cerr << "holdfast health: the daemon answers and takes no events; `holdfast status` says "
               "why\n";
  return kExitRejected;
}

}  // namespace

int RunHealth(const std::vector<std::string>& arguments) {
  absl::StatusOr<Arguments> parsed = Arguments::Parse(arguments, KnownFlags());
  if (parsed.ok() && parsed->Has("help")) {
    std::cout << kHelp;
    return kExitOk;
  }
  absl::StatusOr<absl::Duration> timeout =
      parsed.ok() ? parsed->GetDuration("timeout", absl::Seconds(3)) : parsed.status();
  if (timeout.ok() && !parsed->positional().empty()) {
    timeout =
        absl::InvalidArgumentError(absl::StrCat("unexpected argument ", parsed->positional()[0]));
  }
  if (timeout.ok() && parsed->Has("ready") && parsed->Has("idle")) {
    timeout = absl::InvalidArgumentError("--ready and --idle are two questions; ask one");
  }
  if (!timeout.ok()) {
    std::cerr << "holdfast health: " << timeout.status().message()
              << "\n`holdfast health --help` explains all flags.\n";
    return kExitUsage;
  }
  const std::string address = DaemonAddress(*parsed);
  const absl::StatusOr<int> code = Ask(*parsed, address, absl::Now() + *timeout);
  if (code.ok()) return *code;
  std::cerr << "holdfast health: no answer from " << address << ": " << code.status().message()
            << "\n"
            << UnreachableAdvice(address) << "\n";
  return kExitUnavailable;
}

}  // namespace holdfast::client
