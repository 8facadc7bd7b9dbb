#include "server/ingress/listen_address.h"

#include <sys/un.h>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace holdfast::ingress {
namespace {

// Room for the path and its final NUL.
constexpr size_t kSocketPathMax = sizeof(sockaddr_un::sun_path) - 1;

absl::StatusOr<ListenAddress> ParseUnix(absl::string_view path) {
  if (path.empty() || path.front() != '/') {
    return absl::InvalidArgumentError("the socket's path must be absolute: unix:/run/name.sock");
  }
  if (path.size() > kSocketPathMax) {
    return absl::InvalidArgumentError(absl::StrCat("the socket's path has ", path.size(),
                                                   " bytes; the system allows ", kSocketPathMax));
  }
  if (path.back() == '/' || path.find('\0') != absl::string_view::npos) {
    return absl::InvalidArgumentError("the socket's path must name a file, not a folder");
  }
  ListenAddress address;
  address.socket_path = std::string(path);
  return address;
}

}  // namespace

std::string ListenAddress::ToString() const {
  if (is_unix()) return absl::StrCat("unix:", socket_path);
  return host == "::1" ? absl::StrCat("[::1]:", port) : absl::StrCat(host, ":", port);
}

std::string ListenAddress::Target() const {
  if (is_unix()) return absl::StrCat("unix:", socket_path);
  return absl::StrCat(host == "::1" ? "ipv6:" : "ipv4:", ToString());
}

absl::StatusOr<ListenAddress> ParseListenAddress(absl::string_view text) {
  if (absl::ConsumePrefix(&text, "unix:")) return ParseUnix(text);
  const size_t colon = text.rfind(':');
  if (colon == absl::string_view::npos) {
    return absl::InvalidArgumentError("expected unix:/absolute/path or 127.0.0.1:port");
  }
  ListenAddress address;
  const absl::string_view host = text.substr(0, colon);
  if (host == "127.0.0.1" || host == "localhost") {
    address.host = "127.0.0.1";
  } else if (host == "[::1]") {
    address.host = "::1";
  } else {
    return absl::InvalidArgumentError(
        "only this machine may connect, as there is no TLS: use unix:/absolute/path, "
        "127.0.0.1:port, [::1]:port or localhost:port");
  }
  if (!absl::SimpleAtoi(text.substr(colon + 1), &address.port) || address.port < 0 ||
      address.port > 65535) {
    return absl::InvalidArgumentError("the port must be a number from 0 (any free one) to 65535");
  }
  return address;
}

}  // namespace holdfast::ingress
