// Deliberate bugs, to prove that the tests would notice them: tests/seeded-bugs makes each one and
// expects a test to fail. In every other build a mark is the constant `false`, and the compiler
// leaves out what depends on it.
//
//   if (HOLDFAST_SEEDED_BUG(kAckBeforeSync)) return absl::OkStatus();

#pragma once

#ifdef HOLDFAST_SEEDED_BUGS

#include <cstdlib>
#include <cstring>

namespace holdfast::base {

// Whether the environment variable HOLDFAST_SEEDED_BUG names this one.
inline bool IsSeededBugActive(const char* bug) {
  static const char* const active = std::getenv("HOLDFAST_SEEDED_BUG");
  return active != nullptr && std::strcmp(active, bug) == 0;
}

}  // namespace holdfast::base

#define HOLDFAST_SEEDED_BUG(bug) ::holdfast::base::IsSeededBugActive(#bug)

#else

#define HOLDFAST_SEEDED_BUG(bug) false

#endif
