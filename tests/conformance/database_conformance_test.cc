// What the writer relies on from a database, asked of the fake and of a real server.

#include <array>
#include <limits>
#include <optional>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "server/event/event_id.h"
#include "server/mysql/errors.h"
#include "server/statement/batch.h"
#include "server/statement/housekeeping.h"
#include "server/statement/lane_position.h"
#include "server/statement/quarantine.h"
#include "tests/conformance/backend.h"
#include "tests/support/accepted_events.h"
#include "tests/support/status_matchers.h"

namespace holdfast {
namespace {

using namespace std::string_literals;
using mysql::ColumnType;
using statement::Call;
using statement::Column;
using test::UuidOf;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

unsigned NumberOf(const absl::Status& status) {
  const auto error = mysql::ErrorOf(status);
  return error.has_value() ? error->error_number : 0;
}

MATCHER_P(FailsWith, number, "") {
  *result_listener << test::StatusOf(arg).ToString();
  return NumberOf(test::StatusOf(arg)) == static_cast<unsigned>(number);
}

class DatabaseTest : public ::testing::TestWithParam<const char*> {
 protected:
  mysql::Rented Rent() {
    auto session = backend_->sessions().Rent(absl::InfiniteFuture());
    EXPECT_OK(session);
    return *std::move(session);
  }
  static absl::StatusOr<uint64_t> Run(mysql::Rented& session, const Call& call) {
    return session->Execute(*call.statement, call.rows, 0,
                            call.statement->multi_row ? call.rows.size() : 1);
  }
  // Rows of holdfast_rate_limit_hits: narrow, with a binary key.
  Call Hits(const std::vector<uint64_t>& ids, uint64_t tag = 1) {
    static const std::array columns = {
        Column{"event_id", ColumnType::kBinary}, Column{"content_hash", ColumnType::kUint64},
        Column{"batch_tag", ColumnType::kUint64}, Column{"occurred_at", ColumnType::kTime}};
    static const mysql::Statement* const statement =
        statement::Upsert("holdfast_rate_limit_hits", columns, {statement::KeepRow("event_id")});
    Call call;
    call.statement = statement;
    call.rows.columns = columns.size();
    for (const uint64_t id : ids) {
      keys_.push_back(std::make_unique<event::Id>(event::EventKey(UuidOf(id))));
      call.rows.values.insert(call.rows.values.end(),
                              {keys_.back()->view(), id * 10, tag, test::EventTime()});
    }
    return call;
  }
  // A row of rate_limit_records, by the statement for hits or for what was observed.
  Call Count(absl::string_view identifier, int64_t count, bool observed = false) {
    test::AcceptedEvents& events = *events_.emplace_back(std::make_unique<test::AcceptedEvents>());
    events.Add(observed ? test::ObservedOf(identifier, count) : test::HitsOf(identifier, count));
    batches_.push_back(statement::Batch::Make(event::Kind::kRateLimit, events.all(), {}));
    return batches_.back()->Counters().at(0);
  }
  std::string CountOf(absl::string_view identifier) {
    for (const auto& row :
         backend_->Read("rate_limit_records", {"identifier", "request_count"}, "identifier")) {
      if (*row[0] == identifier) return *row[1];
    }
    return "none";
  }

