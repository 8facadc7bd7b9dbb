#include "server/flow/breaker.h"

#include <algorithm>
#include <climits>
#include <utility>

#include "absl/strings/str_cat.h"

#include "server/base/check.h"
#include "server/base/seeded_bug.h"
#include "server/base/status_macros.h"

namespace holdfast::flow {
namespace {

absl::Status AtLeastOne(absl::string_view field, int value) {
  if (value >= 1) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(field, " is ", value, "; it must be at least 1"));
}

absl::Status AtLeastOneMillisecond(absl::string_view field, absl::Duration value) {
  if (value >= absl::Milliseconds(1) && value < absl::InfiniteDuration()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(field, " is ", absl::FormatDuration(value),
                                                 "; it must be finite and at least 1ms"));
}

}  // namespace

absl::Status BreakerOptions::Validate() const {
  HOLDFAST_RETURN_IF_ERROR(AtLeastOne("failure_threshold", failure_threshold));
  HOLDFAST_RETURN_IF_ERROR(AtLeastOne("min_throughput", min_throughput));
  HOLDFAST_RETURN_IF_ERROR(AtLeastOneMillisecond("failure_window", failure_window));
  HOLDFAST_RETURN_IF_ERROR(AtLeastOneMillisecond("recovery_timeout", recovery_timeout));
  return AtLeastOneMillisecond("half_open_timeout", half_open_timeout);
}

Breaker::Breaker(const BreakerOptions& options) : options_(options) {
  HOLDFAST_CHECK(options.Validate().ok());
}

absl::Duration Breaker::Admit(absl::Time now) {
  switch (state_) {
    case BreakerState::kClosed:
      return absl::ZeroDuration();
    case BreakerState::kOpen: {
      const absl::Time end = last_state_change_ + options_.recovery_timeout;
      if (now < end) return end - now;
      Enter(BreakerState::kHalfOpen, now);
      try_started_ = now;
      return absl::ZeroDuration();
    }
    case BreakerState::kHalfOpen: {
      const absl::Time end = try_started_ + options_.half_open_timeout;
      // The try will most likely be over long before its time is: ask again soon.
      if (now < end) return std::min(end - now, options_.recovery_timeout);
      try_started_ = now;
      return absl::ZeroDuration();
    }
  }
  HOLDFAST_CHECK(false);
}

void Breaker::OnSuccess(absl::Time now) {
  if (state_ == BreakerState::kOpen) return;
  if (HOLDFAST_SEEDED_BUG(kBreakerNeverCloses)) return;
  if (state_ == BreakerState::kHalfOpen) Enter(BreakerState::kClosed, now);
  Count(/*failed=*/false, now);
}

void Breaker::OnFailure(absl::Time now, std::string reason) {
  last_failure_ = std::move(reason);
  last_failure_at_ = now;
  Count(/*failed=*/true, now);
  const bool too_many =
      failures(now) >= options_.failure_threshold && attempts(now) >= options_.min_throughput;
  if (state_ == BreakerState::kHalfOpen || (state_ == BreakerState::kClosed && too_many)) {
    Enter(BreakerState::kOpen, now);
  }
}

void Breaker::Reset(absl::Time now) { Enter(BreakerState::kClosed, now); }

int Breaker::failures(absl::Time now) const {
  int64_t sum = 0;
  for (const Slot& slot : window_) {
    if (slot.start > now - options_.failure_window) sum += slot.failures;
  }
  return static_cast<int>(std::min<int64_t>(sum, INT_MAX));
}

int Breaker::attempts(absl::Time now) const {
  int64_t sum = 0;
  for (const Slot& slot : window_) {
    if (slot.start > now - options_.failure_window) sum += slot.attempts;
  }
  return static_cast<int>(std::min<int64_t>(sum, INT_MAX));
}

void Breaker::Enter(BreakerState state, absl::Time now) {
  // Old failures must not open it again once it is known that the database answers.
  if (state == BreakerState::kClosed) window_.clear();
  state_ = state;
  last_state_change_ = now;
}

void Breaker::Count(bool failed, absl::Time now) {
  while (!window_.empty() && window_.front().start <= now - options_.failure_window) {
    window_.pop_front();
  }
  if (window_.empty() || now - window_.back().start >= options_.failure_window / kSlots) {
    window_.push_back(Slot{now});
  }
  Slot& slot = window_.back();
  if (slot.attempts == INT_MAX) return;
  ++slot.attempts;
  if (failed) ++slot.failures;
}

}  // namespace holdfast::flow
