#include "tests/support/fake_clock.h"

namespace holdfast::test {
namespace {
// 2026-01-01T00:00:00Z.
const absl::Time kStart = absl::FromUnixSeconds(1767225600);
}  // namespace

absl::Time FakeClock::Now() {
  absl::MutexLock lock(&mu_);
  return kStart + steady_ + wall_offset_;
}

absl::Time FakeClock::Steady() {
  absl::MutexLock lock(&mu_);
  return absl::UnixEpoch() + steady_;
}

bool FakeClock::AwaitWithTimeout(absl::Mutex& mu, const absl::Condition& condition,
                                 absl::Duration timeout) {
  const absl::Time end = Steady() + timeout;
  if (skip_waits_) {
    if (!condition.Eval() && timeout < absl::InfiniteDuration()) Advance(timeout);
    return condition.Eval();
  }
  // Real time only decides how soon a waiter notices; never what it sees.
  while (!condition.Eval()) {
    if (Steady() >= end) return condition.Eval();
    mu.AwaitWithTimeout(condition, absl::Milliseconds(1));
  }
  return true;
}

void FakeClock::Advance(absl::Duration duration) {
  absl::MutexLock lock(&mu_);
  steady_ += duration;
}

void FakeClock::JumpWall(absl::Duration duration) {
  absl::MutexLock lock(&mu_);
  wall_offset_ += duration;
}

}  // namespace holdfast::test
