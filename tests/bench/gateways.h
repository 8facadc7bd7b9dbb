// Gateways that send to daemons through the C++ client.

#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "holdfast/v1/event.pb.h"
#include "server/event/kind.h"
#include "tests/bench/setting.h"
#include "tests/bench/workload.h"

namespace holdfast::bench {

// Each of setting.targets gets an equal part of the events from a gateway of its own. From the
// first Send to the last acknowledgement at setting.ack_level, connecting not counted. DATA_LOSS if
// an event was refused.
absl::StatusOr<absl::Duration> EndToEnd(const Setting& setting,
                                        const std::vector<v1::Event>& events);

// One gateway, `count` events that are made as they are sent, setting.rate of them a second: for
// long runs in little memory. Adds them to `expectation`.
absl::StatusOr<absl::Duration> Feed(const Setting& setting, event::Kind kind, uint64_t first,
                                    size_t count, uint64_t keys, Expectation* expectation);

}  // namespace holdfast::bench
