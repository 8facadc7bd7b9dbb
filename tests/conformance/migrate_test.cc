// Migrations, on a real server.

#include "server/mysql/migrate.h"

#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "server/base/clock.h"
#include "server/mysql/connection.h"
#include "server/mysql/errors.h"
#include "tests/support/mariadb_server.h"
#include "tests/support/status_matchers.h"

namespace holdfast::mysql {
namespace {

using test::MariaDbServer;
using test::StatusIs;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kSeedTables[] = HOLDFAST_SOURCE_DIR "/tests/conformance/seed_tables.sql";

class MigrateTest : public ::testing::Test {
 protected:
  MigrateTest()
      : server_(MariaDbServer::Shared()), database_(server_.NewEmptyDatabase("migrate")) {}

  absl::Status MigrateTo(const std::string& database, absl::string_view offset = "+00:00") {
    said_.clear();
    return Migrate(server_.Options(database), offset, base::SystemClock(), metrics_,
                   [this](absl::string_view line) { said_.emplace_back(line); });
  }
  // Everything that the schema consists of.
  std::string Picture() {
    std::vector<std::string> parts;
    for (const ResultRow& row :
         server_.Sql(database_,
                     "SELECT table_name, column_name, column_type, is_nullable, column_key "
                     "FROM information_schema.columns WHERE table_schema = DATABASE() "
                     "ORDER BY table_name, ordinal_position")) {
      for (const auto& field : row) parts.push_back(field.value_or("NULL"));
    }
    for (const ResultRow& row :
         server_.Sql(database_, "SELECT version, name, stats_utc_offset FROM holdfast_schema")) {
      for (const auto& field : row) parts.push_back(field.value_or("NULL"));
    }
    return absl::StrJoin(parts, "|");
  }
  std::string One(absl::string_view sql) {
    return server_.Sql(database_, sql)[0][0].value_or("NULL");
  }

  MariaDbServer& server_;
  const std::string database_;
  metrics::Metrics metrics_{"test"};
  std::vector<std::string> said_;
};

TEST_F(MigrateTest, AnEmptyDatabaseGetsEverything) {
  ASSERT_OK(MigrateTo(database_));
  EXPECT_EQ(One("SELECT GROUP_CONCAT(table_name ORDER BY table_name) FROM "
                "information_schema.tables WHERE table_schema = DATABASE()"),
            "cost_stats,holdfast_lanes,holdfast_quarantine,holdfast_rate_limit_hits,"
            "holdfast_schema,message,rate_limit_records,usage_records,usage_stats");
  EXPECT_EQ(One("SELECT MAX(version) FROM holdfast_schema"), absl::StrCat(SchemaVersion()));
  EXPECT_EQ(One("SELECT COUNT(*) FROM cost_stats"), "0");
  EXPECT_THAT(said_.back(), HasSubstr(absl::StrCat("is at version ", SchemaVersion())));
}

TEST_F(MigrateTest, TwiceIsTheSameAsOnce) {
  ASSERT_OK(MigrateTo(database_));
  const std::string once = Picture();
  ASSERT_OK(MigrateTo(database_));
  EXPECT_EQ(Picture(), once);
  EXPECT_EQ(said_.size(), size_t{1});
}

TEST_F(MigrateTest, AnInterruptedMigrationIsFinishedByTheNext) {
  ASSERT_OK(MigrateTo(database_));
  const std::string whole = Picture();
  // As if it had stopped after its statements and before its record, or between its statements.
  server_.Sql(database_, "DELETE FROM holdfast_schema WHERE version >= 3");
  server_.Sql(database_, "DROP TABLE usage_stats");
  ASSERT_OK(MigrateTo(database_));
  EXPECT_EQ(Picture(), whole);
}

TEST_F(MigrateTest, SeveralAtOnceTakeTurns) {
  std::vector<std::thread> threads;
  std::vector<absl::Status> ended(4);
  for (absl::Status& status : ended) {
    threads.emplace_back([&] {
      status = Migrate(server_.Options(database_), "+00:00", base::SystemClock(), metrics_,
                       [](absl::string_view) {});
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const absl::Status& status : ended) EXPECT_OK(status);
  EXPECT_EQ(One("SELECT COUNT(*) FROM holdfast_schema"), absl::StrCat(SchemaVersion()));
}

TEST_F(MigrateTest, AMissingDatabaseIsCreated) {
  const std::string fresh = database_ + "`x";  // Whatever its name.
  server_.Sql("", absl::StrCat("DROP DATABASE IF EXISTS `", database_, "``x`"));
  ASSERT_OK(MigrateTo(fresh));
  EXPECT_THAT(said_[0], HasSubstr("created database"));
  EXPECT_EQ(server_.Sql(fresh, "SELECT COUNT(*) FROM holdfast_lanes")[0][0], "0");
}

TEST_F(MigrateTest, ADatabaseThatMayNotBeCreatedIsExplained) {
  const std::string user = absl::StrCat("m_", database_).substr(0, 30);
  server_.Sql("", absl::StrCat("CREATE USER '", user, "'@'%' IDENTIFIED BY 'p'"));
  server_.Sql("", absl::StrCat("GRANT ALL ON ", database_, ".* TO '", user, "'@'%'"));
  DatabaseOptions options = server_.Options("holdfast_no_such_database");
  options.user = user;
  options.password = "p";
  const absl::Status status =
      Migrate(options, "+00:00", base::SystemClock(), metrics_, [](absl::string_view) {});
  EXPECT_EQ(ErrorOf(status)->error_number, 1044u);
  EXPECT_THAT(std::string(status.message()), HasSubstr("MYSQL_DATABASE"));
  server_.Sql("", absl::StrCat("DROP USER '", user, "'@'%'"));
}

TEST_F(MigrateTest, ASchemaThatIsNewerThanTheBinaryIsLeftAlone) {
  ASSERT_OK(MigrateTo(database_));
  server_.Sql(database_, "INSERT INTO holdfast_schema VALUES (99, 'later', NOW(), '+00:00')");
  const std::string before = Picture();
  EXPECT_THAT(MigrateTo(database_),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr("version 99"), HasSubstr("newer binary"))));
  EXPECT_EQ(Picture(), before);
}

TEST_F(MigrateTest, AnotherStatsOffsetThanTheOneInForceIsRefused) {
  ASSERT_OK(MigrateTo(database_, "+08:00"));
  EXPECT_THAT(MigrateTo(database_, "+00:00"),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr("+08:00"), HasSubstr("STATS_UTC_OFFSET"))));
  EXPECT_OK(MigrateTo(database_, "+08:00"));
}

