// Time as a seam: nothing above this room asks the system what time it is, and what stands below
// the doors to the outside (journal, pipeline, writer) neither waits nor starts a thread except
// through here. So a test decides how time passes, and a simulation also who runs next.

#pragma once

#include "absl/functional/any_invocable.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

#include "server/base/thread.h"

namespace holdfast::base {

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;

  // Now, by the wall clock. May jump; for timestamps only.
  virtual absl::Time Now() = 0;

  // Now, on a clock that never goes backwards; for durations and deadlines.
  virtual absl::Time Steady() = 0;

  // Waits until `condition` holds or `timeout` has passed on the steady clock. Returns whether the
  // condition holds. REQUIRES: `mu` is held by the caller; it is released while waiting.
  virtual bool AwaitWithTimeout(absl::Mutex& mu, const absl::Condition& condition,
                                absl::Duration timeout) ABSL_SHARED_LOCKS_REQUIRED(mu) = 0;

  // The same without an end.
  virtual void Await(absl::Mutex& mu, const absl::Condition& condition)
      ABSL_SHARED_LOCKS_REQUIRED(mu);

  // Starts a thread that runs `body`.
  virtual Thread StartThread(absl::AnyInvocable<void()> body);

  // Lets `duration` pass. For waits that nothing may end early.
  void Sleep(absl::Duration duration);
};

// The system's clocks. Lives for the whole process.
Clock& SystemClock();

}  // namespace holdfast::base
