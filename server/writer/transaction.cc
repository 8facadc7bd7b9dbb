#include "server/writer/transaction.h"

#include <utility>

#include "absl/memory/memory.h"

#include "server/base/check.h"
#include "server/base/seeded_bug.h"
#include "server/base/status_macros.h"
#include "server/flow/verdict.h"
#include "server/mysql/errors.h"
#include "server/mysql/value.h"

namespace holdfast::writer {

using flow::Verdict;

absl::StatusOr<std::unique_ptr<Transaction>> Transaction::Begin(mysql::SessionSource& sessions,
                                                                absl::Time deadline,
                                                                absl::string_view comment) {
  HOLDFAST_ASSIGN_OR_RETURN(mysql::Rented session, sessions.Rent(deadline));
  session->SetComment(comment);
  if (absl::Status begun = session->Begin(); !begun.ok()) {
    session.Condemn();
    return begun;
  }
  return absl::WrapUnique(new Transaction(sessions, std::move(session)));
}

Transaction::~Transaction() {
  if (is_open_) End();
}

bool Transaction::LinkIsLost() const {
  if (failure_.ok()) return false;
  const Verdict verdict = mysql::VerdictOf(failure_);
  return verdict == Verdict::kUnknown || verdict == Verdict::kReconnect;
}

void Transaction::End() {
  if (HOLDFAST_SEEDED_BUG(kNoRollbackOnRetry) && !failure_.ok() &&
      mysql::VerdictOf(failure_) == Verdict::kRetry) {
    return;
  }
  if (!LinkIsLost() && session_->Rollback().ok()) {
    if (!failure_.ok() && mysql::VerdictOf(failure_) == Verdict::kElsewhere) session_.Condemn();
    return;
  }
  // The server's side of it may live on, with its locks, until it notices.
  sessions_.Kill(*session_);
  session_.Condemn();
}

absl::StatusOr<uint64_t> Transaction::Execute(const mysql::Statement& statement,
                                              const mysql::Rows& rows, size_t first, size_t count) {
  absl::StatusOr<uint64_t> affected = session_->Execute(statement, rows, first, count);
  if (!affected.ok()) failure_ = affected.status();
  return affected;
}

absl::StatusOr<std::vector<mysql::ResultRow>> Transaction::Query(const statement::Call& call) {
  absl::StatusOr<std::vector<mysql::ResultRow>> answer =
      session_->Query(*call.statement, call.rows);
  if (!answer.ok()) failure_ = answer.status();
  return answer;
}

size_t Transaction::RowsThatFit(const statement::Call& call, size_t first) const {
  const mysql::Statement& statement = *call.statement;
  size_t bytes = statement.head.size() + statement.tail.size();
  size_t end = first;
  while (end < call.rows.size()) {
    bytes += mysql::EstimateRowBytes(statement, call.rows, end);
    if (end > first && bytes >= session_->statement_bytes_max()) break;
    ++end;
  }
  return end - first;
}

absl::StatusOr<uint64_t> Transaction::ExecuteAll(const statement::Call& call) {
  if (!call.statement->multi_row) return Execute(*call.statement, call.rows, 0, 1);
  uint64_t affected = 0;
  for (size_t first = 0; first < call.rows.size();) {
    const size_t count = RowsThatFit(call, first);
    HOLDFAST_ASSIGN_OR_RETURN(const uint64_t more,
                              Execute(*call.statement, call.rows, first, count));
    affected += more;
    first += count;
  }
  return affected;
}

absl::Status Transaction::Commit() {
  HOLDFAST_CHECK(is_open_);
  absl::Status committed = session_->Commit();
  if (committed.ok()) {
    is_open_ = false;
    return committed;
  }
  failure_ = committed;
  is_open_ = false;
  End();
  return committed;
}

}  // namespace holdfast::writer
