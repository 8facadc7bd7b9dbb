// The calls of gateways that are open: how many there may be, and how all of them are asked to end.

#pragma once

#include <cstddef>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/synchronization/mutex.h"

#include "server/base/clock.h"

namespace holdfast::ingress {

struct CallLimits {
  // Streams that are open at a time. A gateway needs one. Each may hold a request of 4 MiB.
  size_t streams_max = 1024;

  // Write calls that are open at a time, and the bytes of their requests: those that wait for a
  // database that is away stay open until their deadline.
  size_t writes_max = 256;
  size_t write_bytes_max = size_t{64} << 20;
};

// A call that lives long enough to be asked to end.
class Drainable {
 public:
  virtual ~Drainable() = default;
  // Finish what was begun, take nothing new, end with UNAVAILABLE. Must not block.
  virtual void Drain() = 0;
};

// Thread-safe.
class OpenCalls {
 public:
  explicit OpenCalls(const CallLimits& limits) : limits_(limits) {}

  // Counts a call, or returns false if there are too many. Every true is followed by one Leave.
  // A stream that enters after Drain is drained at once.
  bool EnterStream(Drainable* stream);
  void LeaveStream(Drainable* stream);
  bool EnterWrite(size_t bytes);
  void LeaveWrite(size_t bytes);

  // Asks all streams to end.
  void Drain();
  bool draining() const;

  // Waits until every call has left, at most `timeout`. Returns whether they have.
  bool AwaitNone(base::Clock& clock, absl::Duration timeout) const;

 private:
  const CallLimits limits_;

  mutable absl::Mutex mu_;
  // Held while a stream's Drain runs: a stream that is being asked to end does not go away.
  absl::flat_hash_set<Drainable*> streams_ ABSL_GUARDED_BY(mu_);
  size_t writes_ ABSL_GUARDED_BY(mu_) = 0;
  size_t write_bytes_ ABSL_GUARDED_BY(mu_) = 0;
  bool draining_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace holdfast::ingress
