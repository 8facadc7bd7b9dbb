// Whether the daemon answers at its own door, asked at most once a second however many ask.

#pragma once

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

#include "server/admin/daemon_view.h"
#include "server/base/clock.h"

namespace holdfast::admin {

// Thread-safe.
class Liveness final {
 public:
  // Both must outlive it.
  Liveness(DaemonView& daemon, base::Clock& clock) : daemon_(daemon), clock_(clock) {}

  // The last answer if it is fresh, or a new one. A daemon that drains has shut its door by intent,
  // and is alive.
  absl::Status Check();

 private:
  DaemonView& daemon_;
  base::Clock& clock_;

  absl::Mutex mu_;  // Held while asking: others wait for the same answer.
  absl::Time asked_at_ ABSL_GUARDED_BY(mu_) = absl::InfinitePast();
  absl::Status answer_ ABSL_GUARDED_BY(mu_);
};

}  // namespace holdfast::admin
