// A thread for answers that have to wait for the database: gRPC's own threads are few, and gateways
// need them.

#pragma once

#include <cstddef>
#include <deque>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/synchronization/mutex.h"

namespace holdfast::admin {

// Thread-safe.
class Background final {
 public:
  // At most `waiting_max` tasks wait; one is under way.
  explicit Background(size_t waiting_max);
  // Finishes what was accepted.
  ~Background();

  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;

  // Runs `task` on the thread, after those before it. Returns false if too many wait; it is not run
  // then.
  bool TryRun(absl::AnyInvocable<void()> task);

 private:
  void Run();
  bool HasWork() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return stopping_ || !tasks_.empty(); }

  const size_t waiting_max_;

  absl::Mutex mu_;
  std::deque<absl::AnyInvocable<void()>> tasks_ ABSL_GUARDED_BY(mu_);
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;

  std::thread thread_;
};

}  // namespace holdfast::admin
