#include "server/mysql/session_check.h"

#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "server/mysql/errors.h"
#include "server/mysql/kill_list.h"
#include "tests/support/status_matchers.h"

namespace holdfast::mysql {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// What a sound MariaDB answers, by the expression it was asked for.
class Answers {
 public:
  Answers() {
    const std::string query = ReadBackQuery(Dialect::kMariaDb);
    names_ = absl::StrSplit(query.substr(7), ", ");
    for (const auto& [name, value] : std::vector<std::pair<std::string, std::string>>{
             {"@@version", "10.11.19-MariaDB"},
             {"CONNECTION_ID()", "42"},
             {"UNIX_TIMESTAMP()", "1000000"},
             {"(SELECT variable_value FROM information_schema.global_status WHERE variable_name = "
              "'UPTIME')",
              "1000"},
             {"@@hostname", "db-0"},
             {"@@port", "3306"},
             {"@@server_id", "1"},
             {"@@datadir", "/var/lib/mysql/"},
             {"@@GLOBAL.read_only", "0"},
             {"@@innodb_read_only", "0"},
             {"@@log_bin", "1"},
             {"@@sync_binlog", "1"},
             {"@@innodb_flush_log_at_trx_commit", "1"},
             {"@@max_allowed_packet", "16777216"},
             {"@@SESSION.sql_mode",
              "NO_ENGINE_SUBSTITUTION,STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ZERO_DATE,"
              "NO_ZERO_IN_DATE"},
             {"@@SESSION.time_zone", "+00:00"},
             {"@@SESSION.autocommit", "1"},
             {"@@SESSION.foreign_key_checks", "1"},
             {"@@SESSION.unique_checks", "1"},
             {"@@SESSION.innodb_lock_wait_timeout", "5"},
             {"@@SESSION.lock_wait_timeout", "5"},
             {"@@SESSION.wait_timeout", "60"},
             {"@@SESSION.tx_isolation", "READ-COMMITTED"},
             {"@@SESSION.character_set_client", "utf8mb4"},
             {"@@SESSION.character_set_connection", "utf8mb4"},
             {"@@SESSION.character_set_results", "utf8mb4"},
             {"@@SESSION.max_statement_time", "30.000000"}}) {
      Set(name, value);
    }
  }

  void Set(const std::string& name, const std::string& value) { values_[name] = value; }

  absl::StatusOr<ServerFacts> Check() const {
    ResultRow row;
    for (const std::string& name : names_) row.push_back(values_.at(name));
    return CheckSession(DatabaseOptions(), Dialect::kMariaDb, row);
  }

  const std::vector<std::string>& names() const { return names_; }

 private:
  std::vector<std::string> names_;
  std::map<std::string, std::string> values_;
};

TEST(SessionCheckTest, ASoundServerPassesAndItsFactsAreRead) {
  const auto facts = Answers().Check();
  ASSERT_OK(facts);
  EXPECT_EQ(facts->version, "10.11.19-MariaDB");
  EXPECT_EQ(facts->connection_id, 42u);
  EXPECT_TRUE(facts->durable_commits);
  EXPECT_THAT(facts->warnings, IsEmpty());
  EXPECT_EQ(facts->started_at, absl::FromUnixSeconds(999000));
  EXPECT_LT(facts->statement_bytes_max, size_t{16777216});
  EXPECT_GT(facts->statement_bytes_max, size_t{15000000});
}

TEST(SessionCheckTest, EachSettingThatWasNotTakenIsNamedWithWhatWasAskedAndFound) {
  const Answers sound;
  for (const std::string& name : sound.names()) {
    if (!absl::StartsWith(name, "@@SESSION.")) continue;
    Answers answers;
    answers.Set(name, "77");
    const absl::Status status = answers.Check().status();
    EXPECT_EQ(VerdictOf(status), flow::Verdict::kOutage) << name;
    EXPECT_THAT(
        std::string(status.message()),
        AllOf(HasSubstr(name.substr(10)), HasSubstr("was set to"), HasSubstr("reads back as 77")));
  }
}

TEST(SessionCheckTest, AModeTooManyIsNotTheModeThatWasSet) {
  Answers answers;
  answers.Set("@@SESSION.sql_mode",
              "NO_BACKSLASH_ESCAPES,NO_ENGINE_SUBSTITUTION,STRICT_TRANS_TABLES,"
              "ERROR_FOR_DIVISION_BY_ZERO,NO_ZERO_DATE,NO_ZERO_IN_DATE");
  EXPECT_THAT(answers.Check(),
              test::StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("sql_mode")));
}

