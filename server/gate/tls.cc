#include "server/gate/tls.h"

#include <openssl/err.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"

#include "server/base/log.h"

namespace holdfast::gate {
namespace {

constexpr absl::Duration kLookEvery = absl::Seconds(1);

// The error that OpenSSL met first; where it could not open a file, that is the system's.
absl::Status Fault(absl::string_view setting, const std::string& file, absl::string_view remedy) {
  const char* reason = ::ERR_reason_error_string(::ERR_peek_error());
  ::ERR_clear_error();
  return absl::FailedPreconditionError(absl::StrCat(
      setting, ": ", file, ": ", reason == nullptr ? "unusable" : reason, "; ", remedy));
}

// Chooses HTTP/2 out of what the client offers; gRPC speaks nothing else.
int ChooseProtocol(SSL* /*ssl*/, const unsigned char** chosen, unsigned char* chosen_length,
                   const unsigned char* offered, unsigned int offered_length, void* /*unused*/) {
  static constexpr unsigned char kHttp2[] = {2, 'h', '2'};
  unsigned char* selected = nullptr;
  if (::SSL_select_next_proto(&selected, chosen_length, kHttp2, sizeof kHttp2, offered,
                              offered_length) != OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  *chosen = selected;
  return SSL_TLSEXT_ERR_OK;
}

// No way to ask at a terminal for what a key is encrypted with.
int NoPassphrase(char* /*buffer*/, int /*size*/, int /*rwflag*/, void* /*unused*/) { return -1; }

std::string StateOf(const TlsOptions& options) {
  std::string state;
  for (const std::string& file :
       {options.certificate_file, options.key_file, options.client_ca_file}) {
    struct stat found {};
    if (::stat(file.c_str(), &found) != 0) {
      absl::StrAppend(&state, "missing ", errno, "\n");
      continue;
    }
    absl::StrAppend(&state, found.st_dev, " ", found.st_ino, " ", found.st_size, " ",
                    found.st_mtim.tv_sec, " ", found.st_mtim.tv_nsec, "\n");
  }
  return state;
}

}  // namespace

absl::Status TlsOptions::Validate() const {
  if (certificate_file.empty() && (!key_file.empty() || !client_ca_file.empty())) {
    return absl::InvalidArgumentError("tls_cert_file: is missing; TLS needs all three files");
  }
  if (!enabled()) {
    return client_names.empty() ? absl::OkStatus()
                                : absl::InvalidArgumentError(
                                      "tls_client_names: there are no names without tls_cert_file");
  }
  if (key_file.empty()) return absl::InvalidArgumentError("tls_key_file: is missing");
  if (client_ca_file.empty()) {
    return absl::InvalidArgumentError(
        "tls_client_ca_file: is missing; gateways are known by their certificates alone");
  }
  return absl::OkStatus();
}

absl::StatusOr<TlsContext> LoadTls(const TlsOptions& options) {
  ::ERR_clear_error();
  TlsContext context(::SSL_CTX_new(::TLS_server_method()), &::SSL_CTX_free);
  SSL_CTX* const raw = context.get();
  if (raw == nullptr) return absl::FailedPreconditionError("OpenSSL cannot be used");
  ::SSL_CTX_set_min_proto_version(raw, TLS1_2_VERSION);
  ::SSL_CTX_set_options(raw, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET);
  ::SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_OFF);
  ::SSL_CTX_set_num_tickets(raw, 0);
  ::SSL_CTX_set_mode(raw, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
  ::SSL_CTX_set_verify(raw, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  ::SSL_CTX_set_alpn_select_cb(raw, &ChooseProtocol, nullptr);
  ::SSL_CTX_set_default_passwd_cb(raw, &NoPassphrase);

  if (::SSL_CTX_use_certificate_chain_file(raw, options.certificate_file.c_str()) != 1) {
    return Fault("HOLDFAST_TLS_CERT_FILE", options.certificate_file,
                 "it must be a certificate in PEM that this user may read");
  }
  if (::SSL_CTX_use_PrivateKey_file(raw, options.key_file.c_str(), SSL_FILETYPE_PEM) != 1 ||
      ::SSL_CTX_check_private_key(raw) != 1) {
    return Fault("HOLDFAST_TLS_KEY_FILE", options.key_file,
                 "it must be the certificate's key, in PEM and without a passphrase, that this "
                 "user may read");
  }
  if (::SSL_CTX_load_verify_file(raw, options.client_ca_file.c_str()) != 1) {
    return Fault("HOLDFAST_TLS_CLIENT_CA_FILE", options.client_ca_file,
                 "it must hold certificates in PEM that this user may read");
  }
  // Tells clients whose certificates are asked for.
  ::SSL_CTX_set_client_CA_list(raw, ::SSL_load_client_CA_file(options.client_ca_file.c_str()));
  ::ERR_clear_error();
  return context;
}

Certificates::Certificates(TlsOptions options, TlsContext first)
    : options_(std::move(options)), context_(std::move(first)), seen_(StateOf(options_)) {}

SSL_CTX* Certificates::Current(absl::Time now) {
  if (now - looked_at_ < kLookEvery) return context_.get();
  looked_at_ = now;
  std::string state = StateOf(options_);
  if (state == seen_) return context_.get();
  seen_ = std::move(state);
  absl::StatusOr<TlsContext> loaded = LoadTls(options_);
  if (loaded.ok()) {
    context_ = *std::move(loaded);
    base::LogInfo("the certificates have changed and are loaded",
                  {{"certificate", options_.certificate_file}});
  } else {
    base::LogError("the certificates have changed and cannot be loaded; the former stay in use",
                   {{"reason", loaded.status()}});
  }
  return context_.get();
}

}  // namespace holdfast::gate
