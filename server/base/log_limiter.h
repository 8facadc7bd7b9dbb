// Keeps a flood of like lines out of the log.

#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

#include "server/base/clock.h"

namespace holdfast::base {

struct LogLimits {
  // Lines of one kind within `window`, which begins with its first. Less: a story told in many
  // lines loses its end. More: a flood costs more room.
  int lines_max = 100;
  absl::Duration window = absl::Minutes(1);

  // Kinds that are told apart. One more, while none of them is over, is not limited.
  size_t kinds_max = 256;
};

// Lines that were held back, of one kind, since the last time that this was said.
struct HeldBack {
  int level = 0;
  std::string sentence;
  int64_t lines = 0;
};

// Decides which lines are written. A kind is a level and a sentence; what a line says beside its
// sentence makes no difference. Thread-safe.
class LogLimiter final {
 public:
  // `clock` must outlive it.
  LogLimiter(const LogLimits& limits, Clock& clock) : limits_(limits), clock_(clock) {}

  // Whether this line may be written; one that may not is counted. Where a window is over in which
  // lines of this kind were held back, `before` says so: to be written first.
  bool Admit(int level, absl::string_view sentence, std::vector<HeldBack>* before);

  // What was held back in windows that are over, or in all.
  std::vector<HeldBack> Take(bool all);

 private:
  struct Window {
    absl::Time end;
    int lines = 0;
    int64_t held_back = 0;
  };
  using Kind = std::pair<int, std::string>;

  void ForgetPast(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const LogLimits limits_;
  Clock& clock_;

  absl::Mutex mu_;
  absl::flat_hash_map<Kind, Window> windows_ ABSL_GUARDED_BY(mu_);
};

}  // namespace holdfast::base
