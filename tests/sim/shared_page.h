// Memory that a process shares with those it forks.

#pragma once

#include <sys/mman.h>

#include <new>

#include "server/base/check.h"

namespace holdfast::sim {

// REQUIRES: T holds no pointers, and needs no destructor.
template <typename T>
class SharedPage {
 public:
  SharedPage()
      : memory_(
            mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) {
    HOLDFAST_CHECK(memory_ != MAP_FAILED);
    value_ = new (memory_) T();
  }
  SharedPage(const SharedPage&) = delete;
  SharedPage& operator=(const SharedPage&) = delete;
  ~SharedPage() { munmap(memory_, sizeof(T)); }

  T& operator*() const { return *value_; }
  T* operator->() const { return value_; }

 private:
  void* const memory_;
  T* value_ = nullptr;
};

}  // namespace holdfast::sim