TEST(SessionCheckTest, AReadOnlyServerSendsTheCallerElsewhere) {
  for (const char* name : {"@@GLOBAL.read_only", "@@innodb_read_only"}) {
    Answers answers;
    answers.Set(name, "1");
    EXPECT_EQ(VerdictOf(answers.Check().status()), flow::Verdict::kElsewhere) << name;
  }
}

TEST(SessionCheckTest, CommitsThatAreNotSyncedAreWarnedOf) {
  Answers lax;
  lax.Set("@@innodb_flush_log_at_trx_commit", "2");
  auto facts = lax.Check();
  ASSERT_OK(facts);
  EXPECT_FALSE(facts->durable_commits);
  EXPECT_THAT(facts->warnings, ElementsAre(HasSubstr("innodb_flush_log_at_trx_commit is 2")));

  Answers binlog;
  binlog.Set("@@sync_binlog", "0");
  facts = binlog.Check();
  ASSERT_OK(facts);
  EXPECT_FALSE(facts->durable_commits);
  EXPECT_THAT(facts->warnings, ElementsAre(HasSubstr("sync_binlog is 0")));

  binlog.Set("@@log_bin", "0");
  EXPECT_TRUE(binlog.Check()->durable_commits);
}

TEST(SessionCheckTest, AnAnswerOfTheWrongShapeIsRefused) {
  EXPECT_THAT(CheckSession(DatabaseOptions(), Dialect::kMariaDb, {}),
              test::StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("cannot be read")));
}

TEST(ServerFactsTest, ARestartedServerIsAnotherServer) {
  ServerFacts a;
  a.identity = "db-0";
  a.started_at = absl::FromUnixSeconds(1000);
  ServerFacts b = a;
  EXPECT_TRUE(a.IsSameServer(b));
  b.started_at += absl::Seconds(1);
  EXPECT_FALSE(a.IsSameServer(b));
  b = a;
  b.identity = "db-1";
  EXPECT_FALSE(a.IsSameServer(b));
}

ServerFacts ConnectionOn(const std::string& identity, uint64_t id) {
  ServerFacts facts;
  facts.identity = identity;
  facts.started_at = absl::FromUnixSeconds(1000);
  facts.connection_id = id;
  return facts;
}

TEST(KillListTest, OnlyConnectionsOfThatServerAreGivenOutAndOnlyOnce) {
  const absl::Time now = absl::FromUnixSeconds(5000);
  KillList kills(absl::Minutes(2));
  kills.Add(ConnectionOn("a", 7), now);
  kills.Add(ConnectionOn("b", 8), now);
  kills.Add(ConnectionOn("a", 7), now);
  EXPECT_THAT(kills.TakeFor(ConnectionOn("a", 99), now), ElementsAre(7));
  EXPECT_THAT(kills.TakeFor(ConnectionOn("a", 99), now), IsEmpty());
  EXPECT_THAT(kills.TakeFor(ConnectionOn("b", 99), now), ElementsAre(8));
}

TEST(KillListTest, AConnectionNeverKillsItself) {
  const absl::Time now = absl::FromUnixSeconds(5000);
  KillList kills(absl::Minutes(2));
  kills.Add(ConnectionOn("a", 7), now);
  EXPECT_THAT(kills.TakeFor(ConnectionOn("a", 7), now), IsEmpty());
}

TEST(KillListTest, ItForgetsWhatTheServerHasEndedByItselfAndNeverGrowsWithoutBound) {
  const absl::Time now = absl::FromUnixSeconds(5000);
  KillList kills(absl::Minutes(2));
  kills.Add(ConnectionOn("a", 1), now);
  EXPECT_THAT(kills.TakeFor(ConnectionOn("a", 99), now + absl::Minutes(2)), IsEmpty());
  for (uint64_t id = 0; id < 2 * KillList::kEntriesMax; ++id) kills.Add(ConnectionOn("a", id), now);
  EXPECT_THAT(kills.TakeFor(ConnectionOn("a", 9999), now), SizeIs(KillList::kEntriesMax));
}

}  // namespace
}  // namespace holdfast::mysql
