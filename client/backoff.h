// How long to wait before the next attempt: exponential with full jitter.

#pragma once

#include <cstdint>
#include <optional>

#include "absl/random/bit_gen_ref.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace holdfast::client {

// A connection counts as a success once something was achieved on it (Reset), or when it has stayed
// up for `max`: then the server was good, though there was nothing to send. Being accepted alone is
// none: a server that accepts and fails at once would be asked every `min`.
//
// The caller says what time it is, by a clock that does not go backwards. Not thread-safe.
class Backoff final {
 public:
  // REQUIRES: 0 < min <= max.
  Backoff(absl::Duration min, absl::Duration max) : min_(min), max_(max), bound_(min) {}

  // Uniform between zero and a bound that doubles with every call, from min to max. So many clients
  // that lost one daemon come back spread out.
  absl::Duration Next(absl::BitGenRef random, absl::Time now);

  // A connection was accepted; it ends at the following Next.
  void Connected(absl::Time now) { connected_at_ = now; }

  // After success: the next bound is min again.
  void Reset() { bound_ = min_; }

 private:
  const absl::Duration min_;
  const absl::Duration max_;
  absl::Duration bound_;
  absl::Time connected_at_ = absl::InfiniteFuture();  // Infinite: not since the last Next.
};

// The pause that a server asks for with the trailing metadata `grpc-retry-pushback-ms`, at most
// `max`. A value that is negative or no number means "do not retry"; that is read as `max`.
absl::Duration ParsePushback(absl::string_view value, absl::Duration max);

}  // namespace holdfast::client
