// The files of TlsOptions as OpenSSL has them.

#pragma once

#include <openssl/ssl.h>

#include <memory>

#include "absl/status/statusor.h"

#include "client/client.h"
#include "client/tls.h"

namespace holdfast::client {

using SslContext = std::unique_ptr<SSL_CTX, decltype(&::SSL_CTX_free)>;

// For one side of a connection: verifies the peer by the authorities, shows the certificate if
// there is one. UNAUTHENTICATED as of ReadTls; `options` says what the files are called.
absl::StatusOr<SslContext> MakeContext(const TlsOptions& options, const TlsFiles& files);

// What OpenSSL met first, and forgets it.
std::string TakeReason();

}  // namespace holdfast::client
