// A clock that moves only when it is told, or, with `skip_waits`, jumps to the end of every wait.

#pragma once

#include "absl/time/time.h"

#include "server/base/clock.h"

namespace holdfast::test {

// Thread-safe.
class FakeClock final : public base::Clock {
 public:
  // `skip_waits`: a wait whose condition does not hold returns at once, and its time has passed.
  // Without it, a wait blocks until its condition holds or Advance has passed its end.
  explicit FakeClock(bool skip_waits = false) : skip_waits_(skip_waits) {}

  absl::Time Now() override;
  absl::Time Steady() override;
  bool AwaitWithTimeout(absl::Mutex& mu, const absl::Condition& condition,
                        absl::Duration timeout) override;

  // Moves both clocks and wakes those whose wait has ended.
  void Advance(absl::Duration duration);
  // Moves the wall clock alone, in either direction.
  void JumpWall(absl::Duration duration);

 private:
  const bool skip_waits_;
  mutable absl::Mutex mu_;
  absl::Duration steady_ ABSL_GUARDED_BY(mu_) = absl::Hours(1);
  absl::Duration wall_offset_ ABSL_GUARDED_BY(mu_) = absl::ZeroDuration();
};

}  // namespace holdfast::test
