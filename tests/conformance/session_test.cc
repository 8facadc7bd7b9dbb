// What a real server must do, and what Connection makes of it. Everything that concerns rows runs
// both ways: bound in bulk, where the server can, and as multi-row text.

#include <fstream>
#include <limits>
#include <random>
#include <thread>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "server/base/clock.h"
#include "server/mysql/connection.h"
#include "server/mysql/errors.h"
#include "server/mysql/value.h"
#include "tests/support/mariadb_server.h"
#include "tests/support/status_matchers.h"

namespace holdfast::mysql {
namespace {

using namespace std::string_literals;
using flow::Verdict;
using test::MariaDbServer;
using test::StatusIs;
using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

metrics::Metrics& TestMetrics() {
  static auto* const metrics = new metrics::Metrics("test");
  return *metrics;
}

std::unique_ptr<Connection> Open(const DatabaseOptions& options) {
  auto connection = Connection::Open(options, options.endpoints[0], options.connect_timeout,
                                     base::SystemClock(), TestMetrics());
  EXPECT_OK(connection);
  return connection.ok() ? *std::move(connection) : nullptr;
}

absl::Status TryOpen(const DatabaseOptions& options) {
  return Connection::Open(options, options.endpoints[0], options.connect_timeout,
                          base::SystemClock(), TestMetrics())
      .status();
}

unsigned NumberOf(const absl::Status& status) {
  const auto error = ErrorOf(status);
  return error.has_value() ? error->error_number : 0;
}

Statement Plain(std::string text, std::vector<ColumnType> columns = {}) {
  Statement statement;
  statement.table = "t";
  statement.head = std::move(text);
  statement.columns = std::move(columns);
  return statement;
}

// The parameter: whether to bind in bulk where the server can.
class SessionTest : public ::testing::TestWithParam<bool> {
 protected:
  SessionTest() : server_(MariaDbServer::Shared()), database_(server_.NewEmptyDatabase("session")) {
    options_ = server_.Options(database_);
    options_.use_bulk = GetParam();
    session_ = Open(options_);
  }

  void Create(absl::string_view definition) {
    ASSERT_OK(session_->Run(
        absl::StrCat("CREATE TABLE t (", definition, ") ENGINE=InnoDB DEFAULT CHARSET=utf8mb4")));
  }
  // INSERT INTO t (columns) with the no-op upsert on the first of them.
  static Statement Insert(absl::string_view names, std::vector<ColumnType> columns) {
    Statement statement =
        Plain(absl::StrCat("INSERT INTO t (", names, ") VALUES "), std::move(columns));
    statement.multi_row = true;
    const absl::string_view key = names.substr(0, names.find(','));
    statement.tail = absl::StrCat(" ON DUPLICATE KEY UPDATE ", key, " = ", key);
    return statement;
  }
  absl::StatusOr<uint64_t> All(Connection& session, const Statement& statement, const Rows& rows) {
    return session.Execute(statement, rows, 0, rows.size());
  }
  std::string One(absl::string_view sql) {
    const auto rows = session_->Query(Plain(std::string(sql)), Rows());
    EXPECT_OK(rows);
    return rows.ok() && !rows->empty() ? (*rows)[0][0].value_or("NULL") : "none";
  }
  // Makes a row that two sessions fight over.
  void CreateCounters() {
    Create("id INT PRIMARY KEY, n INT NOT NULL");
    ASSERT_OK(session_->Run("INSERT INTO t VALUES (1, 0), (2, 0)"));
  }
  static Statement Increment() {
    return Plain("UPDATE t SET n = n + 1 WHERE id = ?", {ColumnType::kInt64});
  }
  static Rows Id(int64_t id) { return Rows{1, {id}}; }

