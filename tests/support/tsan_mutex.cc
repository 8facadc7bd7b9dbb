// Tells ThreadSanitizer of Abseil's mutexes. The distribution's Abseil is built without it, so that
// whatever a mutex guards would look like a race. The functions here stand before the library's
// own: each calls the one it hides and says what that means for the order of things.
//
// Built in only with the thread sanitizer.

#include <dlfcn.h>

#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

extern "C" {
void __tsan_acquire(void* address);
void __tsan_release(void* address);
void AnnotateIgnoreReadsBegin(const char* file, int line);
void AnnotateIgnoreReadsEnd(const char* file, int line);
}

namespace {

// The library's function of that name. A member function is called as a plain one with the object
// first, which on the machines we build for is the same call.
template <typename Function>
Function* Hidden(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

}  // namespace

namespace absl {
ABSL_NAMESPACE_BEGIN

void Mutex::Lock() {
  static auto* const hidden = Hidden<void(Mutex*)>("_ZN4absl7debian35Mutex4LockEv");
  hidden(this);
  __tsan_acquire(this);
}

void Mutex::Unlock() {
  static auto* const hidden = Hidden<void(Mutex*)>("_ZN4absl7debian35Mutex6UnlockEv");
  __tsan_release(this);
  hidden(this);
}

void Mutex::ReaderLock() {
  static auto* const hidden = Hidden<void(Mutex*)>("_ZN4absl7debian35Mutex10ReaderLockEv");
  hidden(this);
  __tsan_acquire(this);
}

void Mutex::ReaderUnlock() {
  static auto* const hidden = Hidden<void(Mutex*)>("_ZN4absl7debian35Mutex12ReaderUnlockEv");
  __tsan_release(this);
  hidden(this);
}

bool Mutex::TryLock() {
  static auto* const hidden = Hidden<bool(Mutex*)>("_ZN4absl7debian35Mutex7TryLockEv");
  if (!hidden(this)) return false;
  __tsan_acquire(this);
  return true;
}

void Mutex::LockWhen(const Condition& condition) {
  static auto* const hidden =
      Hidden<void(Mutex*, const Condition&)>("_ZN4absl7debian35Mutex8LockWhenERKNS0_9ConditionE");
  hidden(this, condition);
  __tsan_acquire(this);
}

void Mutex::Await(const Condition& condition) {
  static auto* const hidden =
      Hidden<void(Mutex*, const Condition&)>("_ZN4absl7debian35Mutex5AwaitERKNS0_9ConditionE");
  __tsan_release(this);
  hidden(this, condition);
  __tsan_acquire(this);
}

bool Mutex::AwaitWithTimeout(const Condition& condition, Duration timeout) {
  static auto* const hidden = Hidden<bool(Mutex*, const Condition&, Duration)>(
      "_ZN4absl7debian35Mutex16AwaitWithTimeoutERKNS0_9ConditionENS0_8DurationE");
  __tsan_release(this);
  const bool holds = hidden(this, condition, timeout);
  __tsan_acquire(this);
  return holds;
}

// The library asks the conditions of those who wait on whichever thread has the lock at the time,
// some of them within Unlock, after the release above.
bool Condition::Eval() const {
  static auto* const hidden = Hidden<bool(const Condition*)>("_ZNK4absl7debian39Condition4EvalEv");
  AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
  const bool holds = hidden(this);
  AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
  return holds;
}

ABSL_NAMESPACE_END
}  // namespace absl
