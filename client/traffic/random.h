// Randomness that is the same for one seed on every machine and with every library.

#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

namespace holdfast::traffic {

// The engine is fixed by the C++ standard; its distributions are not, so they are made here.
class Random final {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}

  uint64_t Bits() { return engine_(); }

  // From 0 to bound - 1. The bias of the remainder is far below anything that shows here.
  uint64_t Below(uint64_t bound) { return engine_() % bound; }

  // From 0 up to, not including, 1.
  double Fraction() { return static_cast<double>(engine_() >> 11) * 0x1.0p-53; }

  bool Percent(uint64_t percent) { return Below(100) < percent; }

  // Mostly small, sometimes large: between base and 2^doublings times base.
  uint64_t LongTail(uint64_t base, uint64_t doublings) {
    const uint64_t scale = base << std::min(Below(doublings + 1), Below(doublings + 1));
    return scale + Below(scale);
  }

 private:
  std::mt19937_64 engine_;
};

// Picks 0 to count - 1; the k-th with a weight of 1 / (k + 1)^exponent.
class Zipf final {
 public:
  Zipf(size_t count, double exponent) : bounds_(count) {
    double sum = 0;
    for (size_t k = 0; k < count; ++k) {
      sum += std::pow(static_cast<double>(k + 1), -exponent);
      bounds_[k] = sum;
    }
  }

  uint64_t Pick(Random& random) const {
    const double at = random.Fraction() * bounds_.back();
    const auto found = std::upper_bound(bounds_.begin(), bounds_.end() - 1, at);
    return static_cast<uint64_t>(found - bounds_.begin());
  }

 private:
  std::vector<double> bounds_;
};

}  // namespace holdfast::traffic
