// A thread that Clock::StartThread has started.

#pragma once

#include <utility>

#include "absl/functional/any_invocable.h"

namespace holdfast::base {

// Not thread-safe: whoever owns the thread joins it.
class Thread {
 public:
  Thread() = default;  // None.
  // `join` returns once the thread has ended; it is called once.
  explicit Thread(absl::AnyInvocable<void()> join) : join_(std::move(join)) {}
  Thread(Thread&& other) noexcept : join_(std::exchange(other.join_, nullptr)) {}
  Thread& operator=(Thread&& other) noexcept;  // REQUIRES: !joinable().
  ~Thread();                                   // REQUIRES: !joinable().

  // Started and not joined yet.
  bool joinable() const { return join_ != nullptr; }

  // Waits until the thread has ended. Does nothing if it is not joinable.
  void Join();

 private:
  absl::AnyInvocable<void()> join_;
};

}  // namespace holdfast::base
