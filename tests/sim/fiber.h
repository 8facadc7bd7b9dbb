// A stack that runs until it hands over. Fibers share one thread of the system, so that nothing but
// the simulation decides which of them runs, and handing over costs a tenth of a microsecond.

#pragma once

#include <ucontext.h>

#include <cstddef>

#include "absl/functional/any_invocable.h"

namespace holdfast::sim {

// All fibers that hand over to each other belong to one thread.
class Fiber {
 public:
  Fiber();  // The caller itself, on the stack that it has.
  // On a stack of its own. `body` must not return: it hands over for the last time with Leave.
  explicit Fiber(absl::AnyInvocable<void()> body);
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;
  ~Fiber();

  // From this one, which is running, to another. Returns when something hands over to this one.
  void HandOver(Fiber& to) { Switch(to, /*for_good=*/false); }
  // The same; this one is never run again.
  void Leave(Fiber& to) { Switch(to, /*for_good=*/true); }

 private:
  static void Enter(unsigned high, unsigned low);
  void Switch(Fiber& to, bool for_good);

  absl::AnyInvocable<void()> body_;
  ucontext_t context_;
  void* stack_ = nullptr;  // Its lowest byte.
  size_t stack_bytes_ = 0;
  bool owns_stack_ = false;
  void* sanitizer_state_ = nullptr;
};

}  // namespace holdfast::sim
