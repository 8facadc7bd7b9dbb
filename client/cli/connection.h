// How a command reaches the daemon: --to and the flags for TLS, which every command with --to has.

#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "client/cli/command.h"
#include "client/cli/flags.h"
#include "client/client.h"

namespace holdfast::client {

// Where the daemon listens, and how it is spoken to.
struct Connection {
  std::string address;
  TlsOptions tls;
};

// The flags for TLS, in the order of the help.
const std::vector<Flag>& TlsFlags();

// As the flags say, else the environment, else the default socket without TLS. An environment
// variable that is empty counts as not set. INVALID_ARGUMENT that names the flag: an empty one, or
// one that does not go with the others.
absl::StatusOr<Connection> ConnectionOf(const Arguments& arguments);

// What to do about a daemon that cannot be reached.
std::string UnreachableAdvice(const Connection& connection);

// Says on standard error that there is no answer, why, and what to do; returns the exit code.
int TellUnreachable(absl::string_view command, const Connection& connection,
                    const absl::Status& failure);

// The exit code for a failure of that kind: 66 if it lies with a file of the TLS flags, else 69.
int UnreachableCode(const Connection& connection);

}  // namespace holdfast::client
