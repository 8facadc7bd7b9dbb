// What the C++ client itself costs: against a gateway's daemon that does nothing, in a process of
// its own.

#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "holdfast/v1/event.pb.h"
#include "tests/bench/setting.h"

namespace holdfast::bench {

// Serves at setting.targets until the standard input ends: a stream whose every batch is
// acknowledged at both levels at once, and kept nowhere. Prints "ready" when it listens.
absl::Status ServeNothing(const Setting& setting);

// `threads` threads send the events through one client.
struct Batching {
  absl::Duration taken;
  absl::Duration cpu;  // Of this process, over all threads.
};
absl::StatusOr<Batching> ClientBatching(const Setting& setting, size_t threads,
                                        const std::vector<v1::Event>& events);

}  // namespace holdfast::bench
