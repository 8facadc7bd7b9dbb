// What is served over HTTP, without the HTTP: a question in, a page out.

#pragma once

#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"

#include "holdfast/v1/admin.pb.h"
#include "server/admin/daemon_view.h"
#include "server/admin/liveness.h"
#include "server/base/clock.h"
#include "server/metrics/metrics.h"
#include "server/mysql/session.h"

namespace holdfast::admin {

struct PageRequest {
  std::string path;
  std::string query;   // What follows the question mark, as it was sent.
  std::string accept;  // The header of that name.
};

struct Page {
  int code = 200;
  absl::string_view type = "text/plain; charset=utf-8";
  std::string body;
  // What a browser may load and run for it: nothing, but for the status page.
  absl::string_view content_security_policy = "default-src 'none'; frame-ancestors 'none'";
};

// Thread-safe.
class Pages final {
 public:
  // All must outlive it.
  Pages(DaemonView& daemon, mysql::SessionSource& sessions, metrics::Metrics& metrics,
        base::Clock& clock)
      : daemon_(daemon),
        sessions_(sessions),
        metrics_(metrics),
        clock_(clock),
        liveness_(daemon, clock) {}

  //   /                   the status page, to whoever accepts text/html; to others the same as
  //   /help               what is here
  //   /livez              200 if the gRPC listener answers, 503 if not; does not depend on the
  //                       database
  //   /readyz             200 while events are taken (its text says what is degraded), 503 while
  //                       they are refused
  //   /health             the same as JSON
  //   /metrics            for Prometheus
  //   /api/v1/status      GetStatusResponse as JSON
  //   /api/v1/history     GetHistoryResponse
  //   /api/v1/circuits    ListCircuitsResponse
  //   /api/v1/quarantine  ListQuarantineResponse, never with content; ?page_size= and ?page_token=.
  //                       503 while the database cannot be asked. The one page that waits for it.
  Page Get(const PageRequest& request);

 private:
  // At a time: the other threads are for those who do not wait for the database.
  static constexpr int kQuestionsMax = 2;

  Page Live();
  Page Ready() const;
  Page Health() const;
  Page Quarantine(absl::string_view query);
  absl::StatusOr<v1::ListQuarantineResponse> AskQuarantine(
      const v1::ListQuarantineRequest& request);

  DaemonView& daemon_;
  mysql::SessionSource& sessions_;
  metrics::Metrics& metrics_;
  base::Clock& clock_;
  Liveness liveness_;

  absl::Mutex mu_;
  int questions_ ABSL_GUARDED_BY(mu_) = 0;  // To the database, under way.
};

}  // namespace holdfast::admin
