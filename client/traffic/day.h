// When things happen on a day: quiet nights, busy afternoons, and bursts.

#pragma once

#include <array>
#include <cstdint>

#include "client/traffic/random.h"

namespace holdfast::traffic {

class Day final {
 public:
  static constexpr int64_t kMillis = 86'400'000;

  // `begin_ms` is the day's first moment, in milliseconds since 1970.
  Day(int64_t begin_ms, Random& random);

  int64_t begin_ms() const { return begin_ms_; }

  // The time of event `index` of `count`: never before the one before it, never on another day.
  int64_t At(uint64_t index, uint64_t count) const;

 private:
  static constexpr size_t kMinutes = 1440;

  const int64_t begin_ms_;
  std::array<double, kMinutes + 1> share_before_{};  // Of the day's events, by minute.
};

}  // namespace holdfast::traffic
