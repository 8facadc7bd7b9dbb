// The database seam, twice: the fake, and a real server. The same suite runs on both, so that the
// fake does not lie.

#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

#include "server/mysql/session.h"

namespace holdfast::test {

// Tables of sql/, empty.
class Backend {
 public:
  // "fake" or "real".
  static std::unique_ptr<Backend> Make(absl::string_view name);
  virtual ~Backend() = default;

  virtual mysql::SessionSource& sessions() = 0;
  // Makes a text column take less: `length` bytes, or characters where it counts them.
  virtual void Shorten(absl::string_view table, absl::string_view column, size_t length) = 0;
  // Makes a statement that waits for a lock fail at once, on this session. Returns whether that is
  // so: a MySQL waits for a second at least.
  virtual bool WaitForNoLock(mysql::Session& session) = 0;

  // The committed rows of a table, in the order of `order_by`.
  std::vector<mysql::ResultRow> Read(absl::string_view table,
                                     const std::vector<std::string>& columns,
                                     absl::string_view order_by);
};

// Stands between a user and a source of sessions: counts statements, and loses COMMITs.
class Interceptor final : public mysql::SessionSource, private mysql::Rented::Home {
 public:
  enum class CommitLoss {
    kNone,
    kAfter,   // It happens; the answer is lost.
    kBefore,  // It is never sent; the server's side rolls back only when it is killed.
  };

  // `inner` must outlive it.
  explicit Interceptor(mysql::SessionSource& inner) : inner_(inner) {}

  absl::StatusOr<mysql::Rented> Rent(absl::Time deadline) override;
  void Kill(const mysql::Session& session) override;

  // The next COMMIT.
  void LoseCommit(CommitLoss loss) { loss_ = loss; }
  // Whether Kill reaches the server. If not, sessions whose COMMIT was lost stay, with their locks,
  // until EndZombies.
  void set_kill_works(bool works) { kill_works_ = works; }
  absl::Status EndZombies(bool commit);
  // Executes on `table` so far.
  uint64_t statements(absl::string_view table) { return statements_[std::string(table)]; }

 private:
  class Wire;
  void TakeBack(std::unique_ptr<mysql::Session> session, bool healthy) override;

  mysql::SessionSource& inner_;
  CommitLoss loss_ = CommitLoss::kNone;
  bool kill_works_ = true;
  std::map<std::string, uint64_t> statements_;
  std::vector<std::unique_ptr<mysql::Session>> zombies_;
};

}  // namespace holdfast::test
