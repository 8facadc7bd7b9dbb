#include "server/diagnosis/grants.h"

#include "gtest/gtest.h"

#include "tests/unit/diagnosis/finds.h"

namespace holdfast::diagnosis {
namespace {

using testing::ElementsAre;
using testing::Not;

Account AccountOf(const std::vector<std::string>& statements) {
  Account account;
  account.name = "'holdfast'@'%'";
  for (const std::string& statement : statements) {
    if (auto grant = ParseGrant(statement)) account.grants.push_back(*grant);
  }
  return account;
}

// What SHOW GRANTS says of an account with the grants of sql/grants.sql.
Account Documented() {
  Account account;
  account.name = "'holdfast'@'%'";
  account.grants = NeededGrants("gateway_db");
  account.grants.push_back(*ParseGrant("GRANT USAGE ON *.* TO `holdfast`@`%`"));
  return account;
}

TEST(GrantsTest, TheDocumentedGrantsAreReadFromTheirFile) {
  const std::vector<Grant> needed = NeededGrants("shop");
  ASSERT_EQ(needed.size(), 8);
  EXPECT_EQ(needed[0].database, "shop");
  EXPECT_EQ(needed[0].table, "holdfast_schema");
  EXPECT_THAT(needed[0].privileges, ElementsAre("SELECT"));
  EXPECT_EQ(needed[1].table, "holdfast_lanes");
  EXPECT_THAT(needed[1].privileges, ElementsAre("DELETE", "INSERT", "SELECT", "UPDATE"));
}

TEST(GrantsTest, GrantsAreReadAsServersShowThem) {
  const auto table = ParseGrant(
      "GRANT SELECT, INSERT (a, b), UPDATE ON `gate``way`.`t` TO `u`@`%` WITH GRANT OPTION");
  ASSERT_TRUE(table.has_value());
  EXPECT_THAT(table->privileges, ElementsAre("INSERT (a, b)", "SELECT", "UPDATE"));
  EXPECT_EQ(table->database, "gate`way");
  EXPECT_EQ(table->table, "t");
  EXPECT_TRUE(table->may_grant);
  EXPECT_FALSE(ParseGrant("GRANT `writers` TO `u`@`%`").has_value());
  EXPECT_FALSE(ParseGrant("GRANT PROXY ON ''@'%' TO 'root'@'localhost'").has_value());
  EXPECT_FALSE(ParseGrant("GRANT EXECUTE ON PROCEDURE `a`.`b` TO `u`@`%`").has_value());
}

TEST(GrantsTest, TheDocumentedGrantsAreAllWell) {
  Findings findings;
  JudgeGrants(Documented(), "gateway_db", &findings);
  EXPECT_EQ(WorstOf(findings), kOk);
}

TEST(GrantsTest, ProcessIsNotTooMuch) {
  Account account = Documented();
  account.grants.push_back(*ParseGrant("GRANT PROCESS ON *.* TO `holdfast`@`%`"));
  Findings findings;
  JudgeGrants(account, "gateway_db", &findings);
  EXPECT_EQ(WorstOf(findings), kOk);
}

TEST(GrantsTest, AMissingPrivilegeIsNamedWithTheStatementThatGivesIt) {
  Account account = Documented();
  for (Grant& grant : account.grants) {
    if (grant.table == "usage_stats") grant.privileges.erase("UPDATE");
  }
  Findings findings;
  JudgeGrants(account, "gateway_db", &findings);
  EXPECT_THAT(findings, Finds("grants", kProblem, "lacks UPDATE on usage_stats"));
  EXPECT_THAT(findings, Finds("grants", kProblem,
                              "GRANT UPDATE ON gateway_db.usage_stats TO 'holdfast'@'%';"));
}

TEST(GrantsTest, WhatIsNotNeededIsNamed) {
  Findings root;
  JudgeGrants(AccountOf({"GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost` WITH GRANT OPTION"}),
              "gateway_db", &root);
  EXPECT_THAT(root, Finds("grants", kWarning, "ALL PRIVILEGES, GRANT OPTION on *.*"));
  EXPECT_THAT(root, Not(Finds("grants", kProblem, "")));

  Account account = Documented();
  account.grants.push_back(*ParseGrant("GRANT DROP ON `gateway_db`.`message` TO `holdfast`@`%`"));
  Findings drop;
  JudgeGrants(account, "gateway_db", &drop);
  EXPECT_THAT(drop, Finds("grants", kWarning, "DROP on gateway_db.message"));
}

TEST(GrantsTest, ADatabasesPatternCoversItsTables) {
  const Account account = AccountOf({"GRANT SELECT ON `gateway\\_db`.* TO `u`@`%`"});
  EXPECT_TRUE(account.Has("SELECT", "gateway_db", "message"));
  EXPECT_FALSE(account.Has("SELECT", "gatewayxdb", "message"));
  EXPECT_FALSE(account.Has("INSERT", "gateway_db", "message"));
  EXPECT_TRUE(AccountOf({"GRANT SELECT ON `gate%`.* TO `u`@`%`"}).Has("SELECT", "gateway_db", "t"));
}

}  // namespace
}  // namespace holdfast::diagnosis
