#include "client/tls.h"

#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "client/tls_context.h"

namespace holdfast::client {
namespace {

using Certificate = std::unique_ptr<X509, decltype(&::X509_free)>;
using Key = std::unique_ptr<EVP_PKEY, decltype(&::EVP_PKEY_free)>;
using Text = std::unique_ptr<BIO, decltype(&::BIO_free)>;

// No bundle of authorities is larger.
constexpr size_t kFileBytesMax = 4 << 20;

constexpr char kCaRemedy[] =
    "tls_ca_file must name certificates in PEM, of the authorities that vouch for the daemon's, "
    "that this user may read";
constexpr char kCertRemedy[] =
    "tls_client_cert_file must name a certificate in PEM that this user may read";
constexpr char kKeyRemedy[] =
    "tls_client_key_file must name the certificate's key, in PEM and without a passphrase, that "
    "this user may read";

absl::Status Fault(const std::string& file, absl::string_view cause, absl::string_view remedy) {
  return absl::UnauthenticatedError(absl::StrCat(file, ": ", cause, "; ", remedy));
}

absl::StatusOr<std::string> ReadFile(const std::string& file, absl::string_view remedy) {
  const int descriptor = open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return Fault(file, std::strerror(errno), remedy);
  std::string text;
  std::array<char, 16384> piece{};
  ssize_t got = 0;
  while (text.size() <= kFileBytesMax) {
    got = read(descriptor, piece.data(), piece.size());
    if (got <= 0) break;
    text.append(piece.data(), static_cast<size_t>(got));
  }
  const int error = errno;
  close(descriptor);
  if (got < 0) return Fault(file, std::strerror(error), remedy);
  if (text.size() > kFileBytesMax) return Fault(file, "is too large to be one", remedy);
  return text;
}

Text Open(const std::string& pem) {
  return {::BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), &::BIO_free};
}

Certificate NextCertificate(const Text& text) {
  return {::PEM_read_bio_X509(text.get(), nullptr, nullptr, nullptr), &::X509_free};
}

// No way to ask at a terminal for what a key is encrypted with.
int NoPassphrase(char* /*buffer*/, int /*size*/, int /*rwflag*/, void* /*unused*/) { return -1; }

absl::Status AddAuthorities(const TlsOptions& options, const TlsFiles& files, SSL_CTX* context) {
  const Text text = Open(files.ca);
  bool found = false;
  while (const Certificate authority = NextCertificate(text)) {
    found = ::X509_STORE_add_cert(::SSL_CTX_get_cert_store(context), authority.get()) == 1;
    if (!found) break;
  }
  if (!found) return Fault(options.ca_file, TakeReason(), kCaRemedy);
  ::ERR_clear_error();
  return absl::OkStatus();
}

absl::Status AddCertificate(const TlsOptions& options, const TlsFiles& files, SSL_CTX* context) {
  const Text text = Open(files.client_cert);
  const Certificate own = NextCertificate(text);
  if (own == nullptr || ::SSL_CTX_use_certificate(context, own.get()) != 1) {
    return Fault(options.client_cert_file, TakeReason(), kCertRemedy);
  }
  while (const Certificate next = NextCertificate(text)) {
    ::SSL_CTX_add1_chain_cert(context, next.get());
  }
  ::ERR_clear_error();
  const Text key_text = Open(files.client_key);
  const Key key(::PEM_read_bio_PrivateKey(key_text.get(), nullptr, &NoPassphrase, nullptr),
                &::EVP_PKEY_free);
  if (key == nullptr) return Fault(options.client_key_file, TakeReason(), kKeyRemedy);
  if (::X509_check_private_key(own.get(), key.get()) != 1) {
    ::ERR_clear_error();
    return Fault(options.client_key_file,
                 absl::StrCat("is not the key of the certificate in ", options.client_cert_file),
                 kKeyRemedy);
  }
  if (::SSL_CTX_use_PrivateKey(context, key.get()) != 1) {
    return Fault(options.client_key_file, TakeReason(), kKeyRemedy);
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status TlsOptions::Validate(absl::string_view target) const {
  const auto bad = [](absl::string_view text) { return absl::InvalidArgumentError(text); };
  if (!enabled()) {
    if (client_cert_file.empty() && client_key_file.empty() && server_name.empty()) {
      return absl::OkStatus();
    }
    return bad(
        "tls_ca_file is missing: without the authorities of the daemon's certificate there is no "
        "TLS, and nothing else of it is of use");
  }
  if (client_cert_file.empty() != client_key_file.empty()) {
    return bad(client_cert_file.empty()
                   ? "tls_client_cert_file is missing: a key needs its certificate"
                   : "tls_client_key_file is missing: a certificate needs its key");
  }
  if (absl::StartsWith(target, "unix:")) {
    return bad(
        absl::StrCat("tls_ca_file is given, and ", target,
                     " is a Unix socket, which has no TLS: leave it out, or name host:port"));
  }
  return absl::OkStatus();
}

std::string TakeReason() {
  const char* const reason = ::ERR_reason_error_string(::ERR_peek_error());
  ::ERR_clear_error();
  return reason == nullptr ? "unusable" : reason;
}

absl::StatusOr<SslContext> MakeContext(const TlsOptions& options, const TlsFiles& files) {
  ::ERR_clear_error();
  SslContext context(::SSL_CTX_new(::TLS_client_method()), &::SSL_CTX_free);
  if (context == nullptr) return absl::UnauthenticatedError("OpenSSL cannot be used");
  ::SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  ::SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  absl::Status status = AddAuthorities(options, files, context.get());
  if (status.ok() && !options.client_cert_file.empty()) {
    status = AddCertificate(options, files, context.get());
  }
  if (!status.ok()) return status;
  return context;
}

absl::StatusOr<TlsFiles> ReadTls(const TlsOptions& options) {
  TlsFiles files;
  absl::StatusOr<std::string> text = ReadFile(options.ca_file, kCaRemedy);
  if (!text.ok()) return text.status();
  files.ca = *std::move(text);
  if (!options.client_cert_file.empty()) {
    text = ReadFile(options.client_cert_file, kCertRemedy);
    if (!text.ok()) return text.status();
    files.client_cert = *std::move(text);
    text = ReadFile(options.client_key_file, kKeyRemedy);
    if (!text.ok()) return text.status();
    files.client_key = *std::move(text);
  }
  const absl::StatusOr<SslContext> context = MakeContext(options, files);
  if (!context.ok()) return context.status();
  return files;
}

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> MakeCredentials(
    const TlsOptions& options) {
  if (!options.enabled()) return grpc::InsecureChannelCredentials();
  absl::StatusOr<TlsFiles> files = ReadTls(options);
  if (!files.ok()) return files.status();
  return grpc::SslCredentials(
      {std::move(files->ca), std::move(files->client_key), std::move(files->client_cert)});
}

}  // namespace holdfast::client