  MariaDbServer& server_;
  const std::string database_;
  DatabaseOptions options_;
  std::unique_ptr<Connection> session_;
};

INSTANTIATE_TEST_SUITE_P(Ways, SessionTest, ::testing::Bool(),
                         [](const auto& way) { return way.param ? "Bulk" : "Text"; });

TEST_P(SessionTest, TheSessionIsAsItWasAskedFor) {
  EXPECT_EQ(One("SELECT @@SESSION.time_zone"), "+00:00");
  EXPECT_EQ(One("SELECT @@SESSION.innodb_lock_wait_timeout"), "1");
  EXPECT_EQ(One("SELECT @@SESSION.autocommit"), "1");
  EXPECT_EQ(One("SELECT @@SESSION.character_set_connection"), "utf8mb4");
  EXPECT_THAT(One("SELECT @@SESSION.sql_mode"),
              AllOf(HasSubstr("STRICT_TRANS_TABLES"), Not(HasSubstr("NO_BACKSLASH_ESCAPES"))));
  EXPECT_GT(session_->statement_bytes_max(), size_t{500000});
}

TEST_P(SessionTest, BulkIsUsedWhereTheServerCanAndItIsWanted) {
  const bool is_mariadb = session_->facts().version.find("MariaDB") != std::string::npos;
  EXPECT_EQ(session_->has_bulk(), is_mariadb && GetParam());
}

TEST_P(SessionTest, AStatementSeesWhatWasCommittedMeanwhile) {
  CreateCounters();
  auto other = Open(options_);
  ASSERT_OK(session_->Begin());
  EXPECT_EQ(One("SELECT n FROM t WHERE id = 1"), "0");
  ASSERT_OK(other->Execute(Increment(), Id(1), 0, 1));
  // Under REPEATABLE READ this would still be 0.
  EXPECT_EQ(One("SELECT n FROM t WHERE id = 1"), "1");
  ASSERT_OK(session_->Commit());
}

TEST_P(SessionTest, TheNoOpUpsertCountsOnlyRowsReallyInserted) {
  Create("id BIGINT PRIMARY KEY, v INT NOT NULL");
  const Statement insert = Insert("id, v", {ColumnType::kInt64, ColumnType::kInt64});
  const auto rows = [](std::vector<int64_t> ids) {
    Rows made = {2, {}};
    for (const int64_t id : ids) made.values.insert(made.values.end(), {id, id * 10});
    return made;
  };
  EXPECT_EQ(*All(*session_, insert, rows({1, 3, 5})), 3u);
  EXPECT_EQ(*All(*session_, insert, rows({1, 2, 3, 4, 5})), 2u);
  EXPECT_EQ(*All(*session_, insert, rows({1, 2, 3, 4, 5})), 0u);
  EXPECT_EQ(*All(*session_, insert, rows({5})), 0u);
  EXPECT_EQ(*All(*session_, insert, rows({6})), 1u);
  EXPECT_EQ(*All(*session_, insert, rows({7, 7, 7})), 1u);
  EXPECT_EQ(*session_->Execute(insert, rows({1, 2, 8, 9, 1}), 2, 2), 2u);
  EXPECT_EQ(One("SELECT COUNT(*) FROM t"), "9");
}

TEST_P(SessionTest, AnUpdateCountsOnlyRowsThatChanged) {
  CreateCounters();
  const Statement set = Plain("UPDATE t SET n = ? WHERE id = ? AND n = ?",
                              {ColumnType::kInt64, ColumnType::kInt64, ColumnType::kInt64});
  const auto move = [&](int64_t to, int64_t from) {
    return *session_->Execute(set, Rows{3, {to, int64_t{1}, from}}, 0, 1);
  };
  EXPECT_EQ(move(1, 0), 1u);
  EXPECT_EQ(move(1, 0), 0u);
  EXPECT_EQ(move(1, 1), 0u);
}

TEST_P(SessionTest, AStatementThatFailsLeavesNothingOfItBehind) {
  Create("id BIGINT PRIMARY KEY, v TINYINT UNSIGNED NOT NULL, s VARCHAR(3) NOT NULL");
  const Statement insert =
      Insert("id, v, s", {ColumnType::kInt64, ColumnType::kInt64, ColumnType::kText});
  const auto row = [](Rows* rows, int64_t id, int64_t v, absl::string_view s) {
    rows->columns = 3;
    rows->values.insert(rows->values.end(), {id, v, s});
  };
  ASSERT_OK(session_->Begin());
  Rows kept;
  row(&kept, 100, 1, "ok");
  ASSERT_OK(All(*session_, insert, kept));
  for (const auto& [v, s, number, column] : {std::tuple{int64_t{300}, "abc", 1264u, "v"},
                                             {int64_t{-5}, "abc", 1264u, "v"},
                                             {int64_t{1}, "abcd", 1406u, "s"}}) {
    Rows rows;
    for (int64_t id = 0; id < 50; ++id) row(&rows, id, 1, "abc");
    row(&rows, 50, v, s);
    for (int64_t id = 51; id < 60; ++id) row(&rows, id, 1, "abc");
    const absl::Status status = All(*session_, insert, rows).status();
    EXPECT_EQ(VerdictOf(status), Verdict::kReject);
    EXPECT_EQ(NumberOf(status), number);
    EXPECT_EQ(ErrorOf(status)->column(), column);
    EXPECT_EQ(One("SELECT COUNT(*) FROM t"), "1") << number;
  }
  ASSERT_OK(session_->Commit());
  EXPECT_EQ(One("SELECT COUNT(*) FROM t"), "1");
}

TEST_P(SessionTest, NullForAColumnThatMustHaveAValueIsRejectedWithItsName) {
  Create("id BIGINT PRIMARY KEY, v INT NOT NULL");
  const Statement insert = Insert("id, v", {ColumnType::kInt64, ColumnType::kInt64});
  const absl::Status status =
      All(*session_, insert, Rows{2, {int64_t{1}, int64_t{1}, int64_t{2}, Value()}}).status();
  EXPECT_EQ(NumberOf(status), 1048u);
  EXPECT_EQ(ErrorOf(status)->column(), "v");
}

TEST_P(SessionTest, EveryTextComesBackByteByByte) {
  Create(
      "id BIGINT PRIMARY KEY, s TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, "
      "b VARBINARY(4096), v VARBINARY(4096)");
  std::string every_byte;
  for (int c = 0; c < 256; ++c) every_byte.push_back(static_cast<char>(c));
  const std::vector<std::string> texts = {"",
                                          "plain",
                                          "a\0b"s,
                                          "\0"s,
                                          "'",
                                          "''",
                                          "\"",
                                          "`",
                                          "\\",
                                          "\\'",
                                          "\\\\'",
                                          "\n\r\t",
                                          "\x1a",
                                          "\xf0\x9f\xa6\x8a fox",
                                          "\xc3\xa9\\\xc3\xa9'",
                                          "trailing ",
                                          "%_?",
                                          "?,?",
                                          "NULL",
                                          "'); DROP TABLE t; -- ",
                                          "' OR 1=1 #",
                                          "/* */",
                                          "x'41'",
                                          std::string(4000, '\'')};
  const Statement insert = Insert("id, s, b, v", {ColumnType::kInt64, ColumnType::kText,
                                                  ColumnType::kBinary, ColumnType::kText});
  Rows rows = {4, {}};
  for (const std::string& text : texts) {
    rows.values.insert(rows.values.end(),
                       {static_cast<int64_t>(rows.size()), absl::string_view(text),
                        absl::string_view(text), absl::string_view(text)});
  }
  rows.values.insert(rows.values.end(),
                     {int64_t{100}, Value(), absl::string_view(every_byte), Value()});
  rows.values.insert(rows.values.end(), {int64_t{101}, Value(), Value(), Value()});
  ASSERT_OK(All(*session_, insert, rows));

  const auto found = session_->Query(Plain("SELECT s, b, v FROM t ORDER BY id"), Rows());
  ASSERT_OK(found);
  ASSERT_EQ(found->size(), texts.size() + 2);
  for (size_t i = 0; i < texts.size(); ++i) {
    EXPECT_THAT((*found)[i], ElementsAre(texts[i], texts[i], texts[i]));
  }
  EXPECT_THAT((*found)[texts.size()], ElementsAre(std::nullopt, every_byte, std::nullopt));
  EXPECT_THAT((*found)[texts.size() + 1], ElementsAre(std::nullopt, std::nullopt, std::nullopt));

  // As parameters they find their own row, and no other.
  for (size_t i = 0; i < texts.size(); ++i) {
    const auto mine = session_->Query(
        Plain("SELECT id FROM t WHERE b = ? AND v = ?", {ColumnType::kBinary, ColumnType::kText}),
        Rows{2, {absl::string_view(texts[i]), absl::string_view(texts[i])}});
    ASSERT_OK(mine);
    EXPECT_THAT(*mine, ElementsAre(ElementsAre(absl::StrCat(i))));
  }
}

TEST_P(SessionTest, IntegersComeBackAtTheirExtremes) {
  Create("id BIGINT PRIMARY KEY, u BIGINT UNSIGNED");
  const Statement insert = Insert("id, u", {ColumnType::kInt64, ColumnType::kUint64});
  ASSERT_OK(All(*session_, insert,
                Rows{2,
                     {std::numeric_limits<int64_t>::min(), uint64_t{0},  //
                      int64_t{0}, Value(),                               //
                      std::numeric_limits<int64_t>::max(), std::numeric_limits<uint64_t>::max()}}));
  const auto found = session_->Query(Plain("SELECT id, u FROM t ORDER BY id"), Rows());
  ASSERT_OK(found);
  EXPECT_THAT(*found,
              ElementsAre(ElementsAre("-9223372036854775808", "0"), ElementsAre("0", std::nullopt),
                          ElementsAre("9223372036854775807", "18446744073709551615")));
}

TEST_P(SessionTest, TimesComeBackToTheMicrosecond) {
  Create("id BIGINT PRIMARY KEY, at DATETIME(6), day DATETIME");
  const Statement insert =
      Insert("id, at, day", {ColumnType::kInt64, ColumnType::kTime, ColumnType::kTime});
  const absl::TimeZone utc = absl::UTCTimeZone();
  const absl::Time last = absl::FromCivil(absl::CivilSecond(9999, 12, 31, 23, 59, 59), utc);
  const absl::Time first = absl::FromCivil(absl::CivilSecond(1000, 1, 1), utc);
  const absl::Time leap = absl::FromCivil(absl::CivilSecond(2024, 2, 29, 12), utc);
  ASSERT_OK(All(*session_, insert,
                Rows{3,
                     {int64_t{1}, first, first,                             //
                      int64_t{2}, leap + absl::Microseconds(1), leap,       //
                      int64_t{3}, last + absl::Microseconds(999999), last,  //
                      int64_t{4}, absl::UnixEpoch() - absl::Microseconds(1), Value()}}));
  const auto found = session_->Query(Plain("SELECT at, day FROM t ORDER BY id"), Rows());
  ASSERT_OK(found);
  EXPECT_THAT(*found, ElementsAre(ElementsAre("1000-01-01 00:00:00.000000", "1000-01-01 00:00:00"),
                                  ElementsAre("2024-02-29 12:00:00.000001", "2024-02-29 12:00:00"),
                                  ElementsAre("9999-12-31 23:59:59.999999", "9999-12-31 23:59:59"),
                                  ElementsAre("1969-12-31 23:59:59.999999", std::nullopt)));
}

TEST_P(SessionTest, ATimeThatNoDatetimeHoldsIsRejectedAndNotSent) {
  Create("id BIGINT PRIMARY KEY, at DATETIME(6)");
  const Statement insert = Insert("id, at", {ColumnType::kInt64, ColumnType::kTime});
  for (const absl::Time time : {absl::InfiniteFuture(), absl::InfinitePast()}) {
    const Rows one = {2, {int64_t{1}, time}};
    EXPECT_EQ(NumberOf(All(*session_, insert, one).status()), 1292u);
    const Rows two = {2, {int64_t{1}, absl::UnixEpoch(), int64_t{2}, time}};
    EXPECT_EQ(NumberOf(All(*session_, insert, two).status()), 1292u);
  }
  EXPECT_FALSE(session_->is_lost());
  EXPECT_EQ(One("SELECT COUNT(*) FROM t"), "0");
}

TEST_P(SessionTest, RandomRowsComeBackAsTheyWereSent) {
  Create("id BIGINT PRIMARY KEY, b VARBINARY(300), u BIGINT UNSIGNED, at DATETIME(6)");
  const Statement insert = Insert("id, b, u, at", {ColumnType::kInt64, ColumnType::kBinary,
                                                   ColumnType::kUint64, ColumnType::kTime});
  std::seed_seq seed = {7};
  std::mt19937_64 random(seed);
  std::vector<std::string> texts;
  for (int i = 0; i < 4096; ++i) {
    std::string& text = texts.emplace_back(random() % 300, '\0');
    for (char& c : text) c = static_cast<char>(random());
  }
  Rows rows = {4, {}};
  for (int i = 0; i < 4096; ++i) {
    rows.values.insert(rows.values.end(),
                       {int64_t{i}, absl::string_view(texts[static_cast<size_t>(i)]), random(),
                        absl::FromUnixMicros(static_cast<int64_t>(random() % (1ull << 52)))});
    if (random() % 4 == 0) rows.values.back() = Value();
    if (random() % 4 == 0) rows.values[rows.values.size() - 2] = Value();
  }
  EXPECT_EQ(*All(*session_, insert, rows), 4096u);
  const auto found =
      session_->Query(Plain("SELECT b, u, ROUND(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', at)) "
                            "FROM t ORDER BY id"),
                      Rows());
  ASSERT_OK(found);
  ASSERT_EQ(found->size(), size_t{4096});
  for (size_t i = 0; i < 4096; ++i) {
    const auto* number = std::get_if<uint64_t>(&rows.values[i * 4 + 2]);
    const auto* time = std::get_if<absl::Time>(&rows.values[i * 4 + 3]);
    ASSERT_EQ((*found)[i][0], texts[i]);
    ASSERT_EQ((*found)[i][1].value_or("NULL"), number ? absl::StrCat(*number) : "NULL");
    ASSERT_EQ((*found)[i][2].value_or("NULL"),
              time ? absl::StrCat(absl::ToUnixMicros(*time)) : "NULL");
  }
}

TEST_P(SessionTest, ATransactionThatTheServerEndedWithoutAnErrorIsNotGoneOnWith) {
  Create("id BIGINT PRIMARY KEY, n BIGINT");
  ASSERT_OK(session_->Begin());
  Statement ends;  // As any change of a table does.
  ends.table = "t";
  ends.head = "ALTER TABLE t ADD m BIGINT";
  const absl::Status ended = session_->Execute(ends, Rows(), 0, 1).status();
  EXPECT_EQ(VerdictOf(ended), Verdict::kRetry);
  EXPECT_FALSE(session_->in_transaction());
  EXPECT_OK(session_->Rollback());
  EXPECT_OK(session_->Begin());
  EXPECT_OK(session_->Rollback());
}

TEST_P(SessionTest, AStatementThatIsTooLargeIsRejectedWithoutBreakingTheLink) {
  Create("id BIGINT PRIMARY KEY, b LONGBLOB");
  const Statement insert = Insert("id, b", {ColumnType::kInt64, ColumnType::kBinary});
  const std::string half(session_->statement_bytes_max() / 2, 'x');
  for (const size_t count : {2u, 1u}) {
    Rows rows = {2, {}};
    std::string whole(session_->statement_bytes_max(), 'x');
    for (size_t i = 0; i < count; ++i) {
      rows.values.insert(rows.values.end(),
                         {static_cast<int64_t>(i), absl::string_view(count == 1 ? whole : half)});
    }
    const absl::Status status = All(*session_, insert, rows).status();
    EXPECT_EQ(NumberOf(status), 1153u);
    EXPECT_EQ(VerdictOf(status), Verdict::kReject);
  }
  EXPECT_FALSE(session_->is_lost());
  EXPECT_EQ(One("SELECT COUNT(*) FROM t"), "0");
}

TEST_P(SessionTest, AStatementJustBelowTheLimitGoesThrough) {
  options_.query_timeout = absl::Minutes(10);  // Sixteen megabytes, on whatever machine this is.
  session_ = Open(options_);
  Create("id BIGINT PRIMARY KEY, b LONGBLOB");
  const Statement insert = Insert("id, b", {ColumnType::kInt64, ColumnType::kText});
  const std::string part(session_->statement_bytes_max() / 4 - 200, 'x');
  Rows rows = {2, {}};
  for (int64_t id = 0; id < 4; ++id) {
    rows.values.insert(rows.values.end(), {id, absl::string_view(part)});
  }
  EXPECT_THAT(All(*session_, insert, rows), test::IsOk());
  EXPECT_EQ(One("SELECT SUM(LENGTH(b)) FROM t"), absl::StrCat(4 * part.size()));
}

TEST_P(SessionTest, MoreShapesThanAreKeptStillWork) {
  CreateCounters();
  for (int round = 0; round < 2; ++round) {
    for (size_t i = 0; i < PreparedStatements::kKeptMax + 10; ++i) {
      const Statement statement =
          Plain(absl::StrCat("UPDATE t SET n = n + 1 WHERE id = ? AND ", i, " = ", i),
                {ColumnType::kInt64});
      ASSERT_EQ(*session_->Execute(statement, Id(1), 0, 1), 1u);
    }
  }
  EXPECT_EQ(One("SELECT n FROM t WHERE id = 1"),
            absl::StrCat(2 * (PreparedStatements::kKeptMax + 10)));
}

TEST_P(SessionTest, OneShapeTakesManyRowsOneRowAndManyAgain) {
  Create("id BIGINT PRIMARY KEY, s VARCHAR(10)");
  const Statement insert = Insert("id, s", {ColumnType::kInt64, ColumnType::kText});
  int64_t next = 0;
  for (const int64_t count : {3, 1, 2, 1, 1, 4}) {
    Rows rows = {2, {}};
    for (int64_t i = 0; i < count; ++i) {
      rows.values.insert(rows.values.end(),
                         {next, next % 2 == 0 ? Value() : Value(absl::string_view("odd"))});
      ++next;
    }
    ASSERT_EQ(*All(*session_, insert, rows), static_cast<uint64_t>(count));
  }
  EXPECT_EQ(One("SELECT SUM(s IS NULL = (id % 2 = 0)) FROM t"), "12");
}

TEST_P(SessionTest, ALockThatIsNotGivenIsRetryAndLeavesTheTransactionOpenUntilRollback) {
  CreateCounters();
  auto holder = Open(options_);
  ASSERT_OK(holder->Begin());
  ASSERT_OK(holder->Execute(Increment(), Id(2), 0, 1));

  ASSERT_OK(session_->Begin());
  ASSERT_OK(session_->Execute(Increment(), Id(1), 0, 1));
  const absl::Status status = session_->Execute(Increment(), Id(2), 0, 1).status();
  EXPECT_EQ(NumberOf(status), 1205u);
  EXPECT_EQ(VerdictOf(status), Verdict::kRetry);
  EXPECT_TRUE(session_->in_transaction());
  EXPECT_EQ(One("SELECT n FROM t WHERE id = 1"), "1") << "the first half is still there";
  ASSERT_OK(session_->Rollback());
  EXPECT_FALSE(session_->in_transaction());
  EXPECT_EQ(One("SELECT n FROM t WHERE id = 1"), "0");
  ASSERT_OK(holder->Rollback());
}

TEST_P(SessionTest, TheVictimOfADeadlockIsToldToRetry) {
  options_.lock_wait_timeout = absl::Seconds(20);
  session_ = Open(options_);
  CreateCounters();
  auto other = Open(options_);
  ASSERT_OK(session_->Begin());
  ASSERT_OK(other->Begin());
  ASSERT_OK(session_->Execute(Increment(), Id(1), 0, 1));
  ASSERT_OK(other->Execute(Increment(), Id(2), 0, 1));
  absl::Status theirs;
  std::thread thread([&] { theirs = other->Execute(Increment(), Id(1), 0, 1).status(); });
  const absl::Status ours = session_->Execute(Increment(), Id(2), 0, 1).status();
  // Whoever is the victim gave way to the other; both may go on.
  if (!ours.ok()) {
    EXPECT_OK(session_->Rollback());
  }
  thread.join();
  const absl::Status& victim = ours.ok() ? theirs : ours;
  EXPECT_NE(ours.ok(), theirs.ok());
  EXPECT_EQ(NumberOf(victim), 1213u);
  EXPECT_EQ(VerdictOf(victim), Verdict::kRetry);
}

TEST_P(SessionTest, AConnectionKilledInMidTransactionIsReconnectAndNothingOfItStays) {
  CreateCounters();
  auto killer = Open(options_);
  ASSERT_OK(session_->Begin());
  ASSERT_OK(session_->Execute(Increment(), Id(1), 0, 1));
  ASSERT_OK(killer->KillConnection(session_->facts().connection_id));
  EXPECT_EQ(VerdictOf(session_->Execute(Increment(), Id(2), 0, 1).status()), Verdict::kReconnect);
  EXPECT_TRUE(session_->is_lost());
  EXPECT_EQ(VerdictOf(session_->Rollback()), Verdict::kReconnect);
  session_ = std::move(killer);
  EXPECT_EQ(One("SELECT SUM(n) FROM t"), "0");
}

TEST_P(SessionTest, AConnectionKilledBeforeTheAnswerToCommitIsUnknown) {
  CreateCounters();
  auto killer = Open(options_);
  ASSERT_OK(session_->Begin());
  ASSERT_OK(session_->Execute(Increment(), Id(1), 0, 1));
  ASSERT_OK(killer->KillConnection(session_->facts().connection_id));
  const absl::Status status = session_->Commit();
  EXPECT_EQ(VerdictOf(status), Verdict::kUnknown);
  EXPECT_THAT(std::string(status.message()), HasSubstr("the outcome is not known"));
}

TEST_P(SessionTest, KillingAConnectionThatIsGoneIsFine) {
  uint64_t gone = 0;
  {
    auto other = Open(options_);
    gone = other->facts().connection_id;
  }
  ASSERT_OK(session_->KillConnection(gone));
  EXPECT_OK(session_->KillConnection(gone));
}

TEST_P(SessionTest, AMissingTableOrColumnIsAnOutageThatNamesTheRemedy) {
  const absl::Status table = session_->Execute(Increment(), Id(1), 0, 1).status();
  EXPECT_EQ(NumberOf(table), 1146u);
  EXPECT_EQ(VerdictOf(table), Verdict::kOutage);
  EXPECT_THAT(std::string(table.message()), HasSubstr("holdfastd --migrate"));
  Create("id INT PRIMARY KEY");
  const absl::Status column = session_->Execute(Increment(), Id(1), 0, 1).status();
  EXPECT_EQ(NumberOf(column), 1054u);
  EXPECT_EQ(ErrorOf(column)->column(), "n");
  // Once it is there, the same statement works.
  ASSERT_OK(session_->Run("ALTER TABLE t ADD COLUMN n INT NOT NULL DEFAULT 0"));
  ASSERT_OK(session_->Run("INSERT INTO t (id) VALUES (1)"));
  EXPECT_EQ(*session_->Execute(Increment(), Id(1), 0, 1), 1u);
}

TEST_P(SessionTest, ATableThatIsAlteredMeanwhileDoesNotConfuseAPreparedStatement) {
  CreateCounters();
  ASSERT_EQ(*session_->Execute(Increment(), Id(1), 0, 1), 1u);
  ASSERT_OK(session_->Run("ALTER TABLE t MODIFY n BIGINT NOT NULL, ADD COLUMN x INT"));
  ASSERT_EQ(*session_->Execute(Increment(), Id(1), 0, 1), 1u);
  EXPECT_EQ(One("SELECT n FROM t WHERE id = 1"), "2");
}

TEST_P(SessionTest, AStatementThatTakesTooLongEndsOnTheServerToo) {
  options_.query_timeout = absl::Seconds(1);
  options_.lock_wait_timeout = absl::Seconds(1);
  session_ = Open(options_);
  const auto slow =
      session_->Query(Plain("SELECT SLEEP(60) FROM information_schema.tables"), Rows());
  ASSERT_FALSE(slow.ok());
  EXPECT_EQ(VerdictOf(slow.status()), Verdict::kRetry);
  EXPECT_FALSE(session_->is_lost());
}

// Statements that fail are slow, too, and their errors carry values.
TEST_P(SessionTest, ASlowStatementIsLoggedByItsShapeAndNeverByItsValues) {
  options_.slow_statement = absl::Milliseconds(1);
  session_ = Open(options_);
  Create("id INT PRIMARY KEY, name VARCHAR(40) UNIQUE");
  ASSERT_OK(
      session_->Run("CREATE TRIGGER slow BEFORE INSERT ON t FOR EACH ROW "
                    "SET @slept = SLEEP(0.02)"));
  const std::string canary = "canary-3e9a51";
  Statement insert =
      Plain("INSERT INTO t (id, name) VALUES ", {ColumnType::kInt64, ColumnType::kText});
  insert.multi_row = true;
  testing::internal::CaptureStderr();
  EXPECT_OK(All(*session_, insert, Rows{2, {int64_t{1}, canary, int64_t{2}, "other"}}));
  const absl::Status twice =
      All(*session_, insert, Rows{2, {int64_t{3}, canary, int64_t{4}, "another"}}).status();
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_EQ(NumberOf(twice), 1062u);
  EXPECT_THAT(log, ContainsRegex("warning slow statement table=t "
                                 "shape=\"INSERT INTO t .id, name. VALUES \" rows=2 took=[^ ]+ "
                                 "error_number=0\n"));
  EXPECT_THAT(log, HasSubstr("error_number=1062"));
  EXPECT_THAT(log, Not(HasSubstr(canary)));
}

TEST_P(SessionTest, ACommentStandsOnBeginAndCommitUntilItIsTakenBack) {
  CreateCounters();
  const std::string comment =
      "/*traceparent='00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'*/";
  session_->SetComment(comment);
  for (int i = 0; i < 2; ++i) {
    ASSERT_OK(session_->Begin());
    EXPECT_TRUE(session_->in_transaction());
    EXPECT_OK(session_->Execute(Increment(), Id(1), 0, 1));
    ASSERT_OK(session_->Commit());
    session_->SetComment("");
  }
  EXPECT_EQ(One("SELECT n FROM t WHERE id = 1"), "2");
}

TEST_P(SessionTest, AnUnknownDatabaseAndAnUnknownAccountSayWhatToDo) {
  DatabaseOptions wrong = options_;
  wrong.database = "no_such_database_here";
  const absl::Status missing = TryOpen(wrong);
  EXPECT_EQ(NumberOf(missing), 1049u);
  EXPECT_THAT(std::string(missing.message()), HasSubstr("--migrate"));

  wrong = options_;
  wrong.user = "nobody_of_that_name";
  wrong.password = "hunter2";
  const absl::Status denied = TryOpen(wrong);
  EXPECT_EQ(NumberOf(denied), 1045u);
  EXPECT_EQ(VerdictOf(denied), Verdict::kOutage);
  EXPECT_THAT(std::string(denied.message()),
              AllOf(HasSubstr("1045"), HasSubstr("MYSQL_USER"), Not(HasSubstr("hunter2"))));

  wrong = options_;
  wrong.endpoints = {{"", 3306, "/nonexistent/socket"}};
  EXPECT_EQ(VerdictOf(TryOpen(wrong)), Verdict::kReconnect);
}

TEST_P(SessionTest, ThePasswordFileIsReadForEveryNewConnection) {
  const std::string user = absl::StrCat("u_", database_).substr(0, 30);
  ASSERT_OK(session_->Run(absl::StrCat("CREATE USER '", user, "'@'%' IDENTIFIED BY 'first'")));
  ASSERT_OK(session_->Run(absl::StrCat("GRANT ALL ON ", database_, ".* TO '", user, "'@'%'")));
  const std::string path = ::testing::TempDir() + "/password_" + database_;
  const auto write = [&](absl::string_view text) { std::ofstream(path) << text; };
  DatabaseOptions options = options_;
  options.user = user;
  options.password.clear();
  options.password_file = path;
  write("first\n");
  EXPECT_OK(TryOpen(options));
  ASSERT_OK(session_->Run(absl::StrCat("ALTER USER '", user, "'@'%' IDENTIFIED BY 'sec ond'")));
  EXPECT_EQ(NumberOf(TryOpen(options)), 1045u);
  write("sec ond");
  EXPECT_OK(TryOpen(options));
  std::remove(path.c_str());
  const absl::Status missing = TryOpen(options);
  EXPECT_EQ(VerdictOf(missing), Verdict::kOutage);
  EXPECT_THAT(std::string(missing.message()), HasSubstr(path));
  ASSERT_OK(session_->Run(absl::StrCat("DROP USER '", user, "'@'%'")));
}

TEST_P(SessionTest, TlsThatIsRequiredIsNotSilentlyLeftOut) {
  DatabaseOptions options = options_;
  options.endpoints = {server_.tcp_endpoint()};
  options.ssl_mode = SslMode::kRequired;
  const auto connection = Connection::Open(options, options.endpoints[0], options.connect_timeout,
                                           base::SystemClock(), TestMetrics());
  if (!connection.ok()) {
    EXPECT_THAT(std::string(connection.status().message()), HasSubstr("TLS"));
    return;
  }
  const auto cipher = (*connection)->Query(Plain("SHOW SESSION STATUS LIKE 'Ssl_cipher'"), Rows());
  ASSERT_OK(cipher);
  EXPECT_NE((*cipher)[0][1].value_or(""), "");
}

}  // namespace
}  // namespace holdfast::mysql
