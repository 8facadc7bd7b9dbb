// Everything that a simulation decides comes from here, and all of it from one seed.

#pragma once

#include <cstdint>

#include "absl/time/time.h"

namespace holdfast::sim {

// SplitMix64: small, fast, the same on every machine.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t Next() {
    state_ += 0x9e3779b97f4a7c15;
    uint64_t mixed = state_;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
    return mixed ^ (mixed >> 31);
  }

  // REQUIRES: limit > 0.
  uint64_t Below(uint64_t limit) { return Next() % limit; }
  uint64_t Between(uint64_t least, uint64_t most) { return least + Below(most - least + 1); }
  bool OneIn(uint64_t n) { return Below(n) == 0; }

  // Mostly short, now and then as long as `most`.
  absl::Duration ShortDuration(absl::Duration most) {
    const auto nanoseconds = static_cast<uint64_t>(absl::ToInt64Nanoseconds(most)) + 1;
    return absl::Nanoseconds(static_cast<int64_t>(Below(nanoseconds) >> Below(8)));
  }

 private:
  uint64_t state_;
};

// A seed for the part of a simulation that these numbers name.
inline uint64_t SeedOf(uint64_t seed, uint64_t a, uint64_t b = 0) {
  Random random(seed ^ (a * 0xd6e8feb86659fd93) ^ (b * 0xa0761d6478bd642f));
  return random.Next();
}

}  // namespace holdfast::sim
