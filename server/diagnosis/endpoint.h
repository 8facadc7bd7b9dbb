// The way to one server: its name, its address, TLS, the login. Each is a check of its own, so that
// the step that fails is named.

#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"

#include "server/base/clock.h"
#include "server/diagnosis/findings.h"
#include "server/diagnosis/network.h"
#include "server/metrics/metrics.h"
#include "server/mysql/connection.h"
#include "server/mysql/pool.h"

namespace holdfast::diagnosis {

// What was seen on the way, as far as it went.
struct EndpointFacts {
  mysql::Endpoint endpoint;
  absl::Status resolved;
  std::vector<std::string> addresses;  // None for a Unix socket.
  absl::Status password;               // Why it cannot be read.
  absl::Status login;                  // Why nobody logged in.
  std::optional<Dialed> dialed;        // Set where login failed before the server said a word.
  std::string tls;                     // Version and cipher in use; empty without.
  bool is_read_only = false;
};

struct Visit {
  EndpointFacts facts;
  std::unique_ptr<mysql::Connection> connection;  // Null if nobody logged in. Not set up.
};

// Ends within twice the connect timeout and a name's resolution, which gets as long. All that is
// given must outlive the connection.
Visit VisitEndpoint(const mysql::Endpoint& endpoint, const mysql::DatabaseOptions& options,
                    absl::Time deadline, base::Clock& clock, metrics::Metrics& metrics);

// Where `is_spare`, another server of the list does the work: what fails here is a warning.
void JudgeEndpoint(const EndpointFacts& facts, const mysql::DatabaseOptions& options, bool is_spare,
                   Findings* findings);

}  // namespace holdfast::diagnosis
