// The same random transactions on the fake and on a real server, with the statements that the
// writer uses: the lane's row by compare-and-set, raw rows, counters; several sessions in each
// other's way; connections that are killed, COMMITs whose answer is lost.

#include <algorithm>
#include <array>
#include <climits>
#include <optional>
#include <random>

#include "absl/strings/numbers.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "server/event/event_id.h"
#include "server/mysql/errors.h"
#include "server/statement/build.h"
#include "server/statement/lane_position.h"
#include "tests/conformance/backend.h"
#include "tests/support/accepted_events.h"
#include "tests/support/status_matchers.h"

namespace holdfast::test {
namespace {

using mysql::ColumnType;
using statement::LaneRow;

constexpr int kSessions = 3;
constexpr int kSteps = 1200;
constexpr int kSlowConflicts = 20;  // Where each takes a second.
constexpr absl::Duration kGoneWithin = absl::Seconds(20);

unsigned NumberOf(const absl::Status& status) {
  const auto error = mysql::ErrorOf(status);
  return error.has_value() ? error->error_number : 0;
}

class TransactionsAreAlikeTest : public ::testing::Test {
 protected:
  struct Pair {
    std::optional<mysql::Rented> fake;
    std::optional<mysql::Rented> real;
    uint64_t connection_id = 0;  // Of the real one.
    bool in_transaction = false;
  };

  TransactionsAreAlikeTest() : pairs_(kSessions) {
    for (Pair& pair : pairs_) Connect(pair);
  }

  uint64_t Random(uint64_t below) { return random_() % below; }
  statement::LaneKey AnyLane() {
    constexpr std::array<absl::string_view, 2> kLanes = {"usage-0", "usage-1"};
    return {"writer", kLanes[Random(2)]};
  }

  void Connect(Pair& pair) {
    pair.in_transaction = false;
    auto fake = fake_->sessions().Rent(absl::InfiniteFuture());
    auto real = real_->sessions().Rent(absl::InfiniteFuture());
    ASSERT_OK(fake);
    ASSERT_OK(real);
    pair.fake.emplace(*std::move(fake));
    pair.real.emplace(*std::move(real));
    if (!real_->WaitForNoLock(**pair.real)) conflicts_wanted_ = kSlowConflicts;
    static const mysql::Statement* const ask =
        statement::Fixed("session", "SELECT CONNECTION_ID()", {});
    const auto answer = (*pair.real)->Query(*ask, mysql::Rows());
    ASSERT_OK(answer);
    ASSERT_TRUE(absl::SimpleAtoi(*answer->at(0).at(0), &pair.connection_id));
  }

  // Whether both did the same.
  template <typename T>
  void ExpectSame(const absl::StatusOr<T>& fake, const absl::StatusOr<T>& real) {
    ASSERT_EQ(NumberOf(fake.status()), NumberOf(real.status())) << real.status();
    conflicts_ += NumberOf(fake.status()) == 1205;
    if (fake.ok()) {
      ASSERT_EQ(*fake, *real);
    }
  }

  void Run(Pair& pair, const statement::Call& call) {
    const size_t rows = std::max<size_t>(call.rows.size(), 1);
    ExpectSame((*pair.fake)->Execute(*call.statement, call.rows, 0, rows),
               (*pair.real)->Execute(*call.statement, call.rows, 0, rows));
  }

  void BeginOrEnd(Pair& pair) {
    if (!pair.in_transaction) {
      ASSERT_OK((*pair.fake)->Begin());
      ASSERT_OK((*pair.real)->Begin());
    } else if (Random(3) != 0) {
      ASSERT_OK((*pair.fake)->Commit());
      ASSERT_OK((*pair.real)->Commit());
    } else {
      ASSERT_OK((*pair.fake)->Rollback());
      ASSERT_OK((*pair.real)->Rollback());
    }
    pair.in_transaction = !pair.in_transaction;
  }

  void EnsureLane(Pair& pair) {
    Run(pair, statement::EnsureLane(AnyLane(), journal_, EventTime()));
  }

  void LockLane(Pair& pair) {
    const statement::Call call = statement::LockLane(AnyLane());
    const auto fake = (*pair.fake)->Query(*call.statement, call.rows);
    ExpectSame(fake, (*pair.real)->Query(*call.statement, call.rows));
    if (!fake.ok() || fake->empty()) return;
    const absl::StatusOr<LaneRow> row = statement::ReadLane(fake->front());
    ASSERT_OK(row);
    seen_ = *row;
  }

  void TakeLane(Pair& pair) {
    LaneRow row = seen_;
    ++row.epoch;
    Run(pair, statement::TakeLane(AnyLane(), row, EventTime()));
  }

  // From where the lane was when it was last seen, which may be long ago.
  void MoveLane(Pair& pair) {
    const uint64_t events = 1 + Random(3);
    Run(pair, statement::MoveLane(AnyLane(), seen_, seen_.position + events + Random(2), events,
                                  EventTime()));
  }

