// Opens connections: to the first server of a list that can write, and through a breaker, so that a
// server that does not answer is not hammered.

#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

#include "server/base/clock.h"
#include "server/flow/breaker.h"
#include "server/metrics/metrics.h"
#include "server/mysql/connection.h"
#include "server/mysql/pool.h"

namespace holdfast::mysql {

// Thread-safe.
class Connector final {
 public:
  struct Opened {
    std::unique_ptr<Connection> connection;
    size_t endpoint = 0;  // Its place in options.endpoints.
  };

  // All three must outlive this and what it opens.
  Connector(const DatabaseOptions& options, base::Clock& clock, metrics::Metrics& metrics);

  // Tries the endpoints, from the one that worked last, until one gives a session that can write.
  // If none does: an error that says why for each, with the verdict of the last. While the breaker
  // is open: at once, with the last failure and its verdict. Starts no attempt after `deadline`
  // (steady clock).
  absl::StatusOr<Opened> Open(absl::Time deadline);

  // The endpoint that is used. The second one says that it cannot write any more, and goes on to
  // the next, unless that has been done.
  size_t endpoint() const;
  void MoveOn(size_t from);

  CircuitStatus Circuit() const;
  void ResetCircuit();
  // What the last attempt saw; the numbers of connections are left at 0.
  DatabaseStatus Status() const;

 private:
  absl::Status Admit();
  absl::StatusOr<std::unique_ptr<Connection>> Try(size_t endpoint, absl::Time deadline);
  void Succeeded(size_t endpoint, const ServerFacts& facts);
  absl::Status Failed(const std::vector<absl::Status>& failures);
  void ShowState() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const DatabaseOptions& options_;
  base::Clock& clock_;
  metrics::Metrics& metrics_;

  mutable absl::Mutex mu_;
  flow::Breaker breaker_ ABSL_GUARDED_BY(mu_);
  size_t endpoint_ ABSL_GUARDED_BY(mu_) = 0;
  DatabaseStatus seen_ ABSL_GUARDED_BY(mu_);
};

}  // namespace holdfast::mysql
