// What callers' threads do: put events in, wait, look.

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

#include "client/steady_clock.h"
#include "client/worker.h"

namespace holdfast::client {

bool Worker::HasRoom(size_t bytes) const {
  return buffer_.events() < options_.buffer_events_max &&
         buffer_.bytes() + bytes <= options_.buffer_bytes_max;
}

absl::Status Worker::Refusal() const {
  if (!ended_.ok()) return ended_;
  if (close_deadline_ != absl::InfiniteFuture())
    return absl::CancelledError("the client is closed");
  return absl::OkStatus();
}

absl::Status Worker::Send(std::string event, absl::Duration wait_max, Client::Callback done) {
  const size_t bytes = event.size();
  absl::MutexLock lock(&mu_);
  // On the own thread a wait would wait for itself: only this thread makes room.
  if (!HasRoom(bytes) && wait_max > absl::ZeroDuration() && !OnOwnThread()) {
    auto decided = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      return HasRoom(bytes) || !Refusal().ok();
    };
    mu_.AwaitWithTimeout(absl::Condition(&decided), wait_max);
  }
  if (absl::Status refusal = Refusal(); !refusal.ok()) return refusal;
  if (!HasRoom(bytes)) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the client's buffer is full (", buffer_.events(), " events, ",
                     buffer_.bytes(), " bytes not yet acknowledged)",
                     last_error_.ok() ? std::string() : absl::StrCat("; ", last_error_.message())));
  }
  buffer_.Add(std::move(event), std::move(done));
  return absl::OkStatus();
}

absl::StatusOr<Opened> Worker::WaitOpened(absl::Duration wait_max) {
  absl::MutexLock lock(&mu_);
  auto decided = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return opened_.has_value() || !Refusal().ok();
  };
  mu_.AwaitWithTimeout(absl::Condition(&decided), wait_max);
  if (opened_.has_value()) return *opened_;
  if (absl::Status refusal = Refusal(); !refusal.ok()) return refusal;
  return absl::DeadlineExceededError(
      absl::StrCat("no connection to ", options_.target, ": ", last_error_.message()));
}

absl::Status Worker::Flush(absl::Duration wait_max) {
  if (OnOwnThread()) return absl::FailedPreconditionError("Flush called from a callback");
  absl::MutexLock lock(&mu_);
  const uint64_t target = buffer_.added();
  auto answered = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return called_before_ >= target || finished_;
  };
  mu_.AwaitWithTimeout(absl::Condition(&answered), wait_max);
  if (called_before_ >= target) return ended_;
  return absl::DeadlineExceededError(
      absl::StrCat(target - called_before_, " events are not yet acknowledged",
                   last_error_.ok() ? std::string() : absl::StrCat(": ", last_error_.message())));
}

absl::Status Worker::Close(absl::Duration wait_max) {
  if (OnOwnThread()) return absl::FailedPreconditionError("Close called from a callback");
  absl::MutexLock lock(&mu_);
  // Finite, whatever the caller waits: InfiniteFuture says that nobody is closing.
  const absl::Duration wait = std::min(wait_max, absl::Hours(24 * 365));
  close_deadline_ = std::min(close_deadline_, SteadyNow() + wait);
  mu_.Await(absl::Condition(&finished_));
  if (!ended_.ok()) return ended_;
  Stats counts;
  buffer_.Count(&counts);
  if (counts.given_up == 0) return absl::OkStatus();
  return absl::DeadlineExceededError(absl::StrCat(
      counts.given_up,
      " events were given up: ", last_error_.ok() ? "no time was left" : last_error_.message()));
}

Stats Worker::stats() const {
  absl::MutexLock lock(&mu_);
  Stats stats;
  buffer_.Count(&stats);
  stats.reconnects = streams_ > 0 ? streams_ - 1 : 0;
  stats.producers_renewed = producers_renewed_;
  stats.connected = connected_;
  stats.producer_id = producer_id_;
  stats.last_error = last_error_;
  return stats;
}

}  // namespace holdfast::client
