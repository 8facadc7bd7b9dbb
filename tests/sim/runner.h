// Runs many seeds, in processes of their own, and one seed with everything said.

#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "tests/sim/plan.h"

namespace holdfast::sim {

// Times that the journals of one seed are opened, about.
inline constexpr uint64_t kLivesOfASeed = 20;

struct RunOptions {
  std::optional<uint64_t> only_seed;  // Replays this one and says what it does.
  uint64_t first_seed = 1;
  uint64_t lives = 20000;  // Ends when there were so many,
  double minutes = 0;      // or, if it is not zero, when so much time has passed.
  int jobs = 1;
  std::string json_file;
};

// Returns the process's exit status: 0 if every claim held, 1 if one did not.
int Run(const RunOptions& options);

// The same plan with as few actions as still make it fail, found within `attempts_max` attempts.
Plan Shrink(const Plan& plan, int attempts_max);

}  // namespace holdfast::sim
