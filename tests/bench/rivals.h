// The ways in which the same events are brought into the same table, each returning the time that
// it took from the first byte to the last commit.

#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "holdfast/v1/event.pb.h"
#include "server/event/kind.h"
#include "server/mysql/pool.h"

namespace holdfast::bench {

struct Setting {
  mysql::DatabaseOptions database;
  int connections = 2;
  size_t rows = 4096;
  std::string target;  // Of the daemon.
};

// Raw rows alone, one multi-row statement and one COMMIT at a time, from memory: no counters, no
// position. The fastest writer that could be written by hand.
absl::StatusOr<absl::Duration> BareBulk(const Setting& setting,
                                        const std::vector<v1::Event>& events);

// LOAD DATA LOCAL INFILE from files of 50,000 rows that lie ready on the disk (messages only).
absl::StatusOr<absl::Duration> LoadData(const Setting& setting,
                                        const std::vector<v1::Event>& events);

// The daemon's own transactions (position, raw rows, counters) without gRPC and journal.
absl::StatusOr<absl::Duration> InProcess(const Setting& setting,
                                         const std::vector<v1::Event>& events);

// Through the daemon: from the first Send to the last acknowledgement `committed`.
absl::StatusOr<absl::Duration> EndToEnd(const Setting& setting,
                                        const std::vector<v1::Event>& events);

}  // namespace holdfast::bench
