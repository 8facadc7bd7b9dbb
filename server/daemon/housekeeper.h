// Looks after the daemon's own tables now and then, on a thread of its own.

#pragma once

#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

#include "server/base/clock.h"
#include "server/mysql/session.h"
#include "server/writer/housekeeping.h"

namespace holdfast::daemon {

// Thread-safe.
class Housekeeper final {
 public:
  // Both must outlive it.
  Housekeeper(const writer::HousekeepingOptions& options, mysql::SessionSource& sessions,
              base::Clock& clock);
  // Waits for the step under way.
  ~Housekeeper();

  Housekeeper(const Housekeeper&) = delete;
  Housekeeper& operator=(const Housekeeper&) = delete;

 private:
  void Run();
  bool StepAndTell();
  bool IsStopping() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return stopping_; }

  base::Clock& clock_;
  writer::Housekeeping housekeeping_;  // On the thread alone.

  absl::Mutex mu_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;

  std::thread thread_;
};

}  // namespace holdfast::daemon
