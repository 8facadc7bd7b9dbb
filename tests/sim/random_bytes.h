// The daemon's random ids and salts come from OpenSSL. In a simulation they come from its seed, so
// that equal seeds write equal bytes.

#pragma once

#include <cstdint>

namespace holdfast::sim {

// From now on RAND_bytes gives what follows from `seed`. For programs of one thread.
void SeedRandomBytes(uint64_t seed);

}  // namespace holdfast::sim
