// What is served over HTTP, without the HTTP: a path in, a page out.

#pragma once

#include <string>

#include "absl/strings/string_view.h"

#include "server/admin/daemon_view.h"
#include "server/admin/liveness.h"
#include "server/metrics/metrics.h"

namespace holdfast::admin {

struct Page {
  int code = 200;
  absl::string_view type = "text/plain; charset=utf-8";
  std::string body;
};

// Thread-safe.
class Pages final {
 public:
  // All must outlive it.
  Pages(DaemonView& daemon, metrics::Metrics& metrics, base::Clock& clock)
      : daemon_(daemon), metrics_(metrics), liveness_(daemon, clock) {}

  //   /               what is here
  //   /livez          200 if the gRPC listener answers, 503 if not; does not depend on the database
  //   /readyz         200 while events are taken (its text says what is degraded), 503 while they
  //   are
  //                   refused
  //   /metrics        for Prometheus
  //   /api/v1/status  GetStatusResponse as JSON
  Page Get(absl::string_view path);

 private:
  Page Live();
  Page Ready() const;
  Page Status() const;

  DaemonView& daemon_;
  metrics::Metrics& metrics_;
  Liveness liveness_;
};

}  // namespace holdfast::admin
