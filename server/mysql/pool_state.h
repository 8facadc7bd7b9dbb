// The inside of Pool. Included by pool.cc and pool_state.cc alone.

#pragma once

#include <deque>
#include <memory>
#include <random>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

#include "server/base/clock.h"
#include "server/metrics/metrics.h"
#include "server/mysql/connection.h"
#include "server/mysql/connector.h"
#include "server/mysql/kill_list.h"
#include "server/mysql/pool.h"

namespace holdfast::mysql {

// A connection is idle, lent, or moving: being opened, tried or closed by the one thread that has
// it.
struct Pool::State {
  // What the pool knows of a connection, wherever it is.
  struct Member {
    size_t endpoint = 0;
    absl::Time recycle_at;
    absl::Time idle_since;
    absl::Time lent_at;
    bool is_lent = false;
    bool reported = false;  // As held for too long.
    bool kill_asked = false;
  };

  struct Waiter {
    State* state;
    bool IsServed() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(state->mu) {
      return state->closed || (state->waiters.front() == this && state->HasRoom());
    }
  };

  State(const DatabaseOptions& given, base::Clock& its_clock, metrics::Metrics& its_metrics)
      : options(given),
        clock(its_clock),
        metrics(its_metrics),
        connector(options, clock, metrics),
        kills(2 * options.idle_timeout),
        random(std::random_device{}()) {}

  int limit() const { return options.pool_size + options.max_overflow; }
  int total() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    return static_cast<int>(idle.size()) + lent + moving;
  }
  bool HasRoom() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    return !idle.empty() || total() < limit();
  }

  // Waits until it is this thread's turn, and takes the place of one connection, which counts as
  // moving from then on: an idle connection, or nullptr, that is, one to be opened.
  absl::StatusOr<std::unique_ptr<Connection>> AwaitPlace(absl::Time deadline);
  // REQUIRES: HasRoom().
  std::unique_ptr<Connection> TakePlace() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);

  // Makes a connection of the place that was taken: `candidate` if it is still good, else a new
  // one. Kills first what is to be killed on that server. Keeps the place on success, gives it up
  // on failure.
  absl::StatusOr<std::unique_ptr<Connection>> Prepare(std::unique_ptr<Connection> candidate,
                                                      absl::Time deadline);

  // Back among the idle ones, or closed. REQUIRES: its place counts as moving.
  void PutBack(std::unique_ptr<Connection> connection, bool healthy);

  // Takes all that are idle, to be closed. Their places count as moving from then on.
  std::vector<std::unique_ptr<Connection>> TakeIdle() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);
  // Closes them and gives up their places. Not under the lock: it talks to the server.
  void Close(std::vector<std::unique_ptr<Connection>> connections) ABSL_LOCKS_EXCLUDED(mu);

  void ReportHeldTooLong() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);
  void ShowCounts() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);

  // Steps of the above.
  absl::StatusOr<std::unique_ptr<Connection>> OpenNew(absl::Time deadline);
  bool IsUsable(Connection& connection);
  void RunKills(Connection& connection);
  void Forget(std::unique_ptr<Connection> connection);
  void GiveUpPlace();
  bool Keeps(const Connection& connection, const Member& member) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);

  const DatabaseOptions options;
  base::Clock& clock;
  metrics::Metrics& metrics;

  Connector connector;  // Has its own lock, which is taken inside of `mu`.

  absl::Mutex mu;
  std::deque<std::unique_ptr<Connection>> idle ABSL_GUARDED_BY(mu);  // The last one is used first.
  std::deque<Waiter*> waiters ABSL_GUARDED_BY(mu);
  absl::flat_hash_map<const Connection*, Member> members ABSL_GUARDED_BY(mu);
  int lent ABSL_GUARDED_BY(mu) = 0;
  int moving ABSL_GUARDED_BY(mu) = 0;
  bool closed ABSL_GUARDED_BY(mu) = false;
  absl::Time trusted_since ABSL_GUARDED_BY(mu) = absl::InfinitePast();
  KillList kills ABSL_GUARDED_BY(mu);
  std::minstd_rand random ABSL_GUARDED_BY(mu);
};

}  // namespace holdfast::mysql
