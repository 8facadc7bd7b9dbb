#include "client/cli/admin_call.h"

#include <iostream>
#include <utility>

#include "absl/time/clock.h"

#include "client/stream.h"
#include "client/tls.h"

namespace holdfast::client {

absl::StatusOr<AdminCaller> AdminCaller::Make(absl::string_view command, const Arguments& arguments,
                                              absl::Duration otherwise) {
  const absl::StatusOr<absl::Duration> timeout = arguments.GetDuration("timeout", otherwise);
  if (!timeout.ok()) return timeout.status();
  absl::StatusOr<Connection> connection = ConnectionOf(arguments);
  if (!connection.ok()) return connection.status();
  return AdminCaller(command, *std::move(connection), *timeout);
}

AdminCaller::AdminCaller(absl::string_view command, Connection connection, absl::Duration timeout)
    : command_(command), connection_(std::move(connection)), timeout_(timeout) {}

absl::Status AdminCaller::Open() {
  if (stub_ != nullptr) return absl::OkStatus();
  const auto channel = OpenChannel(connection_.address, connection_.tls);
  if (channel.ok()) stub_ = v1::AdminService::NewStub(*channel);
  return channel.status();
}

void AdminCaller::SetDeadline(grpc::ClientContext* context) const {
  context->set_deadline(absl::ToChronoTime(absl::Now() + timeout_));
}

absl::Status AdminCaller::FailureOf(const grpc::Status& status) {
  const absl::Status failure = FromGrpc(status);
  if (absl::IsUnavailable(failure)) stub_ = nullptr;
  return ExplainTls(connection_.tls, connection_.address, failure);
}

int AdminCaller::Failed(const absl::Status& failure) {
  if (absl::IsUnauthenticated(failure)) return TellUnreachable(command_, connection_, failure);
  const bool may_be_away = absl::IsUnavailable(failure) || absl::IsDeadlineExceeded(failure);
  // UNAVAILABLE is said both by a daemon whose database is away and by nobody at all.
  const bool answers = !may_be_away || Call(&Stub::GetStatus, v1::GetStatusRequest()).ok();
  if (!answers) return TellUnreachable(command_, connection_, failure);
  std::cerr << "holdfast " << command_ << ": " << failure.message() << "\n";
  if (absl::IsUnimplemented(failure)) {
    std::cerr << "The daemon is of an older version than this tool.\n";
    return kExitRejected;
  }
  if (!may_be_away && !absl::IsResourceExhausted(failure)) return kExitRejected;
  std::cerr << "The daemon answers and cannot do it now; `holdfast status` says what is missing. "
               "Try again then.\n";
  return kExitTemporary;
}

}  // namespace holdfast::client
