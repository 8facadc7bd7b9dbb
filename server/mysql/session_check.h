// What every new connection is told, and whether the server took it. Pure: texts out, answers in. A
// setting that is only asked for and not read back is a guess: proxies and servers drop some
// silently.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "server/mysql/pool.h"
#include "server/mysql/session.h"

namespace holdfast::mysql {

// The two families of servers, where they differ.
enum class Dialect { kMysql, kMariaDb };

// What a new connection learned of its server.
struct ServerFacts {
  std::string version;
  uint64_t connection_id = 0;
  std::string identity;   // Tells this server from any other.
  absl::Time started_at;  // By the server's clock, to a second or two.
  absl::Time asked_at;    // The same, when it was asked.
  size_t statement_bytes_max = 0;
  bool durable_commits = true;
  std::vector<std::string> warnings;

  // Whether a connection id of `other` means the same connection here: the same server, and not
  // restarted in between.
  bool IsSameServer(const ServerFacts& other) const;
};

// The statements that set a session up. Without answers.
std::vector<std::string> SetupStatements(const DatabaseOptions& options, Dialect dialect);

// The SELECT that reads back the settings, and the facts, in one row.
std::string ReadBackQuery(Dialect dialect);

// The facts, from the answer to it. An error of verdict kElsewhere if the server is read-only, of
// kOutage, naming the setting, what was asked for and what was found, if a setting was not taken.
absl::StatusOr<ServerFacts> CheckSession(const DatabaseOptions& options, Dialect dialect,
                                         const ResultRow& answers);

}  // namespace holdfast::mysql
