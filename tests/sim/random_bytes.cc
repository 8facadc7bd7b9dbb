#include "tests/sim/random_bytes.h"

#include "tests/sim/random.h"

namespace holdfast::sim {
namespace {

Random& Source() {
  static auto* const source = new Random(0);
  return *source;
}

}  // namespace

void SeedRandomBytes(uint64_t seed) { Source() = Random(seed); }

}  // namespace holdfast::sim

// In the place of OpenSSL's, for the whole program.
extern "C" int RAND_bytes(unsigned char* bytes, int count) {
  for (int i = 0; i < count; ++i) {
    bytes[i] = static_cast<unsigned char>(holdfast::sim::Source().Next());
  }
  return 1;
}