TEST_F(MigrateTest, TheSchemaStateIsReadBack) {
  const DatabaseOptions options = server_.Options(database_);
  auto session = Connection::Open(options, options.endpoints[0], options.connect_timeout,
                                  base::SystemClock(), metrics_);
  ASSERT_OK(session);
  auto state = ReadSchemaState(**session);
  ASSERT_OK(state);
  EXPECT_EQ(state->version, 0);
  ASSERT_OK(MigrateTo(database_, "-03:30"));
  state = ReadSchemaState(**session);
  ASSERT_OK(state);
  EXPECT_EQ(state->version, SchemaVersion());
  EXPECT_EQ(state->stats_utc_offset, "-03:30");
}

TEST_F(MigrateTest, TablesOfEarlierGatewaysAreKeptAndThoseInTheWayAreRenamed) {
  server_.SqlFile(database_, kSeedTables);
  server_.Sql(database_,
              "INSERT INTO cost_stats (api_key_id, cost_type, cost_date, amount) "
              "VALUES ('k', 'total', 'all', 1.5)");
  ASSERT_OK(MigrateTo(database_));
  EXPECT_THAT(said_, ::testing::IsSupersetOf({HasSubstr("renamed usage_records,"),
                                              HasSubstr("renamed usage_stats,"),
                                              HasSubstr("to cost_stats_before_holdfast")}));
  EXPECT_EQ(One("SELECT amount FROM cost_stats_before_holdfast"), "1.500000");
  EXPECT_EQ(One("SELECT COUNT(*) FROM cost_stats"), "0");
  EXPECT_EQ(One("SELECT COUNT(*) FROM usage_records WHERE event_id = ''"), "0");

  // The two that stay take our rows.
  for (int i = 0; i < 2; ++i) {
    server_.Sql(database_,
                "INSERT INTO rate_limit_records (identifier, window_type, route_path, "
                "request_count, window_start, window_end) VALUES ('user:1', 'minute', '', 7, "
                "'2026-01-01 00:00:00', '2026-01-01 00:01:00') ON DUPLICATE KEY UPDATE "
                "request_count = GREATEST(request_count, VALUES(request_count))");
    server_.Sql(database_,
                "INSERT INTO message (ig_message_id, ig_sender_id, ig_recipient_id, timestamp_ms, "
                "direction, created_at) VALUES ('m1', 's', 'r', 1, 'in', '2026-01-01 00:00:00') "
                "ON DUPLICATE KEY UPDATE ig_message_id = ig_message_id");
  }
  EXPECT_EQ(One("SELECT COUNT(*) FROM rate_limit_records"), "1");
  EXPECT_EQ(One("SELECT COUNT(*) FROM message"), "1");

  const std::string once = Picture();
  ASSERT_OK(MigrateTo(database_));
  EXPECT_EQ(Picture(), once);
}

TEST_F(MigrateTest, ANewNameThatIsTakenStopsTheMigrationWithWhatToDo) {
  server_.SqlFile(database_, kSeedTables);
  server_.Sql(database_, "CREATE TABLE usage_stats_before_holdfast (id INT)");
  EXPECT_THAT(MigrateTo(database_),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr("usage_stats_before_holdfast"), HasSubstr("taken"))));
  server_.Sql(database_, "DROP TABLE usage_stats_before_holdfast");
  EXPECT_OK(MigrateTo(database_));
}

}  // namespace
}  // namespace holdfast::mysql
