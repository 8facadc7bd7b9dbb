#include "server/gate/listen_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <cstring>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace holdfast::gate {
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

sockaddr_in& Four(SocketAddress& address) {
  return reinterpret_cast<sockaddr_in&>(address.storage);
}
sockaddr_in6& Six(SocketAddress& address) {
  return reinterpret_cast<sockaddr_in6&>(address.storage);
}

}  // namespace

int SocketAddress::port() const {
  SocketAddress copy = *this;
  return ntohs(storage.ss_family == AF_INET6 ? Six(copy).sin6_port : Four(copy).sin_port);
}

void SocketAddress::set_port(int port) {
  (storage.ss_family == AF_INET6 ? Six(*this).sin6_port : Four(*this).sin_port) =
      htons(static_cast<uint16_t>(port));
}

std::string SocketAddress::ToString() const {
  SocketAddress copy = *this;
  const bool six = storage.ss_family == AF_INET6;
  const void* number = six ? static_cast<const void*>(&Six(copy).sin6_addr)
                           : static_cast<const void*>(&Four(copy).sin_addr);
  char text[INET6_ADDRSTRLEN] = "";
  ::inet_ntop(storage.ss_family, number, text, sizeof text);
  return six ? absl::StrCat("[", text, "]:", port()) : absl::StrCat(text, ":", port());
}

std::string ListenAddress::ToString() const {
  if (is_unix()) return absl::StrCat("unix:", socket_path);
  return family() == AF_INET6 ? absl::StrCat("[", host, "]:", port) : absl::StrCat(host, ":", port);
}

std::string ListenAddress::Target() const {
  if (is_unix()) return absl::StrCat("unix:", socket_path);
  return absl::StrCat(family() == AF_INET6 ? "ipv6:" : "ipv4:", ToString());
}

bool ListenAddress::is_local() const {
  return is_unix() || host == "::1" || absl::StartsWith(host, "127.");
}

int ListenAddress::family() const {
  if (is_unix()) return AF_UNIX;
  return absl::StrContains(host, ':') ? AF_INET6 : AF_INET;
}

SocketAddress ListenAddress::ToSocketAddress() const {
  SocketAddress address;
  address.storage.ss_family = static_cast<sa_family_t>(family());
  if (is_unix()) {
    auto& name = reinterpret_cast<sockaddr_un&>(address.storage);
    std::memcpy(name.sun_path, socket_path.data(), socket_path.size());
    address.length = sizeof name;
    return address;
  }
  const bool six = family() == AF_INET6;
  ::inet_pton(family(), host.c_str(),
              six ? static_cast<void*>(&Six(address).sin6_addr)
                  : static_cast<void*>(&Four(address).sin_addr));
  address.length = six ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
  address.set_port(port);
  return address;
}

SocketAddress ListenAddress::Reachable() const {
  ListenAddress reachable = *this;
  if (host == "0.0.0.0") reachable.host = "127.0.0.1";
  if (host == "::") reachable.host = "::1";
  return reachable.ToSocketAddress();
}

absl::StatusOr<ListenAddress> ParseListenAddress(absl::string_view text) {
  if (absl::ConsumePrefix(&text, "unix:")) return ParseUnix(text);
  const size_t colon = text.rfind(':');
  if (colon == absl::string_view::npos) {
    return absl::InvalidArgumentError("expected unix:/absolute/path or 127.0.0.1:port");
  }
  ListenAddress address;
  absl::string_view host = text.substr(0, colon);
  const bool six = absl::ConsumePrefix(&host, "[") && absl::ConsumeSuffix(&host, "]");
  address.host = host == "localhost" ? "127.0.0.1" : std::string(host);
  in6_addr number{};
  if (::inet_pton(six ? AF_INET6 : AF_INET, address.host.c_str(), &number) != 1) {
    return absl::InvalidArgumentError(
        "the host must be a number or localhost: unix:/absolute/path, 127.0.0.1:port, [::1]:port, "
        "localhost:port, or with TLS any other address such as 0.0.0.0:port");
  }
  if (!absl::SimpleAtoi(text.substr(colon + 1), &address.port) || address.port < 0 ||
      address.port > 65535) {
    return absl::InvalidArgumentError("the port must be a number from 0 (any free one) to 65535");
  }
  return address;
}

}  // namespace holdfast::gate
