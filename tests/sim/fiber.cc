#include "tests/sim/fiber.h"

#include <pthread.h>
#include <sys/mman.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "server/base/check.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

namespace holdfast::sim {
namespace {

constexpr size_t kStackBytes = size_t{512} << 10;
constexpr size_t kGuardBytes = 4096;

// Stacks are used again: making one costs system calls and page faults.
std::vector<void*>& FreeStacks() {
  static auto* const stacks = new std::vector<void*>();
  return *stacks;
}

void* NewStack() {
  if (!FreeStacks().empty()) {
    void* const stack = FreeStacks().back();
    FreeStacks().pop_back();
    return stack;
  }
  void* const pages = mmap(nullptr, kGuardBytes + kStackBytes, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  HOLDFAST_CHECK(pages != MAP_FAILED);
  HOLDFAST_CHECK(mprotect(pages, kGuardBytes, PROT_NONE) == 0);
  return static_cast<char*>(pages) + kGuardBytes;
}

// The address sanitizer must know which stack is in use.
#if defined(__SANITIZE_ADDRESS__)
void Departing(void** state, const void* stack, size_t bytes) {
  __sanitizer_start_switch_fiber(state, stack, bytes);
}
void Arrived(void* state) { __sanitizer_finish_switch_fiber(state, nullptr, nullptr); }
#else
void Departing(void**, const void*, size_t) {}
void Arrived(void*) {}
#endif

}  // namespace

Fiber::Fiber() {
#if defined(__SANITIZE_ADDRESS__)
  pthread_attr_t attributes;
  HOLDFAST_CHECK(pthread_getattr_np(pthread_self(), &attributes) == 0);
  HOLDFAST_CHECK(pthread_attr_getstack(&attributes, &stack_, &stack_bytes_) == 0);
  pthread_attr_destroy(&attributes);
#endif
}

Fiber::Fiber(absl::AnyInvocable<void()> body)
    : body_(std::move(body)), stack_(NewStack()), stack_bytes_(kStackBytes), owns_stack_(true) {
  HOLDFAST_CHECK(getcontext(&context_) == 0);
  context_.uc_stack.ss_sp = stack_;
  context_.uc_stack.ss_size = stack_bytes_;
  context_.uc_link = nullptr;
  const auto self = reinterpret_cast<uintptr_t>(this);
  // makecontext passes ints, whatever it is given.
  makecontext(&context_, reinterpret_cast<void (*)()>(&Fiber::Enter), 2,
              static_cast<unsigned>(self >> 32), static_cast<unsigned>(self));
}

Fiber::~Fiber() {
  if (owns_stack_) FreeStacks().push_back(stack_);
}

void Fiber::Enter(unsigned high, unsigned low) {
  Arrived(nullptr);
  auto* const self = reinterpret_cast<Fiber*>((static_cast<uintptr_t>(high) << 32) | low);
  self->body_();
  HOLDFAST_CHECK(false);  // A body does not return.
}

void Fiber::Switch(Fiber& to, bool for_good) {
  Departing(for_good ? nullptr : &sanitizer_state_, to.stack_, to.stack_bytes_);
  HOLDFAST_CHECK(swapcontext(&context_, &to.context_) == 0);
  Arrived(sanitizer_state_);
}

}  // namespace holdfast::sim
