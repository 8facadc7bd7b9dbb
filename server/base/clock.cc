#include "server/base/clock.h"

#include <chrono>
#include <memory>
#include <thread>
#include <utility>

namespace holdfast::base {
namespace {

class RealClock final : public Clock {
 public:
  absl::Time Now() override { return absl::Now(); }

  absl::Time Steady() override {
    return absl::UnixEpoch() +
           absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
  }

  bool AwaitWithTimeout(absl::Mutex& mu, const absl::Condition& condition,
                        absl::Duration timeout) override {
    return mu.AwaitWithTimeout(condition, timeout);
  }
};

bool Never(bool* /*unused*/) { return false; }

}  // namespace

void Clock::Await(absl::Mutex& mu, const absl::Condition& condition) { mu.Await(condition); }

Thread Clock::StartThread(absl::AnyInvocable<void()> body) {
  return Thread([thread = std::thread(std::move(body))]() mutable { thread.join(); });
}

void Clock::Sleep(absl::Duration duration) {
  absl::Mutex mu;
  bool unused = false;
  absl::MutexLock lock(&mu);
  AwaitWithTimeout(mu, absl::Condition(&Never, &unused), duration);
}

Clock& SystemClock() {
  static RealClock* const clock = new RealClock();
  return *clock;
}

}  // namespace holdfast::base
