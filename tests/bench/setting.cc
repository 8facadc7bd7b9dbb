#include "tests/bench/setting.h"

#include <thread>

#include "absl/synchronization/mutex.h"

#include "server/base/clock.h"

namespace holdfast::bench {

absl::StatusOr<absl::Duration> TimeThreads(size_t count,
                                           absl::FunctionRef<absl::Status(size_t)> body) {
  absl::Mutex mu;
  absl::Status failure;
  const absl::Time begin = base::SystemClock().Steady();
  std::vector<std::thread> threads;
  for (size_t i = 0; i < count; ++i) {
    threads.emplace_back([&, i] {
      const absl::Status status = body(i);
      absl::MutexLock lock(&mu);
      failure.Update(status);
    });
  }
  for (std::thread& thread : threads) thread.join();
  const absl::Duration taken = base::SystemClock().Steady() - begin;
  if (!failure.ok()) return failure;
  return taken;
}

}  // namespace holdfast::bench
