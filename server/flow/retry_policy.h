// Decides how long a failed batch waits before it is tried again.
//
// Pure arithmetic: no clock, no sleep, no I/O. Batches of journaled events have no attempt limit:
// they are safe on disk, and the wait is capped. Full jitter (uniform between zero and a ceiling
// that doubles), so that rivals for a row do not meet again: "Exponential Backoff And Jitter", AWS
// Architecture Blog, 2015.

#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "absl/time/time.h"

#include "server/flow/verdict.h"

namespace holdfast::flow {

struct RetryOptions {
  // Ceiling of the first wait. Doubles with each failure in a row, up to `wait_max`. Too small:
  // rivals collide again. Too large: a single deadlock is felt.
  absl::Duration wait_min = absl::Milliseconds(5);
  absl::Duration wait_max = absl::Seconds(2);

  // Ceiling, from the first wait on, while a lane is stopped by an outage or throttled: an operator
  // has to act, so hurry helps no one.
  absl::Duration outage_wait_max = absl::Seconds(5);

  // OK, or InvalidArgument naming the first field at fault.
  absl::Status Validate() const;
};

// Follows one batch from its first failure to its end. Not thread-safe.
class RetryPolicy final {
 public:
  // REQUIRES: options.Validate().ok(). Equal seeds give equal waits.
  RetryPolicy(const RetryOptions& options, uint64_t seed);

  // Records a failed attempt; returns how long to wait before the next one. The first wait after
  // kUnknown is zero: the sooner it is settled, the shorter its locks are held.
  // REQUIRES: verdict != kReject.
  absl::Duration NextWait(Verdict verdict);

  // Forgets the failures: an attempt succeeded.
  void Reset();

  // In a row; stops counting at kFailuresMax.
  int failures() const { return failures_; }

  static constexpr int kFailuresMax = 1'000'000;

 private:
  const RetryOptions options_;
  uint64_t random_state_;
  int failures_ = 0;
  bool unknown_met_ = false;  // Among these failures.
};

}  // namespace holdfast::flow
