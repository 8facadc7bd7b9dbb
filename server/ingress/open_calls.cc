#include "server/ingress/open_calls.h"

namespace holdfast::ingress {

bool OpenCalls::EnterStream(Drainable* stream) {
  absl::MutexLock lock(&mu_);
  if (streams_.size() >= limits_.streams_max) return false;
  streams_.insert(stream);
  if (draining_) stream->Drain();
  return true;
}

void OpenCalls::LeaveStream(Drainable* stream) {
  absl::MutexLock lock(&mu_);
  streams_.erase(stream);
}

bool OpenCalls::EnterWrite(size_t bytes) {
  absl::MutexLock lock(&mu_);
  if (writes_ >= limits_.writes_max || write_bytes_ + bytes > limits_.write_bytes_max) return false;
  ++writes_;
  write_bytes_ += bytes;
  return true;
}

void OpenCalls::LeaveWrite(size_t bytes) {
  absl::MutexLock lock(&mu_);
  --writes_;
  write_bytes_ -= bytes;
}

void OpenCalls::Drain() {
  absl::MutexLock lock(&mu_);
  draining_ = true;
  for (Drainable* stream : streams_) stream->Drain();
}

bool OpenCalls::draining() const {
  absl::MutexLock lock(&mu_);
  return draining_;
}

bool OpenCalls::AwaitNone(base::Clock& clock, absl::Duration timeout) const {
  absl::MutexLock lock(&mu_);
  const auto none = [this]() ABSL_SHARED_LOCKS_REQUIRED(mu_) {
    return streams_.empty() && writes_ == 0;
  };
  return clock.AwaitWithTimeout(mu_, absl::Condition(&none), timeout);
}

}  // namespace holdfast::ingress
