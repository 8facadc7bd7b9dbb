// Time that never goes backwards, for durations and deadlines; the wall clock may jump.

#pragma once

#include <chrono>

#include "absl/time/time.h"

namespace holdfast::client {

inline absl::Time SteadyNow() {
  return absl::UnixEpoch() + absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
}

}  // namespace holdfast::client
