#include "server/diagnosis/load.h"

#include "gtest/gtest.h"

#include "server/mysql/errors.h"
#include "tests/unit/diagnosis/finds.h"

namespace holdfast::diagnosis {
namespace {

Load Quiet() {
  return {true, std::vector<LockWait>(), std::vector<LongTransaction>(),
          std::vector<LongStatement>()};
}

Findings Judged(const Load& load, bool is_maria_db = true) {
  Findings findings;
  JudgeLoad(load, is_maria_db, &findings);
  return findings;
}

TEST(LoadTest, AQuietServerIsAllWell) { EXPECT_EQ(WorstOf(Judged(Quiet())), kOk); }

TEST(LoadTest, WhoHoldsALockIsNamedWithWhatEndsIt) {
  Load load = Quiet();
  load.lock_waits = std::vector<LockWait>{
      {{17, "'holdfast'@'10.0.0.2'"}, 3, "gateway_db.usage_stats", {9, "'app'@'10.0.0.3'"}, 42}};
  EXPECT_THAT(Judged(load), Finds("lock waits", kProblem,
                                  "locked by connection 9 of 'app'@'10.0.0.3', whose transaction "
                                  "has been open for 42 s"));
  EXPECT_THAT(Judged(load), Finds("lock waits", kProblem, "KILL 9;"));
}

TEST(LoadTest, LongTransactionsAndStatementsAreWarnings) {
  Load load = Quiet();
  load.transactions = std::vector<LongTransaction>{{{9, ""}, 42, 3, true}};
  load.statements = std::vector<LongStatement>{{{10, "'app'@'x'"}, 99}};
  EXPECT_THAT(Judged(load), Finds("transactions", kWarning, "42 s, idle, with 3 rows locked"));
  EXPECT_THAT(Judged(load), Finds("statements", kWarning, "KILL QUERY 10;"));
}

TEST(LoadTest, WithoutThePrivilegeItSaysThatItCannotSee) {
  mysql::DatabaseError error;
  error.error_number = 1227;
  const absl::Status denied = mysql::ToStatus("SELECT on schema", error);
  Load load = Quiet();
  load.sees_others = false;
  load.lock_waits = denied;
  load.transactions = denied;
  EXPECT_THAT(Judged(load), Finds("lock waits", kSkipped, "needs PROCESS"));
  EXPECT_THAT(Judged(load, false), Finds("transactions", kSkipped, "performance_schema"));
  EXPECT_THAT(Judged(load), Finds("statements", kOk, "without PROCESS"));
  EXPECT_LT(WorstOf(Judged(load)), kWarning);
}

}  // namespace
}  // namespace holdfast::diagnosis
