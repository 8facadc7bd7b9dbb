// Where gateways connect: a Unix socket or a TCP port.

#pragma once

#include <sys/socket.h>

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace holdfast::gate {

// An address as the system takes it.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;

  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
  // Of TCP.
  int port() const;
  void set_port(int port);
  std::string ToString() const;
};

struct ListenAddress {
  std::string socket_path;  // Set for a Unix socket, empty for TCP.
  std::string host;         // A number: "127.0.0.1", "::1", "0.0.0.0", ...
  int port = 0;             // 0: any free port.

  bool is_unix() const { return !socket_path.empty(); }

  // As it was asked for: "unix:/run/holdfast.sock", "127.0.0.1:5555", "[::1]:5555".
  std::string ToString() const;

  // As a gRPC channel wants it.
  std::string Target() const;

  // Whether only this machine can connect.
  bool is_local() const;

  int family() const;  // AF_UNIX, AF_INET or AF_INET6.
  SocketAddress ToSocketAddress() const;
  // One by which this machine itself gets there: loopback, where all addresses are listened on.
  SocketAddress Reachable() const;
};

// Reads `unix:/absolute/path`, `127.0.0.1:port`, `[::1]:port`, `localhost:port`, or any other
// address by its number. InvalidArgument says what would be right.
absl::StatusOr<ListenAddress> ParseListenAddress(absl::string_view text);

}  // namespace holdfast::gate
