#include "tests/support/fake_database.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "server/base/check.h"
#include "server/mysql/errors.h"
#include "server/mysql/value.h"

namespace holdfast::test {
namespace {

constexpr unsigned kCannotConnect = 2002;
constexpr unsigned kLinkGone = 2006;

bool EndsTheLink(unsigned error_number) {
  switch (error_number) {
    case 1053:
    case 1158:
    case 1159:
    case 1160:
    case 1161:
    case 1927:
    case 4031:
      return true;
    default:
      return error_number >= 2000 && error_number <= 2999;
  }
}

// The states that matter to a verdict.
std::string StateOf(unsigned error_number) {
  if (error_number == 1213 || error_number == 1614) return "40001";
  return EndsTheLink(error_number) ? "08S01" : "HY000";
}

absl::string_view KindName(FakeCall::Kind kind) {
  switch (kind) {
    case FakeCall::Kind::kRent:
      return "connect";
    case FakeCall::Kind::kBegin:
      return "BEGIN";
    case FakeCall::Kind::kExecute:
      return "statement";
    case FakeCall::Kind::kQuery:
      return "SELECT";
    case FakeCall::Kind::kCommit:
      return "COMMIT";
    case FakeCall::Kind::kRollback:
      return "ROLLBACK";
  }
  return "call";
}

absl::Status Answer(const FakeCall& call, const SqlError& error) {
  if (error.number == 0) return absl::OkStatus();
  const bool committing = call.kind == FakeCall::Kind::kCommit;
  mysql::DatabaseError database_error;
  database_error.error_number = error.number;
  database_error.sql_state = error.sql_state;
  database_error.message = error.message;
  database_error.verdict = mysql::Classify(error.number, error.sql_state, committing);
  return mysql::ToStatus(
      absl::StrCat(KindName(call.kind), call.table.empty() ? "" : " on ", call.table),
      database_error);
}

}  // namespace

class FakeDatabase::FakeSession final : public mysql::Session {
 public:
  FakeSession(FakeDatabase& database, uint64_t number) : database_(database), number_(number) {}

  uint64_t number() const { return number_; }

  std::optional<absl::Time> ServerTime() const override {
    absl::MutexLock lock(&database_.mu_);
    return database_.server_time_;
  }

  void SetComment(absl::string_view comment) override {
    absl::MutexLock lock(&database_.mu_);
    database_.comment_ = std::string(comment);
  }

  absl::Status Begin() override {
    return database_.Do(Call(FakeCall::Kind::kBegin), false, [this](Link& link) {
      database_.mu_.AssertHeld();
      // As a server does: BEGIN ends what was before.
      if (link.transaction != 0) database_.engine_.Commit(link.transaction);
      link.transaction = database_.engine_.Begin();
      return SqlError();
    });
  }

  absl::Status Commit() override {
    return database_.Do(Call(FakeCall::Kind::kCommit), false, [this](Link& link) {
      database_.mu_.AssertHeld();
      database_.engine_.Commit(std::exchange(link.transaction, 0));
      return SqlError();
    });
  }

  absl::Status Rollback() override {
    return database_.Do(Call(FakeCall::Kind::kRollback), false, [this](Link& link) {
      database_.mu_.AssertHeld();
      database_.engine_.Rollback(std::exchange(link.transaction, 0));
      return SqlError();
    });
  }

  absl::StatusOr<uint64_t> Execute(const mysql::Statement& statement, const mysql::Rows& rows,
                                   size_t first, size_t count) override {
    HOLDFAST_CHECK(count >= 1 && (statement.multi_row || count == 1));
    HOLDFAST_CHECK(rows.columns == statement.columns.size());
    HOLDFAST_CHECK(rows.columns == 0 || first + count <= rows.size());
    FakeEngine::Answer answer;
    const absl::Status status =
        RunStatement(FakeCall::Kind::kExecute, statement, rows, first, count, &answer);
    if (!status.ok()) return status;
    return answer.affected;
  }

  absl::StatusOr<std::vector<mysql::ResultRow>> Query(const mysql::Statement& statement,
                                                      const mysql::Rows& parameters) override {
    HOLDFAST_CHECK(parameters.columns == statement.columns.size());
    FakeEngine::Answer answer;
    const absl::Status status =
        RunStatement(FakeCall::Kind::kQuery, statement, parameters, 0, 1, &answer);
    if (!status.ok()) return status;
    return std::move(answer.rows);
  }

  size_t statement_bytes_max() const override {
    absl::MutexLock lock(&database_.mu_);
    return database_.statement_bytes_max_;
  }
  bool has_bulk() const override {
    absl::MutexLock lock(&database_.mu_);
    return database_.has_bulk_;
  }

 private:
  FakeCall Call(FakeCall::Kind kind) const {
    FakeCall call;
    call.kind = kind;
    call.session = number_;
    return call;
  }

