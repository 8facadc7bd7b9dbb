// A call of AdminService for a command: where the daemon is, how long to wait, and what to tell the
// user if it fails.

#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

#include "client/cli/connection.h"
#include "client/cli/flags.h"
#include "holdfast/v1/admin.grpc.pb.h"

namespace holdfast::client {

// Not thread-safe.
class AdminCaller final {
 public:
  using Stub = v1::AdminService::Stub;

  // `command`: its name, for what is said. `otherwise`: the time to wait without --timeout.
  static absl::StatusOr<AdminCaller> Make(absl::string_view command, const Arguments& arguments,
                                          absl::Duration otherwise);

  // stub->*method(request), in the time that --timeout leaves each call.
  template <typename Request, typename Response>
  absl::StatusOr<Response> Call(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                             Response*),
                                const Request& request) {
    if (absl::Status opened = Open(); !opened.ok()) return opened;
    grpc::ClientContext context;
    SetDeadline(&context);
    Response response;
    const grpc::Status status = (stub_.get()->*method)(&context, request, &response);
    if (!status.ok()) return FailureOf(status);
    return response;
  }

  // Tells the user that a call has failed and what to do, and returns the exit code: 69 if the
  // daemon could not be reached; 75 if it answers and cannot do it now, 1 if it will not.
  int Failed(const absl::Status& failure);

  const std::string& address() const { return connection_.address; }

 private:
  AdminCaller(absl::string_view command, Connection connection, absl::Duration timeout);

  absl::Status Open();
  void SetDeadline(grpc::ClientContext* context) const;
  absl::Status FailureOf(const grpc::Status& status);

  std::string command_;
  Connection connection_;
  absl::Duration timeout_;
  std::unique_ptr<Stub> stub_;  // Made anew after UNAVAILABLE: certificates may have changed.
};

}  // namespace holdfast::client
