// The client library's options for a connection, and a deadline over each call into it.

#pragma once

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "server/mysql/pool.h"

struct st_mysql;

namespace holdfast::mysql {

// The server ends a statement after query_timeout where it can; it is given this long to say so
// before the link counts as lost.
inline constexpr absl::Duration kServerSaysSo = absl::Seconds(2);

// While one lives, calls into the library from this thread end at its deadline: the library's own
// time-outs are for each read and write, and begin again with every byte that trickles in. With TLS
// the library reads a record's bytes without asking: then the deadline is looked at only between
// records, and before each of their bytes the library's time-out applies. Does not nest.
class CallDeadline final {
 public:
  explicit CallDeadline(absl::Duration timeout);
  ~CallDeadline();
  CallDeadline(const CallDeadline&) = delete;
  CallDeadline& operator=(const CallDeadline&) = delete;
};

// A handle that is not connected yet. Thread-safe, unlike the library's first call.
st_mysql* NewLink();

// Sets every option of `link` that stands in `options`. Off: reconnecting, FOUND_ROWS, several
// statements in one, LOAD DATA LOCAL.
void ConfigureLink(const DatabaseOptions& options, const Endpoint& endpoint, st_mysql* link);

// The password to log in with: what the password file holds now, less the line's end, or the
// configured one. An error names the file and what was wrong with it.
absl::StatusOr<std::string> CurrentPassword(const DatabaseOptions& options);

}  // namespace holdfast::mysql
