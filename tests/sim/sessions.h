// What stands between a daemon and the fake database: a pool with a breaker, as mysql::Pool has
// them, calls that take time, and the end of the process in the middle of any of them.

#pragma once

#include <cstdint>
#include <map>
#include <memory>

#include "absl/synchronization/mutex.h"

#include "server/flow/breaker.h"
#include "server/mysql/session.h"
#include "tests/sim/report.h"
#include "tests/sim/scheduler.h"
#include "tests/support/fake_database.h"

namespace holdfast::sim {

class Sessions final : public mysql::SessionSource, private mysql::Rented::Home {
 public:
  // At most `limit` sessions at a time. The rest must outlive it.
  Sessions(test::FakeDatabase& database, Scheduler& clock, Report& report, uint64_t seed,
           int limit);
  ~Sessions() override;  // REQUIRES: every session is back.

  absl::StatusOr<mysql::Rented> Rent(absl::Time deadline) override;
  void Kill(const mysql::Session& session) override;

  // The process is gone, whatever its sessions were doing: what the server makes of their
  // transactions is up to the seed. Every later call fails.
  void Crash();

 private:
  class SimSession;
  enum class Doing { kNothing, kCommit, kCommitted };

  void TakeBack(std::unique_ptr<mysql::Session> session, bool healthy) override;
  void Count(const absl::Status& status);
  // A trip over the network.
  void Spend() { clock_.Spend(random_.ShortDuration(absl::Milliseconds(2))); }
  bool HasRoom() const ABSL_SHARED_LOCKS_REQUIRED(mu_) { return crashed_ || rented_ < limit_; }

  test::FakeDatabase& database_;
  Scheduler& clock_;
  Report& report_;
  Random random_;
  const int limit_;
  absl::Mutex mu_;
  int rented_ ABSL_GUARDED_BY(mu_) = 0;
  bool crashed_ ABSL_GUARDED_BY(mu_) = false;
  flow::Breaker breaker_;
  absl::Status failure_;                  // Of the last attempt to connect.
  std::map<uint64_t, SimSession*> lent_;  // By number: addresses would not be the same again.
};

}  // namespace holdfast::sim
