// Reads the status from the admin port: the one door of a daemon that stays open while it drains.

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "google/protobuf/util/json_util.h"

#include "client/cli/drain_command.h"

namespace holdfast::client {
namespace {

constexpr timeval kPatience = {2, 0};
constexpr size_t kPageBytesMax = 1 << 20;

// A connected socket, or -1.
int Connect(const std::string& host, uint32_t port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), absl::StrCat(port).c_str(), &hints, &found) != 0) return -1;
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, &freeaddrinfo);
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    const int socket = ::socket(one->ai_family, one->ai_socktype | SOCK_CLOEXEC, 0);
    if (socket < 0) continue;
    setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof(kPatience));
    setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof(kPatience));
    if (connect(socket, one->ai_addr, one->ai_addrlen) == 0) return socket;
    close(socket);
  }
  return -1;
}

// Everything that the peer sends until it closes; HTTP/1.0 needs no more.
std::string Get(int socket, absl::string_view host) {
  const std::string request =
      absl::StrCat("GET /api/v1/status HTTP/1.0\r\nHost: ", host, "\r\n\r\n");
  std::string answer;
  if (send(socket, request.data(), request.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(request.size())) {
    return answer;
  }
  std::array<char, 16384> piece;
  while (answer.size() < kPageBytesMax) {
    const ssize_t got = recv(socket, piece.data(), piece.size(), 0);
    if (got <= 0) break;
    answer.append(piece.data(), static_cast<size_t>(got));
  }
  return answer;
}

}  // namespace

std::string HostOf(absl::string_view address) {
  if (absl::StartsWith(address, "unix:")) return "127.0.0.1";
  const size_t colon = address.rfind(':');
  absl::string_view host = address.substr(0, colon);
  if (absl::ConsumePrefix(&host, "[")) absl::ConsumeSuffix(&host, "]");
  return std::string(host);
}

std::optional<v1::GetStatusResponse> ReadStatusPage(const std::string& host, uint32_t port) {
  const int socket = Connect(host, port);
  if (socket < 0) return std::nullopt;
  const std::string answer = Get(socket, host);
  close(socket);
  const size_t body = answer.find("\r\n\r\n");
  if (!absl::StartsWith(answer, "HTTP/1.") || body == std::string::npos) return std::nullopt;
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;
  v1::GetStatusResponse status;
  if (!google::protobuf::util::JsonStringToMessage(answer.substr(body + 4), &status, options)
           .ok()) {
    return std::nullopt;
  }
  return status;
}

}  // namespace holdfast::client
