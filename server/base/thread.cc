#include "server/base/thread.h"

#include <utility>

#include "server/base/check.h"

namespace holdfast::base {

Thread& Thread::operator=(Thread&& other) noexcept {
  HOLDFAST_CHECK(!joinable());
  join_ = std::exchange(other.join_, nullptr);
  return *this;
}

Thread::~Thread() { HOLDFAST_CHECK(!joinable()); }

void Thread::Join() {
  if (joinable()) std::exchange(join_, nullptr)();
}

}  // namespace holdfast::base
