// What only an outside view can tell of a daemon: whether it can be reached, and whether an event
// that is sent as a gateway sends it arrives. The rest of a diagnosis comes from holdfastd: from
// the one that runs, or from `holdfastd --diagnose`.

#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"

#include "client/cli/connection.h"
#include "holdfast/v1/admin.pb.h"

namespace holdfast::client {

struct DoctorOptions {
  Connection connection;
  absl::Duration timeout = absl::Seconds(30);
  bool write = true;                      // Send the probe.
  std::vector<std::string> daemon_flags;  // For `holdfastd --diagnose`.
};

// Takes at most `timeout` and a few seconds.
v1::DiagnoseResponse RunDiagnosis(const DoctorOptions& options);

// Why nobody answers there, as a finding: no socket, nobody behind it, no right to it, what is
// wrong with TLS, or what gRPC said of it.
v1::Finding JudgeUnreachable(const Connection& connection, const absl::Status& status);

// What came of sending the probe with the two levels.
struct ProbeSent {
  absl::Status journaled;
  absl::Duration journaled_after;
  absl::Status committed;
  absl::Duration committed_after;
};
std::vector<v1::Finding> JudgeProbeSent(const ProbeSent& sent);

}  // namespace holdfast::client
