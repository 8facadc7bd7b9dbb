#include "server/diagnosis/network.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"

#include "server/diagnosis/within.h"

namespace holdfast::diagnosis {
namespace {

using Resolved = absl::StatusOr<std::vector<Address>>;

std::string TextOf(const sockaddr& address, socklen_t length) {
  std::array<char, NI_MAXHOST> host{};
  const int failed =
      getnameinfo(&address, length, host.data(), host.size(), nullptr, 0, NI_NUMERICHOST);
  return failed == 0 ? host.data() : "?";
}

Resolved ResolveNow(const std::string& host, int port) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int failed = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (failed != 0) return absl::NotFoundError(gai_strerror(failed));
  std::vector<Address> addresses;
  for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
    Address& address = addresses.emplace_back();
    std::memcpy(&address.bytes, each->ai_addr, each->ai_addrlen);
    address.length = each->ai_addrlen;
    address.text = TextOf(*each->ai_addr, each->ai_addrlen);
  }
  freeaddrinfo(found);
  return addresses;
}

// A descriptor that closes itself.
class Socket {
 public:
  explicit Socket(int family)
      : fd_(socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {}
  ~Socket() {
    if (fd_ >= 0) close(fd_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  int fd() const { return fd_; }

 private:
  const int fd_;
};

// Waits for `events`; false if `deadline` came first.
bool Await(int fd, short events, absl::Time deadline, base::Clock& clock) {
  pollfd wait = {fd, events, 0};
  while (true) {
    const absl::Duration left = std::max(deadline - clock.Steady(), absl::ZeroDuration());
    const int ready = poll(&wait, 1, static_cast<int>(absl::ToInt64Milliseconds(left)));
    if (ready < 0 && errno == EINTR) continue;
    return ready > 0;
  }
}

}  // namespace

Resolved Resolve(const std::string& host, int port, absl::Duration timeout, base::Clock& clock) {
  std::optional<Resolved> resolved =
      Within<Resolved>(timeout, clock, [host, port] { return ResolveNow(host, port); });
  if (resolved.has_value()) return *std::move(resolved);
  return absl::DeadlineExceededError(
      absl::StrCat("no answer within ", absl::FormatDuration(timeout)));
}

absl::StatusOr<Address> SocketAddress(const std::string& path) {
  Address address;
  sockaddr_un bytes{};
  bytes.sun_family = AF_UNIX;
  if (path.size() >= sizeof(bytes.sun_path)) {
    return absl::InvalidArgumentError("the path is too long for a socket");
  }
  std::memcpy(bytes.sun_path, path.data(), path.size());
  std::memcpy(&address.bytes, &bytes, sizeof(bytes));
  address.length = sizeof(bytes);
  address.text = path;
  return address;
}

Dialed Dial(const Address& address, absl::Duration timeout, base::Clock& clock) {
  const absl::Time deadline = clock.Steady() + timeout;
  Dialed dialed;
  dialed.text = address.text;
  const Socket socket(address.bytes.ss_family);
  const auto* bytes = reinterpret_cast<const sockaddr*>(&address.bytes);
  if (socket.fd() < 0 || connect(socket.fd(), bytes, address.length) < 0) {
    dialed.error_number = errno;
    if (dialed.error_number != EINPROGRESS) return dialed;
    dialed.error_number = ETIMEDOUT;
    if (!Await(socket.fd(), POLLOUT, deadline, clock)) return dialed;
    socklen_t length = sizeof(dialed.error_number);
    getsockopt(socket.fd(), SOL_SOCKET, SO_ERROR, &dialed.error_number, &length);
    if (dialed.error_number != 0) return dialed;
  }
  dialed.peer = Peer::kSilent;
  std::array<char, 128> first{};
  if (!Await(socket.fd(), POLLIN, deadline, clock)) return dialed;
  const ssize_t got = recv(socket.fd(), first.data(), first.size(), 0);
  if (got <= 0) return dialed;
  const bool is_greeting = IsGreeting(absl::string_view(first.data(), static_cast<size_t>(got)));
  dialed.peer = is_greeting ? Peer::kDatabase : Peer::kForeign;
  return dialed;
}

// A packet: three bytes of length, its number (0), and protocol version 10 or the mark of an error.
bool IsGreeting(absl::string_view bytes) {
  return bytes.size() >= 5 && bytes[3] == 0 && (bytes[4] == 10 || bytes[4] == '\xff');
}

}  // namespace holdfast::diagnosis
