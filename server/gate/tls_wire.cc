#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

#include "server/base/check.h"
#include "server/gate/tls.h"
#include "server/gate/wire.h"

namespace holdfast::gate {
namespace {

// Whether `certificate` has one of `names`, as a DNS name or a URI.
bool HasOneOf(const X509* certificate, const std::vector<std::string>& names) {
  auto* found = static_cast<GENERAL_NAMES*>(
      ::X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  bool has = false;
  for (int i = 0; i < sk_GENERAL_NAME_num(found) && !has; ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(found, i);
    if (name->type != GEN_DNS && name->type != GEN_URI) continue;
    const ASN1_IA5STRING* text = name->d.ia5;
    const absl::string_view value(reinterpret_cast<const char*>(::ASN1_STRING_get0_data(text)),
                                  static_cast<size_t>(::ASN1_STRING_length(text)));
    has = std::find(names.begin(), names.end(), value) != names.end();
  }
  ::GENERAL_NAMES_free(found);
  return has;
}

class TlsWire final : public Wire {
 public:
  TlsWire(int descriptor, SSL_CTX* context, std::vector<std::string> names)
      : descriptor_(descriptor), names_(std::move(names)), ssl_(::SSL_new(context)) {
    HOLDFAST_CHECK(ssl_ != nullptr && ::SSL_set_fd(ssl_, descriptor) == 1);
    ::SSL_set_accept_state(ssl_);
  }
  ~TlsWire() override {
    // Tells the peer that this is the end; whether that goes out is of no matter any more.
    if (!broken_) ::SSL_shutdown(ssl_);
    ::SSL_free(ssl_);
    ::ERR_clear_error();
    ::close(descriptor_);
  }

  absl::StatusOr<bool> Handshake() override {
    ::ERR_clear_error();
    const int result = ::SSL_do_handshake(ssl_);
    if (result != 1) {
      const Moved moved = After(result);
      if (!moved.ended && !moved.broken) return false;
      broken_ = true;
      return absl::FailedPreconditionError(absl::StrCat("the TLS handshake failed: ", Reason()));
    }
    const std::unique_ptr<X509, decltype(&::X509_free)> certificate(
        ::SSL_get1_peer_certificate(ssl_), &::X509_free);
    if (certificate == nullptr) return absl::FailedPreconditionError("no client certificate came");
    if (!names_.empty() && !HasOneOf(certificate.get(), names_)) {
      return absl::FailedPreconditionError(
          "the client certificate has none of the names in HOLDFAST_TLS_CLIENT_NAMES");
    }
    return true;
  }

  Moved Read(absl::Span<char> into) override {
    ::ERR_clear_error();
    return After(::SSL_read(ssl_, into.data(), static_cast<int>(into.size())));
  }
  Moved Write(absl::string_view bytes) override {
    if (bytes.empty()) return {};
    ::ERR_clear_error();
    return After(::SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size())));
  }
  bool HasRead() const override { return ::SSL_pending(ssl_) > 0; }
  bool WantsToWrite() const override { return wants_to_write_; }
  int descriptor() const override { return descriptor_; }

 private:
  Moved After(int result) {
    wants_to_write_ = false;
    if (result > 0) return {.bytes = static_cast<size_t>(result)};
    switch (::SSL_get_error(ssl_, result)) {
      case SSL_ERROR_WANT_READ:
        return {};
      case SSL_ERROR_WANT_WRITE:
        wants_to_write_ = true;
        return {};
      case SSL_ERROR_ZERO_RETURN:
        return {.ended = true};
      default:
        broken_ = true;
        return {.broken = true};
    }
  }

  // What is wrong with the peer's certificate, or what else OpenSSL says.
  std::string Reason() const {
    const int64_t verified = ::SSL_get_verify_result(ssl_);
    if (verified != X509_V_OK) return ::X509_verify_cert_error_string(verified);
    const char* reason = ::ERR_reason_error_string(::ERR_peek_last_error());
    return reason == nullptr ? "the peer has gone" : reason;
  }

  const int descriptor_;
  const std::vector<std::string> names_;
  SSL* const ssl_;
  bool wants_to_write_ = false;
  bool broken_ = false;
};

}  // namespace

std::unique_ptr<Wire> MakeTlsWire(int descriptor, SSL_CTX* context,
                                  std::vector<std::string> names) {
  return std::make_unique<TlsWire>(descriptor, context, std::move(names));
}

}  // namespace holdfast::gate
