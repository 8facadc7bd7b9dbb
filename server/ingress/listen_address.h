// Where gateways connect: a Unix socket, or a port on this machine's loopback. Nothing else may be
// asked for: whoever reaches the socket is trusted, and without TLS no other machine may reach it.

#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace holdfast::ingress {

struct ListenAddress {
  std::string socket_path;  // Set for a Unix socket, empty for TCP.
  std::string host;         // "127.0.0.1" or "::1".
  int port = 0;             // 0: any free port.

  bool is_unix() const { return !socket_path.empty(); }

  // As it was asked for: "unix:/run/holdfast.sock", "127.0.0.1:5555", "[::1]:5555".
  std::string ToString() const;

  // As a gRPC channel wants it.
  std::string Target() const;
};

// Reads `unix:/absolute/path`, `127.0.0.1:port`, `[::1]:port` or `localhost:port`. InvalidArgument
// says what would be right.
absl::StatusOr<ListenAddress> ParseListenAddress(absl::string_view text);

}  // namespace holdfast::ingress
