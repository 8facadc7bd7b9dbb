// A bounded pool of connections to the first server of a list that can write.

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"

#include "server/base/clock.h"
#include "server/flow/breaker.h"
#include "server/metrics/metrics.h"
#include "server/mysql/session.h"

namespace holdfast::mysql {

// Where a server is. Either `socket` or `host` is set.
struct Endpoint {
  std::string host;
  int port = 3306;
  std::string socket;
  std::string ToString() const;  // "host:port" or the socket's path.
};

enum class SslMode { kDisabled, kPreferred, kRequired, kVerifyCa, kVerifyIdentity };

// SQLAlchemy's words, because the gateways use them.
struct DatabaseOptions {
  std::vector<Endpoint> endpoints;  // Tried in this order. At least one.
  std::string database = "gateway_db";
  std::string user = "root";
  std::string password;
  std::string password_file;  // If set, read for every new connection instead of `password`.
  SslMode ssl_mode = SslMode::kPreferred;
  std::string ssl_ca;

  int pool_size = 10;    // Kept open.
  int max_overflow = 5;  // Opened beyond it when all are out; closed when they come back.
  absl::Duration pool_timeout = absl::Seconds(30);  // To wait for a free one.
  absl::Duration pool_recycle =
      absl::Hours(1);  // Age at which one is replaced, less up to a tenth.
  absl::Duration pre_ping_after =
      absl::Seconds(10);  // Idle time after which one is tried before use.
  absl::Duration held_too_long = absl::Seconds(60);  // Lent for longer: reported once.
  absl::Duration connect_timeout = absl::Seconds(5);
  absl::Duration query_timeout = absl::Seconds(30);  // On both sides.
  absl::Duration lock_wait_timeout = absl::Seconds(5);
  absl::Duration idle_timeout = absl::Seconds(60);   // The session's wait_timeout on the server.
  absl::Duration slow_statement = absl::Seconds(1);  // Counted and logged without values.
  std::string isolation_level = "READ COMMITTED";

  // Bind many rows to one statement where the server can (MariaDB). Off: always multi-row text.
  bool use_bulk = true;

  flow::BreakerOptions breaker;

  // OK, or InvalidArgument naming the first field at fault.
  absl::Status Validate() const;
};

// What the pool last saw of its server.
struct DatabaseStatus {
  std::string endpoint;
  std::string server_version;
  uint64_t in_use = 0;
  uint64_t idle = 0;
  uint64_t waiting = 0;               // Renters for whom there is no connection yet.
  uint64_t limit = 0;                 // The most connections at a time.
  absl::Status failure;               // Of the last attempt to connect; OK if it succeeded.
  std::vector<std::string> warnings;  // Settings under which a commit may be lost.
};

struct CircuitStatus {
  std::string name;
  flow::BreakerState state = flow::BreakerState::kClosed;
  absl::Time last_state_change;  // In the infinite past if there was none; so the next.
  int failures = 0;
  int attempts = 0;
  std::string last_failure;
  absl::Time last_failure_at = absl::InfinitePast();
  flow::BreakerOptions options;
};

// Opens connections as they are needed, never more than pool_size + max_overflow at once. A breaker
// stands before each attempt to connect. Thread-safe.
class Pool final : public SessionSource, private Rented::Home {
 public:
  // REQUIRES: options.Validate().ok(). Connects to nothing yet. The rest must outlive the pool.
  Pool(const DatabaseOptions& options, base::Clock& clock, metrics::Metrics& metrics);
  ~Pool() override;  // REQUIRES: every rented session is back.

  absl::StatusOr<Rented> Rent(absl::Time deadline) override;
  void Kill(const Session& session) override;

  // Ask now and then: it also reports connections that are held for too long.
  DatabaseStatus Status() const;
  CircuitStatus Circuit() const;
  void ResetCircuit();

  // Renters that wait give up at once, and nobody gets a session any more (UNAVAILABLE).
  void Close();

 private:
  void TakeBack(std::unique_ptr<Session> session, bool healthy) override;

  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace holdfast::mysql
