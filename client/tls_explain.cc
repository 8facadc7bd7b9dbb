// A TLS handshake by hand, up to the first byte of HTTP/2, for what it says when it fails.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"

#include "client/steady_clock.h"
#include "client/tls.h"
#include "client/tls_context.h"

namespace holdfast::client {
namespace {

constexpr absl::Duration kWaitMax = absl::Seconds(2);
constexpr absl::Duration kSlice = absl::Milliseconds(20);

// "h2", as ALPN has it.
constexpr std::array<unsigned char, 3> kHttp2 = {2, 'h', '2'};

// The client's preface and empty SETTINGS: what a server of HTTP/2 answers to.
constexpr absl::string_view kPreface("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", 33);

struct Address {
  sockaddr_storage storage{};
  socklen_t length = 0;
};

// The one that gRPC tried: "ipv4:10.0.0.1:5555" or "ipv6:%5B::1%5D:5555". Names have been looked up
// by gRPC: a resolver that hangs would hang this as well.
std::optional<Address> AddressIn(absl::string_view text) {
  const bool is_ipv6 = absl::StrContains(text, "ipv6:");
  const size_t begin = text.find(is_ipv6 ? "ipv6:" : "ipv4:");
  if (begin == absl::string_view::npos) return std::nullopt;
  text.remove_prefix(begin + 5);
  const std::string uri = absl::StrReplaceAll(text.substr(0, text.find(": ")),
                                              {{"%5B", ""}, {"%5D", ""}, {"[", ""}, {"]", ""}});
  const size_t colon = uri.rfind(':');
  uint32_t port = 0;
  if (colon == std::string::npos || !absl::SimpleAtoi(uri.substr(colon + 1), &port)) {
    return std::nullopt;
  }
  const std::string host = uri.substr(0, colon);
  Address address;
  void* place = nullptr;
  if (is_ipv6) {
    auto* const ipv6 = reinterpret_cast<sockaddr_in6*>(&address.storage);
    ipv6->sin6_family = AF_INET6;
    ipv6->sin6_port = htons(static_cast<uint16_t>(port));
    place = &ipv6->sin6_addr;
    address.length = sizeof(sockaddr_in6);
  } else {
    auto* const ipv4 = reinterpret_cast<sockaddr_in*>(&address.storage);
    ipv4->sin_family = AF_INET;
    ipv4->sin_port = htons(static_cast<uint16_t>(port));
    place = &ipv4->sin_addr;
    address.length = sizeof(sockaddr_in);
  }
  if (inet_pton(address.storage.ss_family, host.c_str(), place) != 1) return std::nullopt;
  return address;
}

// Of "dns:///host:port", "[::1]:port" and the like.
std::string HostIn(absl::string_view target) {
  for (const absl::string_view scheme : {"dns:", "ipv4:", "ipv6:"}) {
    if (absl::ConsumePrefix(&target, scheme)) break;
  }
  const size_t slash = target.rfind('/');
  if (slash != absl::string_view::npos) target.remove_prefix(slash + 1);
  absl::string_view host = target.substr(0, target.rfind(':'));
  if (absl::ConsumePrefix(&host, "[")) absl::ConsumeSuffix(&host, "]");
  return std::string(host);
}

// How far it came.
enum class Reached { kSettled, kEnded, kFailed, kTimedOut };

// One connection. What goes out goes by send(), which raises no SIGPIPE.
class Handshake final {
 public:
  Handshake(SSL_CTX* context, const std::string& name, const std::function<bool()>& stop)
      : stop_(stop), ssl_(::SSL_new(context)) {
    ::SSL_set_bio(ssl_, ::BIO_new(::BIO_s_mem()), ::BIO_new(::BIO_s_mem()));
    ::SSL_set_connect_state(ssl_);
    ::SSL_set_alpn_protos(ssl_, kHttp2.data(), kHttp2.size());
    X509_VERIFY_PARAM* const wanted = ::SSL_get0_param(ssl_);
    if (::X509_VERIFY_PARAM_set1_ip_asc(wanted, name.c_str()) != 1) {
      ::X509_VERIFY_PARAM_set1_host(wanted, name.data(), name.size());
      ::SSL_set_tlsext_host_name(ssl_, name.c_str());
    }
    ::ERR_clear_error();
  }
  ~Handshake() {
    if (socket_ >= 0) close(socket_);
    ::SSL_free(ssl_);
    ::ERR_clear_error();
  }
  Handshake(const Handshake&) = delete;
  Handshake& operator=(const Handshake&) = delete;

