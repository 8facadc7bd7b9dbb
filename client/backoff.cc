#include "client/backoff.h"

#include <algorithm>

#include "absl/random/uniform_real_distribution.h"
#include "absl/strings/numbers.h"

namespace holdfast::client {

absl::Duration Backoff::Next(absl::BitGenRef random, absl::Time now) {
  if (now - connected_at_ >= max_) Reset();
  connected_at_ = absl::InfiniteFuture();
  const absl::Duration bound = bound_;
  bound_ = std::min(bound_ * 2, max_);
  return bound * absl::uniform_real_distribution<double>(0.0, 1.0)(random);
}

absl::Duration ParsePushback(absl::string_view value, absl::Duration max) {
  int64_t milliseconds = 0;
  if (!absl::SimpleAtoi(value, &milliseconds) || milliseconds < 0) return max;
  return std::min(absl::Milliseconds(milliseconds), max);
}

}  // namespace holdfast::client
