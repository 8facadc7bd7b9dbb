// A deadline for calls that have none: name resolution, a disk that does not come back.

#pragma once

#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

#include "server/base/clock.h"

namespace holdfast::diagnosis {

// Runs `work` on a thread of its own and returns its result, or nullopt if it is not there within
// `timeout`. The thread is then left to itself: `work` must own all that it uses.
template <typename Result, typename Work>
std::optional<Result> Within(absl::Duration timeout, base::Clock& clock, Work work) {
  struct Shared {
    absl::Mutex mu;
    std::optional<Result> result ABSL_GUARDED_BY(mu);
  };
  const auto shared = std::make_shared<Shared>();
  std::thread([shared, work = std::move(work)] {
    Result result = work();
    absl::MutexLock lock(&shared->mu);
    shared->result = std::move(result);
  }).detach();
  absl::MutexLock lock(&shared->mu);
  const auto has_result = [&shared]() ABSL_SHARED_LOCKS_REQUIRED(shared->mu) {
    return shared->result.has_value();
  };
  clock.AwaitWithTimeout(shared->mu, absl::Condition(&has_result), timeout);
  return std::exchange(shared->result, std::nullopt);
}

}  // namespace holdfast::diagnosis
