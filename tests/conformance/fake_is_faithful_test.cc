// The same random statements on the fake and on a real server, step by step: what no case of the
// other suites names must not differ either.

#include <algorithm>
#include <array>
#include <climits>
#include <random>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "server/event/event_id.h"
#include "server/mysql/errors.h"
#include "server/statement/build.h"
#include "tests/conformance/backend.h"
#include "tests/support/accepted_events.h"
#include "tests/support/status_matchers.h"

namespace holdfast::test {
namespace {

using mysql::ColumnType;

constexpr absl::string_view kTable = "holdfast_rate_limit_hits";
constexpr int kSessions = 3;
constexpr int kSteps = 1500;
constexpr int kSlowConflicts = 20;  // Where each takes a second.

unsigned NumberOf(const absl::Status& status) {
  const auto error = mysql::ErrorOf(status);
  return error.has_value() ? error->error_number : 0;
}

// Upserts of every form, on one table.
const std::array<const mysql::Statement*, 4>& Upserts() {
  // content_hash is signed here, so that a value can be out of its range.
  static const std::array columns = {statement::Column{"event_id", ColumnType::kBinary},
                                     statement::Column{"content_hash", ColumnType::kInt64},
                                     statement::Column{"batch_tag", ColumnType::kUint64},
                                     statement::Column{"occurred_at", ColumnType::kTime}};
  static const std::array<const mysql::Statement*, 4> upserts = {
      statement::Upsert(kTable, columns, {statement::KeepRow("event_id")}),
      statement::Upsert(kTable, columns, {statement::AddTo("batch_tag")}),
      statement::Upsert(kTable, columns, {statement::KeepGreatest("batch_tag")}),
      statement::Upsert(kTable, columns, {statement::Replace("content_hash")})};
  return upserts;
}

class FakeIsFaithfulTest : public ::testing::Test {
 protected:
  struct Pair {
    mysql::Rented fake;
    mysql::Rented real;
    bool in_transaction = false;
  };

  FakeIsFaithfulTest() {
    for (uint64_t i = 0; i < 12; ++i) ids_.push_back(event::EventKey(UuidOf(i)));
    for (int i = 0; i < kSessions; ++i) {
      auto fake = fake_->sessions().Rent(absl::InfiniteFuture());
      auto real = real_->sessions().Rent(absl::InfiniteFuture());
      pairs_.push_back({*std::move(fake), *std::move(real)});
      if (!real_->WaitForNoLock(*pairs_.back().real)) conflicts_wanted_ = kSlowConflicts;
    }
  }

  uint64_t Random(uint64_t below) { return random_() % below; }
  absl::string_view AnyId() { return ids_[Random(ids_.size())].view(); }

  // Whether both did the same; a list of rows in any order.
  template <typename T>
  void ExpectSame(absl::StatusOr<T> fake, absl::StatusOr<T> real) {
    ASSERT_EQ(NumberOf(fake.status()), NumberOf(real.status())) << real.status();
    conflicts_ += NumberOf(fake.status()) == 1205;
    rejections_ += !fake.ok() && mysql::VerdictOf(fake.status()) == flow::Verdict::kReject;
    if (!fake.ok()) return;
    if constexpr (!std::is_integral_v<T>) {
      std::sort(fake->begin(), fake->end());
      std::sort(real->begin(), real->end());
    }
    ASSERT_EQ(*fake, *real);
  }

  void BeginOrEnd(Pair& pair) {
    if (!pair.in_transaction) {
      ASSERT_OK(pair.fake->Begin());
      ASSERT_OK(pair.real->Begin());
    } else if (Random(3) != 0) {
      ASSERT_OK(pair.fake->Commit());
      ASSERT_OK(pair.real->Commit());
    } else {
      ASSERT_OK(pair.fake->Rollback());
      ASSERT_OK(pair.real->Rollback());
    }
    pair.in_transaction = !pair.in_transaction;
  }

  void Update(Pair& pair) {
    static const mysql::Statement* const update =
        statement::Fixed(kTable,
                         "UPDATE holdfast_rate_limit_hits SET batch_tag = batch_tag + ? "
                         "WHERE event_id = ? AND content_hash = ?",
                         {ColumnType::kUint64, ColumnType::kBinary, ColumnType::kUint64});
    mysql::Rows rows;
    rows.columns = 3;
    rows.values = {Random(3), AnyId(), Random(3)};
    ExpectSame(pair.fake->Execute(*update, rows, 0, 1), pair.real->Execute(*update, rows, 0, 1));
  }

  void Select(Pair& pair) {
    static const mysql::Statement* const select = statement::Fixed(
        kTable,
        "SELECT content_hash, batch_tag FROM holdfast_rate_limit_hits WHERE event_id IN (?,?,?)",
        {ColumnType::kBinary, ColumnType::kBinary, ColumnType::kBinary});
    mysql::Rows rows;
    rows.columns = 3;
    rows.values = {AnyId(), AnyId(), AnyId()};
    ExpectSame(pair.fake->Query(*select, rows), pair.real->Query(*select, rows));
  }

  void Insert(Pair& pair) {
    mysql::Rows rows;
    rows.columns = 4;
    for (const event::Id& id : ids_) {
      if (Random(4) != 0) continue;
      const int64_t hash = Random(20) == 0 ? -1 : static_cast<int64_t>(Random(3));
      const uint64_t tag = Random(20) == 0 ? UINT64_MAX : Random(5);
      rows.values.insert(rows.values.end(), {id.view(), hash, tag, EventTime()});
    }
    if (rows.size() == 0) return;
    const mysql::Statement& upsert = *Upserts()[Random(Upserts().size())];
    ExpectSame(pair.fake->Execute(upsert, rows, 0, rows.size()),
               pair.real->Execute(upsert, rows, 0, rows.size()));
  }

  void ExpectSameTables() {
    const std::vector<std::string> columns = {"event_id", "content_hash", "batch_tag"};
    ASSERT_EQ(fake_->Read(kTable, columns, "event_id"), real_->Read(kTable, columns, "event_id"));
  }

  const std::unique_ptr<Backend> fake_ = Backend::Make("fake");
  const std::unique_ptr<Backend> real_ = Backend::Make("real");
  std::mt19937_64 random_{20260101};
  std::vector<event::Id> ids_;
  std::vector<Pair> pairs_;
  int conflicts_wanted_ = INT_MAX;
  int conflicts_ = 0;
  int rejections_ = 0;
};

TEST_F(FakeIsFaithfulTest, StepByStep) {
  for (int step = 0; step < kSteps && conflicts_ < conflicts_wanted_; ++step) {
    if (HasFatalFailure()) return;
    SCOPED_TRACE(step);
    Pair& pair = pairs_[Random(pairs_.size())];
    switch (Random(8)) {
      case 0:
      case 1:
        BeginOrEnd(pair);
        break;
      case 2:
        Update(pair);
        break;
      case 3:
        Select(pair);
        break;
      default:
        Insert(pair);
        break;
    }
    if (step % 50 == 0) ExpectSameTables();
  }
  // Otherwise the steps would not have shown much.
  EXPECT_GE(conflicts_, std::min(conflicts_wanted_, 50));
  EXPECT_GT(rejections_, 0);
  for (Pair& pair : pairs_) {
    if (pair.in_transaction) BeginOrEnd(pair);
  }
}

}  // namespace
}  // namespace holdfast::test
