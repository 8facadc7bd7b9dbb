// Sees to it that what follows ends in time.

#pragma once

#include <functional>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

#include "server/base/clock.h"

namespace holdfast::daemon {

class DeadlineGuard final {
 public:
  // Calls `overdue`, on a thread of its own, unless this is destroyed within `timeout`.
  DeadlineGuard(absl::Duration timeout, base::Clock& clock, std::function<void()> overdue);
  ~DeadlineGuard();

  DeadlineGuard(const DeadlineGuard&) = delete;
  DeadlineGuard& operator=(const DeadlineGuard&) = delete;

 private:
  bool IsDone() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return done_; }

  absl::Mutex mu_;
  bool done_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace holdfast::daemon
