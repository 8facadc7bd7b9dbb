// The ways in which the same events are brought into the same table without the daemon, each
// returning the time that it took from the first byte to the last commit.

#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "holdfast/v1/event.pb.h"
#include "tests/bench/setting.h"

namespace holdfast::bench {

// Raw rows alone, one multi-row statement and one COMMIT at a time, from memory: no counters, no
// position. The fastest writer that could be written by hand.
absl::StatusOr<absl::Duration> BareBulk(const Setting& setting,
                                        const std::vector<v1::Event>& events);

// LOAD DATA LOCAL INFILE from files of 50,000 rows that lie ready on the disk (messages only).
absl::StatusOr<absl::Duration> LoadData(const Setting& setting,
                                        const std::vector<v1::Event>& events);

// Raw rows alone, each an INSERT of its own, prepared and committed by itself.
absl::StatusOr<absl::Duration> Autocommit(const Setting& setting,
                                          const std::vector<v1::Event>& events);

// The daemon's own transactions (position, raw rows, counters) without gRPC and journal.
absl::StatusOr<absl::Duration> InProcess(const Setting& setting,
                                         const std::vector<v1::Event>& events);

// rsyslog: the events as JSON over TCP to the port that `setting.targets` names. It is done when
// the rows are there (usage only).
absl::StatusOr<absl::Duration> Syslog(const Setting& setting, const std::vector<v1::Event>& events);

}  // namespace holdfast::bench
