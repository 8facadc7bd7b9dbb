// Certificates: ours, and those of the authorities that may vouch for gateways.

#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace holdfast::gate {

struct TlsOptions {
  std::string certificate_file;  // Ours, and what leads to its authority: PEM.
  std::string key_file;          // Its key: PEM, without a passphrase.
  std::string client_ca_file;    // The authorities of the gateways' certificates: PEM.

  // One of these must be in a gateway's certificate, as a DNS name or a URI. Empty: every
  // certificate of the authorities will do.
  std::vector<std::string> client_names;

  bool enabled() const { return !certificate_file.empty(); }

  // All three files or none. InvalidArgument, naming the field.
  absl::Status Validate() const;
};

using TlsContext = std::shared_ptr<SSL_CTX>;

// TLS 1.2 or later, HTTP/2 by ALPN, a client certificate required, no resumption: each connection
// is checked anew. FAILED_PRECONDITION, naming the file, if one cannot be read or they do not fit.
absl::StatusOr<TlsContext> LoadTls(const TlsOptions& options);

// The context in force: loaded again once a file has changed. What cannot be loaded is reported,
// once for each change, and the former context stays. Not thread-safe.
class Certificates {
 public:
  Certificates(TlsOptions options, TlsContext first);

  // Looks at the files, at most once a second.
  SSL_CTX* Current(absl::Time now);

  const TlsOptions& options() const { return options_; }

 private:
  const TlsOptions options_;
  TlsContext context_;
  std::string seen_;  // What tells one state of the files from another.
  absl::Time looked_at_ = absl::InfinitePast();
};

}  // namespace holdfast::gate