  bool Connect(const Address& address) {
    socket_ = socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (socket_ < 0) return false;
    const auto* const to = reinterpret_cast<const sockaddr*>(&address.storage);
    if (connect(socket_, to, address.length) == 0) return true;
    if (errno != EINPROGRESS || !Await(POLLOUT)) return false;
    int error = 0;
    socklen_t length = sizeof(error);
    return getsockopt(socket_, SOL_SOCKET, SO_ERROR, &error, &length) == 0 && error == 0;
  }

  // TLS, then HTTP/2 as far as the server's first byte: one that does not like the certificate says
  // so only after a handshake of TLS 1.3.
  Reached Run() {
    Reached reached = Drive([this] { return ::SSL_do_handshake(ssl_); });
    if (reached != Reached::kSettled) return reached;
    shaken_ = true;
    reached = Drive(
        [this] { return ::SSL_write(ssl_, kPreface.data(), static_cast<int>(kPreface.size())); });
    if (reached != Reached::kSettled) return reached;
    char byte = 0;
    return Drive([this, &byte] { return ::SSL_read(ssl_, &byte, 1); });
  }

  // Whether the handshake itself was over.
  bool shaken() const { return shaken_; }
  int64_t verified() const { return ::SSL_get_verify_result(ssl_); }

 private:
  // False if the time is over.
  bool Await(short event) {
    while (SteadyNow() < deadline_ && !stop_()) {
      pollfd wanted = {socket_, event, 0};
      if (poll(&wanted, 1, static_cast<int>(absl::ToInt64Milliseconds(kSlice))) > 0) return true;
    }
    return false;
  }

  // Calls `step` until it is done.
  template <typename Step>
  Reached Drive(Step step) {
    while (true) {
      const int result = step();
      const int error = ::SSL_get_error(ssl_, result);
      if (!Flush()) return Reached::kEnded;
      if (result > 0) return Reached::kSettled;
      if (error == SSL_ERROR_ZERO_RETURN) return Reached::kEnded;
      if (error != SSL_ERROR_WANT_READ) return Reached::kFailed;
      if (!Await(POLLIN)) return Reached::kTimedOut;
      std::array<char, 4096> piece{};
      const ssize_t got = recv(socket_, piece.data(), piece.size(), 0);
      if (got <= 0) return Reached::kEnded;
      ::BIO_write(::SSL_get_rbio(ssl_), piece.data(), static_cast<int>(got));
    }
  }

  // Sends what OpenSSL has to say; a few hundred bytes, which a new socket always takes. False: the
  // peer has gone, and has left nothing to be read.
  bool Flush() {
    std::array<char, 16384> piece{};
    int length = 0;
    while ((length = ::BIO_read(::SSL_get_wbio(ssl_), piece.data(), piece.size())) > 0) {
      if (send(socket_, piece.data(), static_cast<size_t>(length), MSG_NOSIGNAL) == length)
        continue;
      pollfd left = {socket_, POLLIN, 0};
      return poll(&left, 1, 0) > 0 && (left.revents & POLLIN) != 0;
    }
    return true;
  }

