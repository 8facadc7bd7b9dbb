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

#include "client/cli/connection.h"
#include "client/cli/flags.h"
#include "client/stream.h"
#include "holdfast/v1/admin.grpc.pb.h"

namespace holdfast::client {
namespace {

constexpr absl::Duration kLookEvery = absl::Milliseconds(100);
constexpr char kIngest[] = "holdfast.v1.IngestService";

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

absl::StatusOr<int> Ask(const Arguments& arguments, const Connection& connection,
                        absl::Time deadline) {
  const auto channel = OpenChannel(connection.address, connection.tls);
  if (!channel.ok()) return channel.status();
  if (arguments.Has("idle")) return AwaitIdle(*channel, deadline);
  const absl::StatusOr<bool> serving =
      IsServing(*channel, arguments.Has("ready") ? kIngest : "", deadline);
  if (!serving.ok()) return serving.status();
  if (*serving) return kExitOk;
  std::cerr << "holdfast health: the daemon answers and takes no events; `holdfast status` says "
               "why\n";
  return kExitRejected;
}

absl::StatusOr<int> RunHealth(const Arguments& arguments) {
  const absl::StatusOr<absl::Duration> timeout = arguments.GetDuration("timeout", absl::Seconds(3));
  if (!timeout.ok()) return timeout.status();
  if (arguments.Has("ready") && arguments.Has("idle")) {
    return absl::InvalidArgumentError("--ready and --idle are two questions; ask one");
  }
  const absl::StatusOr<Connection> connection = ConnectionOf(arguments);
  if (!connection.ok()) return connection.status();
  const absl::StatusOr<int> code = Ask(arguments, *connection, absl::Now() + *timeout);
  if (code.ok()) return *code;
  return TellUnreachable("health", *connection, code.status());
}

}  // namespace

const Command& HealthCommand() {
  static const auto& command = *new Command{
      .name = "health",
      .group = CommandGroup::kLooking,
      .summary = "Asks whether the daemon answers, or takes events: for probes.",
      .description =
          R"(Asks a Holdfast daemon for its health through the listener that gateways use: for exec
probes, where the admin port cannot be reached. Over HTTP, /livez and /readyz there say the same.
)",
      .flags = {{.name = "ready",
                 .help = "Whether the daemon takes events, and not only whether it answers. A "
                         "database that is away does not change that."},
                {.name = "idle",
                 .help = "Waits until no gateway has a stream open, --timeout at most: for a "
                         "preStop hook, where gateway and daemon are told to end at the same "
                         "moment."},
                ToFlag(),
                TimeoutFlag("How long to wait. Default: 3s")},
      .endings = {{kExitOk, "it is so"},
                  {kExitRejected, "the daemon answers and takes no events"},
                  {kExitUnavailable, kUnreachableEnding},
                  {kExitTemporary, "gateways were still there after the time"}},
      .run = RunHealth};
  return command;
}

}  // namespace holdfast::client
