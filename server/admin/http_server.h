// The HTTP listener for operators, probes and Prometheus. It listens on all addresses, because the
// kubelet probes the pod's: so it reads nothing, changes nothing, and shows no secret and no event.

#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "server/admin/pages.h"

namespace holdfast::admin {

struct HttpAddress {
  std::string host;  // "0.0.0.0", "[::1]", ...
  int port = 0;      // 0: any free one.
  std::string ToString() const;
};

// Reads "0.0.0.0:9464", "[::]:9464", or ":9464" for all of IPv4. InvalidArgument says what would be
// right.
absl::StatusOr<HttpAddress> ParseHttpAddress(absl::string_view text);

struct HttpOptions {
  HttpAddress listen{"0.0.0.0", 9464};

  // Requests at a time, a thread each. What comes beyond waits in a short line.
  int threads = 8;

  // How long a client may take to say what it wants, and to take the answer.
  int request_timeout_milliseconds = 3000;
};

// Thread-safe.
class HttpServer final {
 public:
  // `pages` must outlive the server. UNAVAILABLE if the address cannot be had.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(const HttpOptions& options,
                                                           Pages& pages);
  ~HttpServer();  // Waits for the requests under way.

  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // With the port that was found if 0 was asked for.
  const HttpAddress& address() const { return address_; }

 private:
  class Handler;
  struct Civet;

  HttpServer();

  HttpAddress address_;
  std::unique_ptr<Handler> handler_;
  std::unique_ptr<Civet> civet_;
};

}  // namespace holdfast::admin