  const std::function<bool()>& stop_;
  const absl::Time deadline_ = SteadyNow() + kWaitMax;
  SSL* const ssl_;
  int socket_ = -1;
  bool shaken_ = false;
};

// What is wrong with the certificate that the daemon shows.
std::string JudgeDaemon(int64_t verified, const TlsOptions& options, const std::string& target,
                        const std::string& name) {
  if (verified == X509_V_ERR_HOSTNAME_MISMATCH || verified == X509_V_ERR_IP_ADDRESS_MISMATCH) {
    return absl::StrCat("the certificate of the daemon at ", target, " is not for ", name,
                        "; tls_server_name says which of its names to expect instead");
  }
  const std::string reason = ::X509_verify_cert_error_string(verified);
  const bool is_late =
      verified == X509_V_ERR_CERT_HAS_EXPIRED || verified == X509_V_ERR_CERT_NOT_YET_VALID;
  return absl::StrCat(
      "the certificate of the daemon at ", target, " will not do: ", reason, "; ",
      is_late ? "renew what its HOLDFAST_TLS_CERT_FILE names, and see whether the clocks are right"
              : absl::StrCat("the authority that issued it must be in ", options.ca_file,
                             " (tls_ca_file)"));
}

// What the daemon's alert says of our certificate, or of its absence.
std::string JudgeAlert(int alert, const std::string& reason, const TlsOptions& options,
                       const std::string& target) {
  if (options.client_cert_file.empty()) {
    return absl::StrCat("the daemon at ", target, " asks for a client certificate (", reason,
                        "); tls_client_cert_file and tls_client_key_file name one");
  }
  absl::string_view remedy =
      "holdfastd takes certificates for clients (extendedKeyUsage "
      "clientAuth), in their time, of HOLDFAST_TLS_CLIENT_CA_FILE";
  if (alert == SSL_AD_CERTIFICATE_EXPIRED) remedy = "renew it; the file is read again by itself";
  if (alert == SSL_AD_UNKNOWN_CA) {
    remedy = "it must be of an authority in the daemon's HOLDFAST_TLS_CLIENT_CA_FILE";
  }
  return absl::StrCat("the daemon at ", target, " refused the client certificate ",
                      options.client_cert_file, ": ", reason, "; ", remedy);
}

// A daemon that is full ends connections, too, before it speaks.
absl::Status JudgeEnd(bool shaken, const TlsOptions& options, const std::string& target) {
  if (!shaken) {
    return absl::UnavailableError(absl::StrCat(
        target,
        " ended the connection within the TLS handshake: it listens without TLS, or takes no more "
        "connections; its setting is HOLDFAST_TLS_CERT_FILE, its metric "
        "holdfast_connections_refused_total"));
  }
  const std::string own = options.client_cert_file.empty()
                              ? "none is given"
                              : absl::StrCat(options.client_cert_file, " has none of them");
  return absl::UnauthenticatedError(
      absl::StrCat("the daemon at ", target,
                   " ended the connection after the TLS handshake; it asks for a client "
                   "certificate with one of the names in its HOLDFAST_TLS_CLIENT_NAMES, and ",
                   own));
}

std::string JudgeFailure(const Handshake& handshake, const TlsOptions& options,
                         const std::string& target, const std::string& name) {
  const int64_t verified = handshake.verified();
  if (!handshake.shaken() && verified != X509_V_OK) {
    return JudgeDaemon(verified, options, target, name);
  }
  const int code = ERR_GET_REASON(::ERR_peek_error());
  const std::string reason = TakeReason();
  if (code > SSL_AD_REASON_OFFSET) {
    return JudgeAlert(code - SSL_AD_REASON_OFFSET, reason, options, target);
  }
  return absl::StrCat("what answers at ", target, " does not speak TLS as it must: ", reason,
                      "; does holdfastd listen there with HOLDFAST_TLS_CERT_FILE?");
}

}  // namespace

absl::Status ExplainTls(const TlsOptions& options, const std::string& target,
                        const absl::Status& failure, const std::function<bool()>& stop) {
  if (!options.enabled() || !absl::IsUnavailable(failure)) return failure;
  const std::optional<Address> address = AddressIn(failure.message());
  if (!address.has_value()) return failure;
  const absl::StatusOr<TlsFiles> files = ReadTls(options);
  if (!files.ok()) return files.status();
  const absl::StatusOr<SslContext> context = MakeContext(options, *files);
  if (!context.ok()) return context.status();
  const std::string name = options.server_name.empty() ? HostIn(target) : options.server_name;
  Handshake handshake(context->get(), name, stop);
  if (!handshake.Connect(*address)) return failure;
  switch (handshake.Run()) {
    case Reached::kSettled:
    case Reached::kTimedOut:
      return failure;
    case Reached::kEnded:
      return JudgeEnd(handshake.shaken(), options, target);
    case Reached::kFailed:
      return absl::UnauthenticatedError(JudgeFailure(handshake, options, target, name));
  }
  return failure;
}

}  // namespace holdfast::client
