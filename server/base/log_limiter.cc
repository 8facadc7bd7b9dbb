#include "server/base/log_limiter.h"

#include <algorithm>

namespace holdfast::base {

bool LogLimiter::Admit(int level, absl::string_view sentence, std::vector<HeldBack>* before) {
  const absl::Time now = clock_.Steady();
  absl::MutexLock lock(&mu_);
  const Kind kind(level, sentence);
  auto found = windows_.find(kind);
  if (found == windows_.end()) {
    if (windows_.size() >= limits_.kinds_max) ForgetPast(now);
    if (windows_.size() >= limits_.kinds_max) return true;
    found = windows_.emplace(kind, Window{now + limits_.window}).first;
  }
  Window& window = found->second;
  if (now >= window.end) {
    if (window.held_back > 0) before->push_back({level, kind.second, window.held_back});
    window = Window{now + limits_.window};
  }
  if (window.lines >= limits_.lines_max) {
    ++window.held_back;
    return false;
  }
  ++window.lines;
  return true;
}

std::vector<HeldBack> LogLimiter::Take(bool all) {
  const absl::Time now = clock_.Steady();
  std::vector<HeldBack> taken;
  absl::MutexLock lock(&mu_);
  for (auto& [kind, window] : windows_) {
    if (window.held_back == 0 || (!all && now < window.end)) continue;
    taken.push_back({kind.first, kind.second, std::exchange(window.held_back, 0)});
  }
  ForgetPast(now);
  std::sort(taken.begin(), taken.end(),
            [](const HeldBack& a, const HeldBack& b) { return a.sentence < b.sentence; });
  return taken;
}

// What was held back there is still to be said, so those stay.
void LogLimiter::ForgetPast(absl::Time now) {
  absl::erase_if(windows_, [now](const auto& entry) {
    return now >= entry.second.end && entry.second.held_back == 0;
  });
}

}  // namespace holdfast::base
