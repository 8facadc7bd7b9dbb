// A rented session with a transaction open on it. However it ends, it leaves nothing behind: what
// is not committed is rolled back, also after an error that left the transaction open (a lock wait
// that timed out: a COMMIT would store half of it); and if the link is lost, the server is told to
// end what it may still be doing, so that its locks are free for the next attempt.

#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

#include "server/mysql/session.h"
#include "server/statement/build.h"

namespace holdfast::writer {

// Not thread-safe.
class Transaction final {
 public:
  // Rents a session and begins; `comment` as in mysql::Session. Errors of Rent are returned as they
  // are. `sessions` must outlive it.
  static absl::StatusOr<std::unique_ptr<Transaction>> Begin(mysql::SessionSource& sessions,
                                                            absl::Time deadline,
                                                            absl::string_view comment = {});
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  ~Transaction();

  // As the session's. An error does not end the transaction: the caller may go on after one that
  // concerned a statement alone (verdict kReject).
  absl::StatusOr<uint64_t> Execute(const mysql::Statement& statement, const mysql::Rows& rows,
                                   size_t first, size_t count);
  absl::StatusOr<std::vector<mysql::ResultRow>> Query(const statement::Call& call);

  // The time by the database's clock; by `own` if that is not known. What several daemons compare
  // with each other goes by it: the clock of one may be years off.
  absl::Time Now(absl::Time own) const { return session_->ServerTime().value_or(own); }

  // Runs all rows of `call`, in as many statements as it takes. Returns the affected rows of all.
  absl::StatusOr<uint64_t> ExecuteAll(const statement::Call& call);

  // How many rows, from `first` on, fit into one statement: at least one, at most all.
  size_t RowsThatFit(const statement::Call& call, size_t first) const;

  // On failure the transaction is rolled back, unless the outcome is unknown (verdict kUnknown).
  absl::Status Commit();

 private:
  Transaction(mysql::SessionSource& sessions, mysql::Rented session)
      : sessions_(sessions), session_(std::move(session)) {}

  void End();
  bool LinkIsLost() const;

  mysql::SessionSource& sessions_;
  mysql::Rented session_;
  absl::Status failure_;  // The last error that the session returned.
  bool is_open_ = true;
};

}  // namespace holdfast::writer
