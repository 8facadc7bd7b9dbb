// What a diagnosis has to know of the daemon's configuration.

#pragma once

#include <cstdint>
#include <string>

#include "absl/time/time.h"

#include "server/mysql/pool.h"

namespace holdfast::diagnosis {

struct Options {
  mysql::DatabaseOptions database;
  absl::Duration stats_utc_offset;
  bool hash_api_keys = false;
  bool take_rate_limits = true;    // RATE_LIMIT_MYSQL_ENABLED
  bool ack_when_journaled = true;  // RATE_LIMIT_MYSQL_ASYNC
  int lanes = 6;                   // Of all kinds together; each wants a connection.
  std::string listen;              // For messages.
  std::string journal_folder;
  uint64_t journal_bytes_max = 0;
  uint64_t journal_segment_bytes = 0;

  // Whether the daemon itself asks: then it is this process that holds the journal's folder.
  bool is_daemon = false;
};

}  // namespace holdfast::diagnosis
