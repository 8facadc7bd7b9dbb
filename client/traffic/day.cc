#include "client/traffic/day.h"

#include <algorithm>

namespace holdfast::traffic {
namespace {

// How busy each hour is (UTC), against one another.
constexpr std::array<double, 24> kHourWeights = {3,  2,  2,  1,  1,  2,  4,  7,  11, 14, 15, 14,
                                                 12, 14, 16, 17, 16, 14, 12, 10, 9,  8,  6,  4};
constexpr int kBursts = 24;

}  // namespace

Day::Day(int64_t begin_ms, Random& random) : begin_ms_(begin_ms) {
  std::array<double, kMinutes> weights{};
  for (size_t minute = 0; minute < kMinutes; ++minute) weights[minute] = kHourWeights[minute / 60];
  for (int burst = 0; burst < kBursts; ++burst) {
    const size_t begin = random.Below(kMinutes);
    const size_t end = std::min(kMinutes, begin + 1 + random.Below(4));
    const auto factor = static_cast<double>(4 + random.Below(16));
    for (size_t minute = begin; minute < end; ++minute) weights[minute] *= factor;
  }
  double sum = 0;
  for (size_t minute = 0; minute < kMinutes; ++minute) {
    share_before_[minute] = sum;
    sum += weights[minute];
  }
  for (double& share : share_before_) share /= sum;
  share_before_[kMinutes] = 1;
}

int64_t Day::At(uint64_t index, uint64_t count) const {
  const double share = (static_cast<double>(index) + 0.5) / static_cast<double>(count);
  const auto after = std::upper_bound(share_before_.begin() + 1, share_before_.end() - 1, share);
  const auto minute = static_cast<size_t>(after - share_before_.begin()) - 1;
  const double within = (share - share_before_[minute]) / (*after - share_before_[minute]);
  const auto millis = static_cast<int64_t>((static_cast<double>(minute) + within) * 60'000);
  return begin_ms_ + std::clamp<int64_t>(millis, 0, kMillis - 1);
}

}  // namespace holdfast::traffic
