// TLS towards the daemon: what the files hold now, and why a connection does not come about.

#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "grpcpp/grpcpp.h"

#include "client/client.h"

namespace holdfast::client {

// What the files of TlsOptions hold: PEM.
struct TlsFiles {
  std::string ca;
  std::string client_cert;
  std::string client_key;
};

// Reads the files. UNAUTHENTICATED that names the file, the cause and the remedy if one cannot be
// read, holds nothing of its kind, or is not the key of the certificate. REQUIRES: enabled().
absl::StatusOr<TlsFiles> ReadTls(const TlsOptions& options);

// As gRPC takes them: no TLS if it is not enabled. Errors as of ReadTls.
absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> MakeCredentials(
    const TlsOptions& options);

// gRPC says of a peer that refuses a certificate no more than that it has gone. If `failure` is
// that (UNAVAILABLE, with the address that was tried), TLS is begun once more by hand, and what
// keeps it from coming about returned: UNAUTHENTICATED with the cause and the remedy. Otherwise, or
// if TLS is not enabled or not at fault, `failure` itself. Takes 2 s at most, and ends early once
// `stop` is true.
absl::Status ExplainTls(
    const TlsOptions& options, const std::string& target, const absl::Status& failure,
    const std::function<bool()>& stop = [] { return false; });

}  // namespace holdfast::client
