// Damage to bytes at rest, and whether anything can tell it from a write that was torn before it
// was acknowledged.

#pragma once

#include <cstdint>
#include <string>

#include "tests/sim/random.h"
#include "tests/support/forgetful_disk.h"

namespace holdfast::sim {

struct Damage {
  std::string file;
  std::string what;
  // It may have hit the newest frame, or the newest file, behind which nothing proves that it was
  // ever whole.
  bool undecidable = false;
  // The file is gone.
  bool erased = false;
};

// Damages a file of a journal. An empty `file`: there was none to damage.
Damage DamageSomething(test::ForgetfulDisk& disk, Random& random);

}  // namespace holdfast::sim
