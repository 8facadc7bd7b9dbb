// The way to a server, step by step, where logging in alone does not say which one failed.

#pragma once

#include <sys/socket.h>

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "server/base/clock.h"

namespace holdfast::diagnosis {

struct Address {
  sockaddr_storage bytes{};
  socklen_t length = 0;
  std::string text;  // "10.0.0.7", or a socket's path.
};

// What a name stands for. The error says why not, or that no answer came in time.
absl::StatusOr<std::vector<Address>> Resolve(const std::string& host, int port,
                                             absl::Duration timeout, base::Clock& clock);

// INVALID_ARGUMENT if the path is too long for a socket.
absl::StatusOr<Address> SocketAddress(const std::string& path);

enum class Peer {
  kNobody,    // No connection: see error_number.
  kSilent,    // A connection, and no greeting.
  kForeign,   // What it said is no greeting of MySQL or MariaDB.
  kDatabase,  // A greeting, or an error in its place.
};

struct Dialed {
  Peer peer = Peer::kNobody;
  int error_number = 0;  // The system's.
  std::string text;      // The address that was tried.
};

// Connects, reads the first bytes and hangs up. The server counts an aborted connection.
Dialed Dial(const Address& address, absl::Duration timeout, base::Clock& clock);

// Whether these first bytes are those of a MySQL or MariaDB server.
bool IsGreeting(absl::string_view bytes);

}  // namespace holdfast::diagnosis