  void AddToCounters(Pair& pair) {
    static constexpr std::array kColumns = {statement::Column{"identifier", ColumnType::kText},
                                            statement::Column{"window_type", ColumnType::kText},
                                            statement::Column{"route_path", ColumnType::kText},
                                            statement::Column{"request_count", ColumnType::kInt64},
                                            statement::Column{"window_start", ColumnType::kTime},
                                            statement::Column{"window_end", ColumnType::kTime}};
    static const mysql::Statement* const add = statement::Upsert(
        "rate_limit_records", kColumns,
        {statement::AddTo("request_count"), statement::KeepGreatest("window_end")});
    static constexpr std::array<absl::string_view, 5> kNames = {"a", "b", "b ", "B", "c"};
    const absl::Time start = absl::FromUnixSeconds(1767225600);
    statement::Call call;
    call.statement = add;
    call.rows.columns = kColumns.size();
    for (const absl::string_view name : kNames) {
      if (Random(3) == 0) continue;
      call.rows.values.insert(
          call.rows.values.end(),
          {name, absl::string_view("minute"), absl::string_view(""),
           static_cast<int64_t>(Random(3)), start, start + absl::Minutes(Random(3))});
    }
    if (call.rows.size() > 0) Run(pair, call);
  }

  // The connection is killed, whatever it was doing, and another takes its place.
  void Cut(Pair& pair) {
    fake_->sessions().Kill(**pair.fake);
    real_->sessions().Kill(**pair.real);
    EXPECT_FALSE((*pair.fake)->Commit().ok() && (*pair.real)->Commit().ok());
    pair.fake->Condemn();
    pair.real->Condemn();
    const uint64_t id = pair.connection_id;
    pair.fake.reset();
    pair.real.reset();
    Connect(pair);
    ++cuts_;
    WaitUntilGone(pair, id);
  }

  // The server rolls back after the client has heard of it.
  void WaitUntilGone(Pair& pair, uint64_t connection_id) {
    static const mysql::Statement* const ask = statement::Fixed(
        "session", "SELECT COUNT(*) FROM information_schema.processlist WHERE id = ?",
        {ColumnType::kUint64});
    mysql::Rows rows;
    rows.columns = 1;
    rows.values = {connection_id};
    const absl::Time deadline = absl::Now() + kGoneWithin;
    while (absl::Now() < deadline) {
      const auto answer = (*pair.real)->Query(*ask, rows);
      ASSERT_OK(answer);
      if (answer->at(0).at(0) == "0") return;
    }
    FAIL() << "connection " << connection_id << " does not end";
  }

  // A COMMIT that took effect and whose answer never came.
  void LoseAnswer(Pair& pair) {
    if (!pair.in_transaction) return;
    ASSERT_OK((*pair.fake)->Commit());
    ASSERT_OK((*pair.real)->Commit());
    Cut(pair);
  }

  void ExpectSameTables() {
    for (const auto& [table, columns, order] :
         {std::tuple<std::string, std::vector<std::string>, std::string>{
              "holdfast_lanes",
              {"lane", "epoch", "position", "committed", "duplicate", "quarantined", "adjusted"},
              "lane"},
          {"rate_limit_records", {"identifier", "request_count", "window_end"}, "identifier"}}) {
      ASSERT_EQ(fake_->Read(table, columns, order), real_->Read(table, columns, order)) << table;
    }
  }

  void Step(Pair& pair) {
    const uint64_t at = Random(40);
    if (at < 10) return BeginOrEnd(pair);
    if (at < 14) return EnsureLane(pair);
    if (at < 20) return LockLane(pair);
    if (at < 23) return TakeLane(pair);
    if (at < 29) return MoveLane(pair);
    if (at < 38) return AddToCounters(pair);
    return at == 38 ? Cut(pair) : LoseAnswer(pair);
  }

  const std::unique_ptr<Backend> fake_ = Backend::Make("fake");
  const std::unique_ptr<Backend> real_ = Backend::Make("real");
  const event::Id journal_ = event::EventKey("journal");
  std::mt19937_64 random_{20260102};
  LaneRow seen_;
  std::vector<Pair> pairs_;
  int conflicts_wanted_ = INT_MAX;
  int conflicts_ = 0;
  int cuts_ = 0;
};

TEST_F(TransactionsAreAlikeTest, StepByStep) {
  for (int step = 0; step < kSteps && conflicts_ < conflicts_wanted_; ++step) {
    if (HasFatalFailure()) return;
    SCOPED_TRACE(step);
    Step(pairs_[Random(pairs_.size())]);
    if (step % 50 == 0) ExpectSameTables();
  }
  // Otherwise the steps would not have shown much.
  EXPECT_GE(conflicts_, std::min(conflicts_wanted_, 50));
  EXPECT_GT(cuts_, conflicts_wanted_ == INT_MAX ? 10 : 0);
  EXPECT_GT(seen_.epoch + seen_.position, 0u);
  for (Pair& pair : pairs_) {
    if (pair.in_transaction) BeginOrEnd(pair);
  }
  ExpectSameTables();
}

}  // namespace
}  // namespace holdfast::test