  absl::Status RunStatement(FakeCall::Kind kind, const mysql::Statement& statement,
                            const mysql::Rows& rows, size_t first, size_t count,
                            FakeEngine::Answer* answer) {
    FakeCall call = Call(kind);
    call.table = statement.table;
    call.statement = absl::StrCat(statement.head, statement.tail);
    call.rows = count;
    return database_.Do(std::move(call), kind == FakeCall::Kind::kExecute, [&](Link& link) {
      database_.mu_.AssertHeld();
      size_t bytes = statement.head.size() + statement.tail.size();
      for (size_t row = first; row < first + count; ++row) bytes += mysql::BoundRowBytes(rows, row);
      if (bytes >= database_.statement_bytes_max_) {
        return SqlError{1153, "08S01", "Got a packet bigger than 'max_allowed_packet' bytes"};
      }
      // Outside a transaction a statement is one of its own.
      const bool is_own = !database_.engine_.IsOpen(link.transaction);
      const uint64_t transaction = is_own ? database_.engine_.Begin() : link.transaction;
      *answer = database_.engine_.Run(transaction, statement, rows, first, count);
      if (is_own && answer->error.number == 0) database_.engine_.Commit(transaction);
      if (is_own) database_.engine_.Rollback(transaction);
      return answer->error;
    });
  }

