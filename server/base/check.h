// Assertions that stay on in release builds: a broken invariant ends the process before it can
// acknowledge or store something wrong. For programmers' errors only; what the outside can cause is
// an absl::Status.

#pragma once

namespace holdfast::base {

// Prints where and what, then aborts.
[[noreturn]] void CheckFailed(const char* file, int line, const char* condition);

}  // namespace holdfast::base

#define HOLDFAST_CHECK(condition)                      \
  (static_cast<bool>(condition) ? static_cast<void>(0) \
                                : ::holdfast::base::CheckFailed(__FILE__, __LINE__, #condition))
