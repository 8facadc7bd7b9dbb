#include "server/diagnosis/server.h"

#include "gtest/gtest.h"

#include "server/diagnosis/diagnosis.h"
#include "server/mysql/errors.h"
#include "tests/unit/diagnosis/finds.h"

namespace holdfast::diagnosis {
namespace {

constexpr auto kMariaDb = mysql::Dialect::kMariaDb;

Variables Well() {
  return {{"@@version", "10.11.6-MariaDB-0+deb12u1"},
          {"@@innodb_flush_log_at_trx_commit", "1"},
          {"@@log_bin", "1"},
          {"@@sync_binlog", "1"},
          {"@@GLOBAL.read_only", "0"},
          {"@@innodb_read_only", "0"},
          {"@@max_allowed_packet", "16777216"},
          {"@@GLOBAL.max_connections", "151"},
          {"@@SESSION.max_user_connections", "0"},
          {"Threads_connected", "12"},
          {"Max_used_connections", "40"}};
}

Findings Judged(const Variables& server, mysql::Dialect dialect = kMariaDb) {
  Findings findings;
  JudgeServer(server, dialect, false, &findings);
  return findings;
}

Findings Connections(const Variables& server, const Options& options = Options()) {
  Findings findings;
  JudgeConnections(server, options, &findings);
  return findings;
}

TEST(ServerTest, ADurableWritableServerIsAllWell) {
  EXPECT_EQ(WorstOf(Judged(Well())), kOk);
  EXPECT_EQ(WorstOf(Connections(Well())), kOk);
}

TEST(ServerTest, CommitsThatMayBeLostAreAWarningWithTheirVariable) {
  Variables server = Well();
  server["@@innodb_flush_log_at_trx_commit"] = "2";
  EXPECT_THAT(Judged(server), Finds("durability", kWarning, "innodb_flush_log_at_trx_commit is 2"));
  server = Well();
  server["@@sync_binlog"] = "0";
  EXPECT_THAT(Judged(server), Finds("durability", kWarning, "SET GLOBAL sync_binlog = 1"));
  server["@@log_bin"] = "0";
  EXPECT_EQ(WorstOf(Judged(server)), kOk);
}

TEST(ServerTest, AReadOnlyServerIsAProblem) {
  for (const char* name :
       {"@@GLOBAL.read_only", "@@GLOBAL.super_read_only", "@@innodb_read_only"}) {
    Variables server = Well();
    server[name] = "1";
    EXPECT_THAT(Judged(server), Finds("read only", kProblem, "read_only is on")) << name;
  }
}

TEST(ServerTest, OldServersAndSmallPacketsAreFound) {
  Variables server = Well();
  server["@@version"] = "10.2.44-MariaDB";
  EXPECT_THAT(Judged(server), Finds("version", kProblem, "10.2.44"));
  server["@@version"] = "5.7.44";
  EXPECT_THAT(Judged(server, mysql::Dialect::kMysql), Finds("version", kOk, "MySQL 5.7.44"));
  server["@@max_allowed_packet"] = "1048576";
  EXPECT_THAT(Judged(server), Finds("packet", kWarning, "1048576"));
}

TEST(ServerTest, FewConnectionsLeftAreAWarning) {
  Variables server = Well();
  server["Threads_connected"] = "130";
  EXPECT_THAT(Connections(server), Finds("connections", kWarning, "130 of 151"));
  server = Well();
  server["@@GLOBAL.max_connections"] = "14";
  EXPECT_THAT(Connections(server), Finds("connections", kWarning, "the pool may ask for 15"));
  server = Well();
  server["@@SESSION.max_user_connections"] = "5";
  EXPECT_THAT(Connections(server), Finds("connections", kWarning, "the account may have 5"));
}

TEST(SessionTest, SettingsThatWereNotTakenAreAProblem) {
  const Variables session = {{"isolation", "READ-COMMITTED"}};
  Options options;
  Findings well;
  JudgeSession(absl::OkStatus(), session, options, &well);
  EXPECT_THAT(well, Finds("session", kOk, "READ-COMMITTED"));

  mysql::DatabaseError error;
  error.verdict = flow::Verdict::kOutage;
  Findings changed;
  JudgeSession(mysql::ToStatus("the session's sql_mode was set to a and reads back as b", error),
               session, options, &changed);
  EXPECT_THAT(changed, Finds("session", kProblem, "sql_mode"));

  error.verdict = flow::Verdict::kElsewhere;
  Findings read_only;
  JudgeSession(mysql::ToStatus("the server is read-only", error), session, options, &read_only);
  EXPECT_THAT(read_only, Finds("session", kSkipped, "takes writes"));

  options.database.isolation_level = "REPEATABLE READ";
  Findings gaps;
  JudgeSession(absl::OkStatus(), session, options, &gaps);
  EXPECT_THAT(gaps, Finds("session", kWarning, "DB_ISOLATION_LEVEL"));
}

TEST(ConfigurationTest, EachFaultIsAProblemAndAllElseIsSkipped) {
  Findings findings;
  findings.response() =
      DiagnoseNothing(absl::InvalidArgumentError("MYSQL_PORT: \"x\" will not do\nDB_X: no such"));
  EXPECT_THAT(findings, Finds("configuration", kProblem, "MYSQL_PORT"));
  EXPECT_THAT(findings, Finds("configuration", kProblem, "DB_X"));
  EXPECT_THAT(findings, Finds("login", kSkipped, "needs configuration"));
  EXPECT_THAT(findings, Finds("journal", kSkipped, "needs configuration"));
}

}  // namespace
}  // namespace holdfast::diagnosis
