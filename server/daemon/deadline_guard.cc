#include "server/daemon/deadline_guard.h"

#include <utility>

namespace holdfast::daemon {

DeadlineGuard::DeadlineGuard(absl::Duration timeout, base::Clock& clock,
                             std::function<void()> overdue)
    : thread_([this, timeout, &clock, overdue = std::move(overdue)] {
        absl::ReleasableMutexLock lock(&mu_);
        if (clock.AwaitWithTimeout(mu_, absl::Condition(this, &DeadlineGuard::IsDone), timeout)) {
          return;
        }
        lock.Release();
        overdue();
      }) {}

DeadlineGuard::~DeadlineGuard() {
  {
    absl::MutexLock lock(&mu_);
    done_ = true;
  }
  thread_.join();
}

}  // namespace holdfast::daemon