  const std::unique_ptr<test::Backend> backend_ = test::Backend::Make(GetParam());
  std::vector<std::unique_ptr<event::Id>> keys_;
  std::vector<std::unique_ptr<test::AcceptedEvents>> events_;
  std::vector<std::unique_ptr<statement::Batch>> batches_;
};

INSTANTIATE_TEST_SUITE_P(On, DatabaseTest, ::testing::Values("fake", "real"),
                         [](const auto& name) { return name.param; });

TEST_P(DatabaseTest, TheNoOpUpsertReportsTheRowsThatAreReallyNew) {
  auto session = Rent();
  EXPECT_THAT(Run(session, Hits({1, 2, 3})), test::IsOk());
  const auto affected = Run(session, Hits({2, 3, 4, 5}, /*tag=*/2));
  ASSERT_OK(affected);
  EXPECT_EQ(*affected, 2u);
  const auto rows =
      backend_->Read("holdfast_rate_limit_hits", {"batch_tag", "content_hash"}, "content_hash");
  ASSERT_THAT(rows, SizeIs(5));
  EXPECT_EQ(*rows[1][0], "1") << "the row that was there stays as it was";
  EXPECT_EQ(*rows[3][0], "2");
}

TEST_P(DatabaseTest, ARowTwiceInOneStatementIsInsertedOnce) {
  auto session = Rent();
  const auto affected = Run(session, Hits({7, 7, 8}));
  ASSERT_OK(affected);
  EXPECT_EQ(*affected, 2u);
}

TEST_P(DatabaseTest, AStatementThatIsRejectedLeavesNothingOfItselfAndTheTransactionGoesOn) {
  backend_->Shorten("rate_limit_records", "identifier", 8);
  auto session = Rent();
  ASSERT_OK(session->Begin());
  ASSERT_OK(Run(session, Hits({1})));
  Call two = Count("user:1", 1);
  const Call too_long = Count("user:too-long", 1);
  two.rows.values.insert(two.rows.values.end(), too_long.rows.values.begin(),
                         too_long.rows.values.end());
  const absl::Status rejected = Run(session, two).status();
  EXPECT_THAT(rejected, FailsWith(1406));
  EXPECT_EQ(mysql::VerdictOf(rejected), flow::Verdict::kReject);
  EXPECT_EQ(mysql::ErrorOf(rejected)->column(), "identifier");
  ASSERT_OK(Run(session, Count("user:2", 1)));
  ASSERT_OK(session->Commit());
  EXPECT_EQ(CountOf("user:1"), "none");
  EXPECT_EQ(CountOf("user:2"), "1");
  EXPECT_THAT(backend_->Read("holdfast_rate_limit_hits", {"event_id"}, "event_id"), SizeIs(1));
}

TEST_P(DatabaseTest, CountersAddKeepTheGreatestAndRefuseToOverflow) {
  auto session = Rent();
  ASSERT_OK(Run(session, Count("user:1", 5)));
  ASSERT_OK(Run(session, Count("user:1", 7)));
  EXPECT_EQ(CountOf("user:1"), "12");
  ASSERT_OK(Run(session, Count("user:1", 3, /*observed=*/true)));
  EXPECT_EQ(CountOf("user:1"), "12");
  const int64_t greatest = std::numeric_limits<int64_t>::max();
  ASSERT_OK(Run(session, Count("user:1", greatest, /*observed=*/true)));
  EXPECT_EQ(CountOf("user:1"), absl::StrCat(greatest));
  ASSERT_OK(Run(session, Count("user:1", greatest)));
  const absl::Status overflow = Run(session, Count("user:1", 2)).status();
  EXPECT_EQ(mysql::VerdictOf(overflow), flow::Verdict::kReject) << overflow;
  EXPECT_THAT(overflow, FailsWith(1690));
  EXPECT_EQ(CountOf("user:1"), absl::StrCat(UINT64_MAX - 1));
}

TEST_P(DatabaseTest, APlainSelectShowsTheOldValueWhileALockingOneWaits) {
  const event::Id journal = event::EventKey("journal");
  const statement::LaneKey key = {"writer", "usage-0"};
  auto holder = Rent();
  ASSERT_OK(Run(holder, statement::EnsureLane(key, journal, test::EventTime())));
  ASSERT_OK(holder->Begin());
  statement::LaneRow from;
  from.journal_id = journal;
  const auto moved = Run(holder, statement::MoveLane(key, from, 7, 5, test::EventTime()));
  ASSERT_OK(moved);
  EXPECT_EQ(*moved, 1u);

  EXPECT_EQ(*backend_->Read("holdfast_lanes", {"position"}, "lane")[0][0], "0");
  auto other = Rent();
  ASSERT_OK(other->Begin());
  const Call lock = statement::LockLane(key);
  EXPECT_THAT(other->Query(*lock.statement, lock.rows), FailsWith(1205));
  EXPECT_THAT(Run(other, statement::MoveLane(key, from, 7, 5, test::EventTime())), FailsWith(1205));
  ASSERT_OK(holder->Commit());

  const auto answer = other->Query(*lock.statement, lock.rows);
  ASSERT_OK(answer);
  ASSERT_THAT(*answer, SizeIs(1));
  const auto row = statement::ReadLane(answer->front());
  ASSERT_OK(row);
  EXPECT_EQ(row->journal_id, journal);
  EXPECT_EQ(row->position, 7u);
  EXPECT_EQ(row->committed, 5u);
  EXPECT_EQ(row->adjusted, 2);
  const auto again = Run(other, statement::MoveLane(key, from, 7, 5, test::EventTime()));
  ASSERT_OK(again);
  EXPECT_EQ(*again, 0u);
  ASSERT_OK(other->Rollback());
}

TEST_P(DatabaseTest, AfterALockWaitTheTransactionIsStillOpenAndMustBeRolledBack) {
  auto holder = Rent();
  ASSERT_OK(holder->Begin());
  ASSERT_OK(Run(holder, Hits({1})));
  auto other = Rent();
  ASSERT_OK(other->Begin());
  ASSERT_OK(Run(other, Hits({2})));
  EXPECT_THAT(Run(other, Hits({1})), FailsWith(1205)) << "it is there, uncommitted";
  ASSERT_OK(other->Commit());
  EXPECT_THAT(backend_->Read("holdfast_rate_limit_hits", {"content_hash"}, "content_hash"),
              ElementsAre(ElementsAre("20")))
      << "a COMMIT would store half of it";
  ASSERT_OK(holder->Rollback());
  ASSERT_OK(other->Begin());
  EXPECT_EQ(*Run(other, Hits({1})), 1u);
  ASSERT_OK(other->Rollback());
  EXPECT_THAT(backend_->Read("holdfast_rate_limit_hits", {"content_hash"}, "content_hash"),
              SizeIs(1));
}

TEST_P(DatabaseTest, KillEndsATransactionAndItsLocks) {
  auto holder = Rent();
  ASSERT_OK(holder->Begin());
  ASSERT_OK(Run(holder, Hits({1})));
  backend_->sessions().Kill(*holder);
  holder.Condemn();
  auto other = Rent();
  absl::StatusOr<uint64_t> affected = Run(other, Hits({1}));
  // A server may take a moment to roll back.
  for (int i = 0; i < 10 && !affected.ok(); ++i) affected = Run(other, Hits({1}));
  ASSERT_OK(affected);
  EXPECT_EQ(*affected, 1u);
  EXPECT_FALSE(Run(holder, Hits({2})).ok());
}

TEST_P(DatabaseTest, ValuesComeBackAsTheyWere) {
  auto session = Rent();
  test::AcceptedEvents& events = *events_.emplace_back(std::make_unique<test::AcceptedEvents>());
  v1::Event event = test::MessageOf("m-1 ", "quotes ' \" \\ zero \0 smile \xF0\x9F\x98\x80 %_"s);
  event.mutable_message()->set_story_id("");
  events.Add(event);
  events.Add(test::MessageOf("m-1"));
  events.Add(test::MessageOf("M-1"));
  const auto batch = statement::Batch::Make(event::Kind::kMessage, events.all(), {});
  EXPECT_EQ(*Run(session, batch->raw()), 3u) << "keys are bytes";
  const auto rows = backend_->Read("message",
                                   {"ig_message_id", "text", "story_id", "ad_id", "conversation_id",
                                    "timestamp_ms", "created_at"},
                                   "ig_message_id");
  ASSERT_THAT(rows, SizeIs(3));
  EXPECT_EQ(rows[2][0], "m-1 ");
  EXPECT_EQ(rows[2][1], event.message().text());
  EXPECT_EQ(rows[2][2], "");
  EXPECT_EQ(rows[2][3], std::nullopt);
  EXPECT_EQ(rows[2][4], std::nullopt);
  EXPECT_EQ(rows[2][5], "1767227400123");
  EXPECT_EQ(rows[2][6], "2026-01-01 00:30:00.123456");
}

TEST_P(DatabaseTest, TheQuarantineKeepsAnEventOnceAndCountsHowOften) {
  auto session = Rent();
  test::AcceptedEvents events;
  const event::Accepted accepted = events.Add(test::UsageOf(UuidOf(1)));
  const std::string reason(600, 'x');
  const statement::Refused refused = {&accepted, 1406, "model", reason};
  for (int i = 0; i < 2; ++i) {
    const statement::QuarantineInsert insert(event::Kind::kUsage, {"writer", "usage-0"},
                                             event::EventKey("journal"), {&refused, 1},
                                             test::EventTime() + absl::Hours(i), false);
    ASSERT_OK(Run(session, insert.call()));
  }
  const Call list = statement::ListQuarantine(UINT64_MAX, 10, false);
  const auto answer = session->Query(*list.statement, list.rows);
  ASSERT_OK(answer);
  ASSERT_THAT(*answer, SizeIs(1));
  const auto event = statement::ReadQuarantined(answer->front());
  ASSERT_OK(event);
  EXPECT_EQ(event->attempts, 2u);
  EXPECT_EQ(event->first_at, test::EventTime());
  EXPECT_EQ(event->last_at, test::EventTime() + absl::Hours(1));
  EXPECT_THAT(event->reason, SizeIs(512));
  EXPECT_EQ(event->producer, accepted.producer);
  const Call content = statement::ReadQuarantinedContent(event->quarantine_id);
  EXPECT_THAT((*session->Query(*content.statement, content.rows))[0][0],
              testing::Optional(testing::HasSubstr("model-1")));
  const Call below = statement::ListQuarantine(event->quarantine_id, 10, false);
  EXPECT_THAT(*session->Query(*below.statement, below.rows), IsEmpty());
}

TEST_P(DatabaseTest, HousekeepingTakesTheOldestAndAtMostSoMany) {
  auto session = Rent();
  ASSERT_OK(Run(session, Hits({1, 2, 3})));
  EXPECT_EQ(*Run(session, statement::DeleteExpiredHits(test::EventTime())), 0u);
  EXPECT_EQ(*Run(session, statement::DeleteExpiredHits(test::EventTime() + absl::Microseconds(1))),
            3u);
  const event::Id journal = event::EventKey("journal");
  const statement::LaneKey key = {"writer", "usage-0"};
  ASSERT_OK(Run(session, statement::EnsureLane(key, journal, test::EventTime())));
  const auto find = [&](const Call& call) {
    return session->Query(*call.statement, call.rows)->size();
  };
  EXPECT_EQ(find(statement::FindOldLanes(test::EventTime() + absl::Hours(1))), 1u);
  EXPECT_EQ(find(statement::FindIdleLanes("writer", test::EventTime() + absl::Hours(1))), 1u);
  EXPECT_EQ(find(statement::FindIdleLanes("other", test::EventTime() + absl::Hours(1))), 0u);
  ASSERT_OK(Run(session, statement::TouchLane(key, test::EventTime() + absl::Hours(2))));
  EXPECT_EQ(find(statement::FindOldLanes(test::EventTime() + absl::Hours(1))), 0u);
  EXPECT_EQ(*Run(session, statement::DeleteOldLane(key, test::EventTime() + absl::Hours(1))), 0u);
  EXPECT_EQ(*Run(session, statement::DeleteOldLane(key, test::EventTime() + absl::Hours(3))), 1u);
}

}  // namespace
}  // namespace holdfast
