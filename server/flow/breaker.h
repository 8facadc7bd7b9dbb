// A circuit breaker: keeps a database that does not answer from being hammered by every lane.
//
// Closed, everything goes through. Open, nothing does until `recovery_timeout` has passed. Half
// open, one try at a time goes through; its success closes, its failure opens again. The names of
// the options are those of the circuit breakers that gateways already have.

#pragma once

#include <deque>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace holdfast::flow {

struct BreakerOptions {
  // Failures within `failure_window` that open it.
  int failure_threshold = 5;

  // Fewer attempts than this within the window never open it.
  int min_throughput = 5;

  // How far back failures count, to within a hundredth of it.
  absl::Duration failure_window = absl::Seconds(120);

  // How long it stays open before a try is let through.
  absl::Duration recovery_timeout = absl::Seconds(2);

  // How long a half-open try may be out before another one is let through in its place.
  absl::Duration half_open_timeout = absl::Seconds(30);

  // OK, or InvalidArgument naming the first field at fault.
  absl::Status Validate() const;
};

enum class BreakerState { kClosed, kHalfOpen, kOpen };

// A pure state machine: the caller says what time it is, by a clock that does not go backwards. Not
// thread-safe.
class Breaker final {
 public:
  explicit Breaker(const BreakerOptions& options);  // REQUIRES: options.Validate().ok().

  // Zero if an attempt may start now, otherwise how long to wait before asking again. Zero in the
  // half-open state takes the one place there is.
  absl::Duration Admit(absl::Time now);

  // An admitted attempt reached the database (whatever the database thought of the statement). One
  // that comes late, while the breaker is open, changes nothing.
  void OnSuccess(absl::Time now);
  // An admitted attempt did not. One that comes late, while the breaker is open, keeps it open no
  // longer.
  void OnFailure(absl::Time now, std::string reason);
  // By an operator: close it.
  void Reset(absl::Time now);

  BreakerState state() const { return state_; }
  absl::Time last_state_change() const { return last_state_change_; }
  // Kept when it closes. Empty and in the infinite past if there was none.
  const std::string& last_failure() const { return last_failure_; }
  absl::Time last_failure_at() const { return last_failure_at_; }
  int failures(absl::Time now) const;  // Within the window.
  int attempts(absl::Time now) const;  // Within the window.

 private:
  // What happened in a small part of the window, so that counting needs little memory however many
  // attempts there are.
  struct Slot {
    absl::Time start;  // Of its first attempt.
    int attempts = 0;
    int failures = 0;
  };
  static constexpr int kSlots = 128;  // In one window.

  void Enter(BreakerState state, absl::Time now);
  void Count(bool failed, absl::Time now);

  const BreakerOptions options_;
  BreakerState state_ = BreakerState::kClosed;
  absl::Time last_state_change_ = absl::InfinitePast();
  absl::Time try_started_ = absl::InfinitePast();  // In the half-open state.
  std::string last_failure_;
  absl::Time last_failure_at_ = absl::InfinitePast();
  std::deque<Slot> window_;  // Oldest first. Bounded: at most kSlots + 1.
};

}  // namespace holdfast::flow
