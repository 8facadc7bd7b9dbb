#include "tests/conformance/backend.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gtest/gtest.h"

#include "server/base/clock.h"
#include "server/metrics/metrics.h"
#include "server/mysql/errors.h"
#include "server/mysql/pool.h"
#include "server/statement/build.h"
#include "tests/support/fake_database.h"
#include "tests/support/mariadb_server.h"

namespace holdfast::test {
namespace {

class FakeBackend final : public Backend {
 public:
  mysql::SessionSource& sessions() override { return database_; }
  void Shorten(absl::string_view table, absl::string_view column, size_t length) override {
    FakeTable& on = database_.engine().table(table);
    on.column(on.Index(column)).length_max = length;
  }
  bool WaitForNoLock(mysql::Session&) override { return true; }

 private:
  FakeDatabase database_;
};

class RealBackend final : public Backend {
 public:
  RealBackend()
      : server_(MariaDbServer::Shared()),
        database_(server_.NewDatabase("conformance")),
        pool_(server_.Options(database_), base::SystemClock(), metrics_) {}

  mysql::SessionSource& sessions() override { return pool_; }
  void Shorten(absl::string_view table, absl::string_view column, size_t length) override {
    server_.Sql(database_, absl::StrCat("ALTER TABLE ", table, " MODIFY ", column, " VARBINARY(",
                                        length, ") NOT NULL"));
  }
  bool WaitForNoLock(mysql::Session& session) override {
    static const mysql::Statement* const set =
        statement::Fixed("session", "SET SESSION innodb_lock_wait_timeout = 0", {});
    static const mysql::Statement* const read =
        statement::Fixed("session", "SELECT @@SESSION.innodb_lock_wait_timeout", {});
    const auto done = session.Execute(*set, mysql::Rows(), 0, 1);
    const auto timeout = session.Query(*read, mysql::Rows());
    return done.ok() && timeout.ok() && timeout->at(0).at(0) == "0";
  }

 private:
  MariaDbServer& server_;
  const std::string database_;
  metrics::Metrics metrics_{"test"};
  mysql::Pool pool_;
};

absl::Status Lost() {
  mysql::DatabaseError error;
  error.error_number = 2013;
  error.verdict = flow::Verdict::kUnknown;
  return mysql::ToStatus("COMMIT", error);
}

}  // namespace

std::unique_ptr<Backend> Backend::Make(absl::string_view name) {
  if (name == "fake") return std::make_unique<FakeBackend>();
  return std::make_unique<RealBackend>();
}

std::vector<mysql::ResultRow> Backend::Read(absl::string_view table,
                                            const std::vector<std::string>& columns,
                                            absl::string_view order_by) {
  const std::unique_ptr<const mysql::Statement> statement(
      statement::Fixed(table,
                       absl::StrCat("SELECT ", absl::StrJoin(columns, ", "), " FROM ", table,
                                    " ORDER BY ", order_by),
                       {}));
  auto session = sessions().Rent(absl::InfiniteFuture());
  EXPECT_TRUE(session.ok()) << session.status();
  if (!session.ok()) return {};
  auto rows = (*session)->Query(*statement, mysql::Rows());
  EXPECT_TRUE(rows.ok()) << rows.status();
  return rows.ok() ? *std::move(rows) : std::vector<mysql::ResultRow>();
}

class Interceptor::Wire final : public mysql::Session {
 public:
  Wire(Interceptor& interceptor, mysql::Rented inner)
      : interceptor_(interceptor), inner_(std::move(inner)) {}

  absl::Status Begin() override { return inner_->Begin(); }
  void SetComment(absl::string_view comment) override { inner_->SetComment(comment); }
  absl::Status Commit() override {
    const CommitLoss loss = std::exchange(interceptor_.loss_, CommitLoss::kNone);
    if (loss == CommitLoss::kBefore) return Lost();
    const absl::Status committed = inner_->Commit();
    return loss == CommitLoss::kNone || !committed.ok() ? committed : Lost();
  }
  absl::Status Rollback() override { return inner_->Rollback(); }
  absl::StatusOr<uint64_t> Execute(const mysql::Statement& statement, const mysql::Rows& rows,
                                   size_t first, size_t count) override {
    ++interceptor_.statements_[statement.table];
    return inner_->Execute(statement, rows, first, count);
  }
  absl::StatusOr<std::vector<mysql::ResultRow>> Query(const mysql::Statement& statement,
                                                      const mysql::Rows& parameters) override {
    return inner_->Query(statement, parameters);
  }
  size_t statement_bytes_max() const override { return inner_->statement_bytes_max(); }
  bool has_bulk() const override { return inner_->has_bulk(); }

  mysql::Rented& inner() { return inner_; }
  const mysql::Rented& inner() const { return inner_; }

 private:
  Interceptor& interceptor_;
  mysql::Rented inner_;
};

absl::StatusOr<mysql::Rented> Interceptor::Rent(absl::Time deadline) {
  absl::StatusOr<mysql::Rented> inner = inner_.Rent(deadline);
  if (!inner.ok()) return inner;
  return mysql::Rented(this, std::make_unique<Wire>(*this, *std::move(inner)));
}

void Interceptor::Kill(const mysql::Session& session) {
  if (kill_works_) inner_.Kill(*static_cast<const Wire&>(session).inner());
}

void Interceptor::TakeBack(std::unique_ptr<mysql::Session> session, bool healthy) {
  if (healthy) return;
  static_cast<Wire&>(*session).inner().Condemn();
  if (!kill_works_) zombies_.push_back(std::move(session));
}

absl::Status Interceptor::EndZombies(bool commit) {
  absl::Status ended;
  for (const std::unique_ptr<mysql::Session>& zombie : zombies_) {
    mysql::Rented& session = static_cast<Wire&>(*zombie).inner();
    ended.Update(commit ? session->Commit() : session->Rollback());
  }
  zombies_.clear();
  return ended;
}

}  // namespace holdfast::test