  FakeDatabase& database_;
  const uint64_t number_;
};

FakeDatabase::~FakeDatabase() {
  absl::MutexLock lock(&mu_);
  HOLDFAST_CHECK(rented_ == 0);
}

absl::StatusOr<mysql::Rented> FakeDatabase::Rent(absl::Time) {
  FakeCall call;
  const absl::Status status = Do(call, false, [](Link&) { return SqlError(); });
  if (!status.ok()) return status;
  absl::MutexLock lock(&mu_);
  if (idle_.empty()) {
    idle_.push_back(std::make_unique<FakeSession>(*this, ++last_session_));
    links_[last_session_] = {};
  }
  std::unique_ptr<mysql::Session> session = std::move(idle_.back());
  idle_.pop_back();
  ++rented_;
  return mysql::Rented(this, std::move(session));
}

void FakeDatabase::set_server_time(std::optional<absl::Time> time) {
  absl::MutexLock lock(&mu_);
  server_time_ = time;
}

void FakeDatabase::TakeBack(std::unique_ptr<mysql::Session> session, bool healthy) {
  absl::MutexLock lock(&mu_);
  --rented_;
  const uint64_t number = static_cast<FakeSession&>(*session).number();
  if (healthy) {
    // One that comes home with a transaction open would hand its locks to whoever is next.
    HOLDFAST_CHECK(!engine_.IsOpen(links_.at(number).transaction));
    idle_.push_back(std::move(session));
    return;
  }
  Link& link = links_.at(number);
  // A server that sees the end of the link rolls back; one that does not has a zombie.
  if (!link.is_lost) engine_.Rollback(std::exchange(link.transaction, 0));
  if (!engine_.IsOpen(link.transaction)) links_.erase(number);
}

void FakeDatabase::Kill(const mysql::Session& session) {
  absl::MutexLock lock(&mu_);
  if (!kill_works_ || is_down_) return;
  const auto link = links_.find(static_cast<const FakeSession&>(session).number());
  if (link == links_.end()) return;
  engine_.Rollback(std::exchange(link->second.transaction, 0));
  link->second.is_lost = true;
}

absl::Status FakeDatabase::Do(FakeCall call, bool writes,
                              const std::function<SqlError(Link&)>& run) {
  std::function<FakeFault(const FakeCall&)> faults;
  {
    absl::MutexLock lock(&mu_);
    call.number = ++last_call_;
    if (!call.table.empty()) ++statements_[call.table];
    faults = faults_;
  }
  const FakeFault fault = faults ? faults(call) : FakeFault();
  absl::MutexLock lock(&mu_);
  if (call.kind == FakeCall::Kind::kRent) {
    const unsigned number = is_down_ ? kCannotConnect : fault.error_number;
    return Answer(call, {number, "HY000", "cannot connect"});
  }
  Link& link = links_.at(call.session);
  if (link.is_lost) return Answer(call, {kLinkGone, "HY000", "server has gone away"});
  if (fault.error_number != 0 && !fault.took_effect) return Answer(call, Fail(link, call, fault));
  if (writes && is_read_only_) {
    return Answer(call, {1290, "HY000", "The server is running with the --read-only option"});
  }
  SqlError error = run(link);
  if (error.number == 0 && fault.error_number != 0) error = Fail(link, call, fault);
  return Answer(call, error);
}

SqlError FakeDatabase::Fail(Link& link, const FakeCall& call, const FakeFault& fault) {
  if (fault.error_number == 1213) engine_.Rollback(std::exchange(link.transaction, 0));
  if (EndsTheLink(fault.error_number)) {
    link.is_lost = true;
    link.commit_sent = call.kind == FakeCall::Kind::kCommit;
    if (!fault.server_lives_on) engine_.Rollback(std::exchange(link.transaction, 0));
  }
  return {fault.error_number, StateOf(fault.error_number), "as the test wants it"};
}

void FakeDatabase::SetFaults(std::function<FakeFault(const FakeCall&)> faults) {
  absl::MutexLock lock(&mu_);
  faults_ = std::move(faults);
}

void FakeDatabase::FailNthCall(uint64_t nth, const FakeFault& fault) {
  absl::MutexLock lock(&mu_);
  faults_ = [number = last_call_ + nth, fault](const FakeCall& call) {
    return call.number == number ? fault : FakeFault();
  };
}

void FakeDatabase::FailNext(FakeCall::Kind kind, const FakeFault& fault) {
  SetFaults([kind, fault, done = std::make_shared<bool>(false)](const FakeCall& call) {
    if (*done || call.kind != kind) return FakeFault();
    *done = true;
    return fault;
  });
}

size_t FakeDatabase::zombies() const {
  absl::MutexLock lock(&mu_);
  size_t count = 0;
  for (const auto& [number, link] : links_) {
    if (link.is_lost && engine_.IsOpen(link.transaction)) ++count;
  }
  return count;
}

size_t FakeDatabase::EndZombies(bool commit) {
  absl::MutexLock lock(&mu_);
  size_t told_to_commit = 0;
  for (auto& [number, link] : links_) {
    if (!link.is_lost) continue;
    const uint64_t transaction = std::exchange(link.transaction, 0);
    if (engine_.IsOpen(transaction) && link.commit_sent) ++told_to_commit;
    if (commit && link.commit_sent) engine_.Commit(transaction);
    engine_.Rollback(transaction);
  }
  return told_to_commit;
}

void FakeDatabase::Orphan(uint64_t session, bool lives_on, bool commit_sent) {
  absl::MutexLock lock(&mu_);
  Link& link = links_.at(session);
  link.is_lost = true;
  link.commit_sent = commit_sent;
  if (!lives_on) engine_.Rollback(std::exchange(link.transaction, 0));
}

bool FakeDatabase::CommitOrphan(uint64_t session) {
  absl::MutexLock lock(&mu_);
  Link& link = links_.at(session);
  const bool was_open = !link.is_lost && engine_.IsOpen(link.transaction);
  link.is_lost = true;
  if (was_open) engine_.Commit(link.transaction);
  link.transaction = 0;
  return was_open;
}

uint64_t FakeDatabase::NumberOf(const mysql::Session& session) {
  return static_cast<const FakeSession&>(session).number();
}

bool FakeDatabase::IsOpen(uint64_t session) const {
  absl::MutexLock lock(&mu_);
  const auto link = links_.find(session);
  return link != links_.end() && engine_.IsOpen(link->second.transaction);
}

void FakeDatabase::ForgetIdle() {
  absl::MutexLock lock(&mu_);
  for (const std::unique_ptr<mysql::Session>& session : idle_) links_.erase(NumberOf(*session));
  idle_.clear();
}

uint64_t FakeDatabase::commits() const {
  absl::MutexLock lock(&mu_);
  return engine_.commits();
}

void FakeDatabase::set_kill_works(bool works) {
  absl::MutexLock lock(&mu_);
  kill_works_ = works;
}

void FakeDatabase::LoseAllLinks() {
  engine_.RollbackAll();
  for (auto& [number, link] : links_) link = {true, false, 0};
}

void FakeDatabase::SetDown(bool down) {
  absl::MutexLock lock(&mu_);
  is_down_ = down;
  if (down) LoseAllLinks();
}

void FakeDatabase::SetReadOnly(bool read_only) {
  absl::MutexLock lock(&mu_);
  is_read_only_ = read_only;
}

void FakeDatabase::FailOver(size_t lost_commits) {
  absl::MutexLock lock(&mu_);
  LoseAllLinks();
  engine_.UndoCommits(lost_commits);
}

void FakeDatabase::set_statement_bytes_max(size_t bytes) {
  absl::MutexLock lock(&mu_);
  statement_bytes_max_ = bytes;
}

void FakeDatabase::set_has_bulk(bool has_bulk) {
  absl::MutexLock lock(&mu_);
  has_bulk_ = has_bulk;
}

std::vector<mysql::ResultRow> FakeDatabase::Read(absl::string_view table,
                                                 const std::vector<std::string>& columns) const {
  absl::MutexLock lock(&mu_);
  return engine_.ReadCommitted(table, columns);
}

size_t FakeDatabase::Count(absl::string_view table) const { return Read(table, {}).size(); }

bool FakeDatabase::Has(absl::string_view table, absl::string_view key) const {
  absl::MutexLock lock(&mu_);
  return engine_.HasCommitted(table, {std::string(key)});
}

std::string FakeDatabase::comment() const {
  absl::MutexLock lock(&mu_);
  return comment_;
}

uint64_t FakeDatabase::calls() const {
  absl::MutexLock lock(&mu_);
  return last_call_;
}

uint64_t FakeDatabase::statements(absl::string_view table) const {
  absl::MutexLock lock(&mu_);
  const auto found = statements_.find(std::string(table));
  return found == statements_.end() ? 0 : found->second;
}

}  // namespace holdfast::test
