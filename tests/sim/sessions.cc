#include "tests/sim/sessions.h"

#include <optional>
#include <utility>

#include "server/base/check.h"
#include "server/mysql/errors.h"

namespace holdfast::sim {
namespace {

// As the client library says it of a link that is gone.
absl::Status LinkGone(bool committing) {
  mysql::DatabaseError error;
  error.error_number = 2013;
  error.sql_state = "HY000";
  error.verdict = mysql::Classify(error.error_number, error.sql_state, committing);
  return mysql::ToStatus("call", error);
}

}  // namespace

class Sessions::SimSession final : public mysql::Session {
 public:
  SimSession(Sessions& home, mysql::Rented inner) : home_(home), inner_(std::move(inner)) {
    home_.lent_[number()] = this;
  }
  ~SimSession() override { home_.lent_.erase(number()); }

  absl::Status Begin() override {
    return Call([this] { return inner_->Begin(); });
  }
  absl::Status Commit() override {
    doing_ = Doing::kCommit;
    absl::Status status = Call([this] {
      absl::Status committed = inner_->Commit();
      doing_ = Doing::kCommitted;
      return committed;
    });
    doing_ = Doing::kNothing;
    return status;
  }
  absl::Status Rollback() override {
    return Call([this] { return inner_->Rollback(); });
  }
  absl::StatusOr<uint64_t> Execute(const mysql::Statement& statement, const mysql::Rows& rows,
                                   size_t first, size_t count) override {
    absl::StatusOr<uint64_t> affected;
    const absl::Status status = Call([&] {
      affected = inner_->Execute(statement, rows, first, count);
      return affected.status();
    });
    if (!status.ok()) return status;
    return affected;
  }
  absl::StatusOr<std::vector<mysql::ResultRow>> Query(const mysql::Statement& statement,
                                                      const mysql::Rows& parameters) override {
    absl::StatusOr<std::vector<mysql::ResultRow>> rows;
    const absl::Status status = Call([&] {
      rows = inner_->Query(statement, parameters);
      return rows.status();
    });
    if (!status.ok()) return status;
    return rows;
  }
  size_t statement_bytes_max() const override { return inner_->statement_bytes_max(); }
  bool has_bulk() const override { return inner_->has_bulk(); }

  const mysql::Session& inner() const { return *inner_; }
  void Condemn() { inner_.Condemn(); }
  Doing doing() const { return doing_; }
  uint64_t number() const { return test::FakeDatabase::NumberOf(*inner_); }

 private:
  // There, done, and back: the process may end in between.
  template <typename Run>
  absl::Status Call(Run run) {
    home_.Spend();
    if (crashed()) return LinkGone(doing_ == Doing::kCommit);
    absl::Status status = run();
    home_.Count(status);
    home_.Spend();
    if (crashed()) return LinkGone(doing_ != Doing::kNothing);
    return status;
  }
  bool crashed() const {
    absl::MutexLock lock(&home_.mu_);
    return home_.crashed_;
  }

  Sessions& home_;
  mysql::Rented inner_;
  Doing doing_ = Doing::kNothing;
};

Sessions::Sessions(test::FakeDatabase& database, Scheduler& clock, Report& report, uint64_t seed,
                   int limit)
    : database_(database),
      clock_(clock),
      report_(report),
      random_(seed),
      limit_(limit),
      breaker_(flow::BreakerOptions()) {}

Sessions::~Sessions() { HOLDFAST_CHECK(lent_.empty()); }

absl::StatusOr<mysql::Rented> Sessions::Rent(absl::Time deadline) {
  {
    absl::MutexLock lock(&mu_);
    if (!clock_.AwaitWithTimeout(mu_, absl::Condition(this, &Sessions::HasRoom),
                                 deadline - clock_.Steady())) {
      return absl::DeadlineExceededError("no session became free");
    }
    if (crashed_) return LinkGone(false);
    if (breaker_.Admit(clock_.Steady()) > absl::ZeroDuration()) {
      return failure_.ok() ? LinkGone(false) : failure_;
    }
    ++rented_;
  }
  Spend();
  std::optional<absl::StatusOr<mysql::Rented>> inner(database_.Rent(deadline));
  absl::MutexLock lock(&mu_);
  failure_ = inner->status();
  if (!inner->ok()) {
    breaker_.OnFailure(clock_.Steady(), "cannot connect");
    --rented_;
    return failure_;
  }
  breaker_.OnSuccess(clock_.Steady());
  auto session = std::make_unique<SimSession>(*this, **std::move(inner));
  if (crashed_) session->Condemn();
  return mysql::Rented(this, std::move(session));
}

void Sessions::TakeBack(std::unique_ptr<mysql::Session> session, bool healthy) {
  auto& ours = static_cast<SimSession&>(*session);
  absl::MutexLock lock(&mu_);
  if (!healthy || crashed_) ours.Condemn();
  session = nullptr;
  --rented_;
}

void Sessions::Count(const absl::Status& status) {
  if (status.ok()) return;
  const std::optional<mysql::DatabaseError> error = mysql::ErrorOf(status);
  if (!error.has_value()) return;
  if (error->error_number == 1213) ++report_.deadlocks;
  if (error->error_number == 1205) ++report_.lock_waits;
  if (error->sql_state == "08S01" || error->error_number >= 2000) ++report_.connections_lost;
}

void Sessions::Kill(const mysql::Session& session) {
  {
    absl::MutexLock lock(&mu_);
    if (crashed_) return;
  }
  database_.Kill(static_cast<const SimSession&>(session).inner());
}

void Sessions::Crash() {
  {
    absl::MutexLock lock(&mu_);
    crashed_ = true;
  }
  for (const auto& [number, session] : lent_) {
    if (session->doing() == Doing::kCommitted) {
      ++report_.commit_cuts;
      ++report_.commit_cuts_done;
    }
    if (session->doing() != Doing::kCommit) {
      // The server may not see at once that the client is gone.
      database_.Orphan(number, random_.OneIn(4), /*commit_sent=*/false);
      continue;
    }
    ++report_.commit_cuts;
    if (random_.OneIn(2)) {
      // It is on its way, and arrives sooner or later, or never.
      database_.Orphan(number, random_.OneIn(2), /*commit_sent=*/true);
      if (!database_.IsOpen(number)) ++report_.commit_cuts_undone;
    } else if (database_.CommitOrphan(number)) {
      ++report_.commit_cuts_done;
    } else {
      ++report_.commit_cuts_undone;
    }
  }
  database_.ForgetIdle();
}

}  // namespace holdfast::sim
