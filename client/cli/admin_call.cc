#include "client/cli/admin_call.h"

#include <iostream>
#include <utility>

#include "client/stream.h"

namespace holdfast::client {

absl::StatusOr<AdminCaller> AdminCaller::Make(absl::string_view command, const Arguments& arguments,
                                              absl::Duration otherwise) {
  const absl::StatusOr<absl::Duration> timeout = arguments.GetDuration("timeout", otherwise);
  if (!timeout.ok()) return timeout.status();
  return AdminCaller(command, DaemonAddress(arguments), *timeout);
}

AdminCaller::AdminCaller(absl::string_view command, std::string address, absl::Duration timeout)
    : command_(command),
      address_(std::move(address)),
      timeout_(timeout),
      stub_(v1::AdminService::NewStub(OpenChannel(address_))) {}

void AdminCaller::SetDeadline(grpc::ClientContext* context) const {
  context->set_deadline(std::chrono::system_clock::now() + absl::ToChronoNanoseconds(timeout_));
}

absl::Status AdminCaller::ToStatus(const grpc::Status& status) { return FromGrpc(status); }

int AdminCaller::Failed(const absl::Status& failure) {
  const bool may_be_away = absl::IsUnavailable(failure) || absl::IsDeadlineExceeded(failure);
  // UNAVAILABLE is said both by a daemon whose database is away and by nobody at all.
  const bool answers = !may_be_away || Call(&Stub::GetStatus, v1::GetStatusRequest()).ok();
  if (!answers) {
    std::cerr << "holdfast " << command_ << ": no answer from " << address_ << ": "
              << failure.message() << "\n"
              << UnreachableAdvice(address_) << "\n";
    return kExitUnavailable;
  }
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
