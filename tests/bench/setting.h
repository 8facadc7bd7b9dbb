// What every way of bringing events into the database is told.

#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "holdfast/v1/ingest.pb.h"
#include "server/mysql/pool.h"

namespace holdfast::bench {

struct Setting {
  mysql::DatabaseOptions database;
  int connections = 2;               // Lanes, for the in-process writer.
  size_t rows = 4096;                // Of a transaction.
  std::vector<std::string> targets;  // Where the daemons listen.
  v1::AckLevel ack_level = v1::ACK_LEVEL_COMMITTED;
  double rate = 0;     // Events a second; 0 is as many as are taken.
  std::string folder;  // On the journal's disk.
};

// Runs `body(index)` on as many threads and returns the time of all together, or the first failure.
absl::StatusOr<absl::Duration> TimeThreads(size_t count,
                                           absl::FunctionRef<absl::Status(size_t)> body);

}  // namespace holdfast::bench
