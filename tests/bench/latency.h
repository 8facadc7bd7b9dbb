// How long one event takes to be acknowledged, and what the parts of that cost when they stand
// alone. All return a sample for each event.

#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "holdfast/v1/event.pb.h"
#include "tests/bench/setting.h"

namespace holdfast::bench {

// On a bare stream, one event a message, setting.rate of them a second whether or not the earlier
// ones are answered: from the moment a message is handed to gRPC, or was due if the sender is late,
// to the Ack that covers it at setting.ack_level. Rate 0: the next is sent once the last is
// answered.
absl::StatusOr<std::vector<absl::Duration>> AckLatency(const Setting& setting,
                                                       const std::vector<v1::Event>& events);

// The same rate: one block appended to a zero-filled file in setting.folder, fdatasync, and an empty
// unary call (grpc.health.v1) to the daemon, one after the other. What it is late by is not
// counted.
struct SyncAndCall {
  std::vector<absl::Duration> sync;
  std::vector<absl::Duration> call;
  std::vector<absl::Duration> both;
};
absl::StatusOr<SyncAndCall> SyncAndCallLatency(const Setting& setting, size_t count);

// The in-process writer with one event a transaction.
absl::StatusOr<std::vector<absl::Duration>> TransactionLatency(
    const Setting& setting, const std::vector<v1::Event>& events);

// Through the C++ client, one event at a time: Send to callback at setting.ack_level.
absl::StatusOr<std::vector<absl::Duration>> ClientLatency(const Setting& setting,
                                                          const std::vector<v1::Event>& events);

}  // namespace holdfast::bench
