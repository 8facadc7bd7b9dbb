// A database in memory behind the seam mysql::SessionSource, for tests and simulations: it runs the
// very statements of the room `statement`, and does whatever a bad day does. Held to the same suite
// as a real server: tests/conformance/.
//
// Deterministic, without threads or time of its own.

#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

#include "server/mysql/session.h"
#include "tests/support/fake_engine.h"

namespace holdfast::test {

// A call that reaches the database.
struct FakeCall {
  enum class Kind { kRent, kBegin, kExecute, kQuery, kCommit, kRollback };
  Kind kind = Kind::kRent;
  uint64_t number = 0;    // From 1, over all calls of all sessions.
  uint64_t session = 0;   // From 1; 0 for a Rent.
  std::string table;      // Of an Execute or a Query.
  std::string statement;  // Its text without the rows.
  size_t rows = 0;
};

// What goes wrong with it. Numbers of a lost link (2013, 2006, 1927, ...) end the session.
struct FakeFault {
  unsigned error_number = 0;     // 0: nothing does.
  bool took_effect = false;      // The call did its work; only its answer is lost.
  bool server_lives_on = false;  // With a lost link: the transaction stays open with its locks,
                                 // until Kill, EndZombies or a restart.
};

// Thread-safe, but for engine().
class FakeDatabase final : public mysql::SessionSource, private mysql::Rented::Home {
 public:
  FakeDatabase() = default;
  ~FakeDatabase() override;  // REQUIRES: every rented session is back.

  absl::StatusOr<mysql::Rented> Rent(absl::Time deadline) override;
  void Kill(const mysql::Session& session) override;

  // Asked before every call. Called without a lock; must be thread-safe if the sessions' users are
  // many.
  void SetFaults(std::function<FakeFault(const FakeCall&)> faults);
  // The `nth` next call fails so (1: the next one), whatever it is; replaces SetFaults.
  void FailNthCall(uint64_t nth, const FakeFault& fault);
  // The next call of that kind fails so, once; replaces SetFaults.
  void FailNext(FakeCall::Kind kind, const FakeFault& fault);

  // Transactions whose sessions are gone and that still hold locks.
  size_t zombies() const;
  // `commit`: those that were told to COMMIT do; the others roll back in any case. Returns how many
  // were told to.
  size_t EndZombies(bool commit);
  // The client of a session is gone. Its transaction rolls back, or (`lives_on`) stays open until it
  // is killed or EndZombies; `commit_sent`: it was told to COMMIT before.
  void Orphan(uint64_t session, bool lives_on, bool commit_sent);
  // The same, and the COMMIT that it sent takes effect now. False if there was nothing to commit.
  bool CommitOrphan(uint64_t session);
  // The number of a session that is rented, as in FakeCall.
  static uint64_t NumberOf(const mysql::Session& session);
  // Whether a session's transaction is open.
  bool IsOpen(uint64_t session) const;
  // Nobody comes back for the sessions that are not rented.
  void ForgetIdle();
  // Commits so far, of what changed something.
  uint64_t commits() const;

  // Kill reaches the server (it does not if a network is in between, or it is another server).
  void set_kill_works(bool works);

  // Nothing can connect; what was connected is lost, and what was not committed.
  void SetDown(bool down);
  // Every writing statement fails with 1290.
  void SetReadOnly(bool read_only);
  // A failover to a server that lacks the last `lost_commits`; sessions are lost.
  void FailOver(size_t lost_commits);

  // What the server's clock shows; nullopt: nobody asked it.
  void set_server_time(std::optional<absl::Time> time);

  // As max_allowed_packet and the kind of the server decide.
  void set_statement_bytes_max(size_t bytes);
  void set_has_bulk(bool has_bulk);

  // The committed rows of a table in the order of their primary key, as a server would send them.
  std::vector<mysql::ResultRow> Read(absl::string_view table,
                                     const std::vector<std::string>& columns) const;
  size_t Count(absl::string_view table) const;
  // Whether there is a committed row whose primary key is this one value, of bytes.
  bool Has(absl::string_view table, absl::string_view key) const;

  uint64_t calls() const;
  // Statements on `table` that were tried.
  uint64_t statements(absl::string_view table) const;

  // The comment of the last transaction that was begun.
  std::string comment() const;

  // For what the rest does not offer: changing columns' limits, dropping tables, editing rows.
  FakeEngine& engine() ABSL_NO_THREAD_SAFETY_ANALYSIS { return engine_; }

 private:
  class FakeSession;
  friend class FakeSession;
  struct Link {
    bool is_lost = false;
    bool commit_sent = false;  // A zombie that may yet commit.
    uint64_t transaction = 0;  // 0: none.
  };

  void TakeBack(std::unique_ptr<mysql::Session> session, bool healthy) override;

  // One call of a session: asks for a fault, runs `run` unless it forbids, and says what came of
  // it.
  absl::Status Do(FakeCall call, bool writes, const std::function<SqlError(Link&)>& run);
  SqlError Fail(Link& link, const FakeCall& call, const FakeFault& fault)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void LoseAllLinks() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  mutable absl::Mutex mu_;
  FakeEngine engine_ ABSL_GUARDED_BY(mu_);
  std::map<uint64_t, Link> links_ ABSL_GUARDED_BY(mu_);
  std::vector<std::unique_ptr<mysql::Session>> idle_ ABSL_GUARDED_BY(mu_);
  std::function<FakeFault(const FakeCall&)> faults_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, uint64_t> statements_ ABSL_GUARDED_BY(mu_);
  std::string comment_ ABSL_GUARDED_BY(mu_);
  uint64_t last_session_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t last_call_ ABSL_GUARDED_BY(mu_) = 0;
  size_t rented_ ABSL_GUARDED_BY(mu_) = 0;
  bool is_down_ ABSL_GUARDED_BY(mu_) = false;
  bool is_read_only_ ABSL_GUARDED_BY(mu_) = false;
  bool kill_works_ ABSL_GUARDED_BY(mu_) = true;
  bool has_bulk_ ABSL_GUARDED_BY(mu_) = true;
  size_t statement_bytes_max_ ABSL_GUARDED_BY(mu_) = size_t{15} << 20;
  std::optional<absl::Time> server_time_ ABSL_GUARDED_BY(mu_);
};

}  // namespace holdfast::test
