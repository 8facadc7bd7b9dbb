#include "server/flow/retry_policy.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

#include "server/base/check.h"
#include "server/base/status_macros.h"

namespace holdfast::flow {
namespace {

// 2^16 times the smallest wait is above every limit that makes sense; more would overflow.
constexpr int kDoublingsMax = 16;

// SplitMix64 (Steele, Lea, Flood, 2014): small, and the same on every machine.
uint64_t NextRandom(uint64_t* state) {
  uint64_t value = (*state += 0x9e3779b97f4a7c15);
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

// Uniform in [0, 1].
double NextFraction(uint64_t* state) {
  return static_cast<double>(NextRandom(state) >> 11) /
         static_cast<double>((uint64_t{1} << 53) - 1);
}

absl::Status AtLeast(absl::string_view field, absl::Duration value, absl::string_view limit,
                     absl::Duration min) {
  if (value >= min && value < absl::InfiniteDuration()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(field, " is ", absl::FormatDuration(value),
                                                 "; it must be finite and at least ", limit));
}

}  // namespace

absl::Status RetryOptions::Validate() const {
  HOLDFAST_RETURN_IF_ERROR(AtLeast("wait_min", wait_min, "1ms", absl::Milliseconds(1)));
  HOLDFAST_RETURN_IF_ERROR(AtLeast("wait_max", wait_max, "wait_min", wait_min));
  return AtLeast("outage_wait_max", outage_wait_max, "wait_min", wait_min);
}

RetryPolicy::RetryPolicy(const RetryOptions& options, uint64_t seed)
    : options_(options), random_state_(seed) {
  HOLDFAST_CHECK(options.Validate().ok());
}

absl::Duration RetryPolicy::NextWait(Verdict verdict) {
  HOLDFAST_CHECK(verdict != Verdict::kReject);
  const int doublings = std::min(failures_, kDoublingsMax);
  failures_ = std::min(failures_ + 1, kFailuresMax);
  if (verdict == Verdict::kUnknown && !unknown_met_) {
    unknown_met_ = true;
    return absl::ZeroDuration();
  }
  const bool needs_operator = verdict == Verdict::kOutage || verdict == Verdict::kThrottle;
  const absl::Duration ceiling =
      needs_operator ? options_.outage_wait_max
                     : std::min(options_.wait_min * (int64_t{1} << doublings), options_.wait_max);
  return ceiling * NextFraction(&random_state_);
}

void RetryPolicy::Reset() {
  failures_ = 0;
  unknown_met_ = false;
}

}  // namespace holdfast::flow
