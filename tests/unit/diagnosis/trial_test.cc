#include "server/diagnosis/trial.h"

#include "gtest/gtest.h"

#include "server/diagnosis/probe.h"
#include "server/event/validate.h"
#include "server/mysql/errors.h"
#include "tests/support/fake_database.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/diagnosis/finds.h"

namespace holdfast::diagnosis {
namespace {

using testing::ElementsAre;

const absl::Time kNow = absl::FromUnixSeconds(1772323200);

class TrialTest : public testing::Test {
 protected:
  std::vector<TrialWrite> Try() {
    auto session = database_.Rent(absl::InfiniteFuture());
    EXPECT_OK(session);
    return TryWrites(**session, Options(), kNow);
  }

  test::FakeDatabase database_;
};

std::vector<std::string> TablesOf(const std::vector<TrialWrite>& writes) {
  std::vector<std::string> tables;
  for (const TrialWrite& write : writes) tables.push_back(write.table);
  return tables;
}

TEST_F(TrialTest, EachTableTakesARowAndNothingStays) {
  const std::vector<TrialWrite> writes = Try();
  EXPECT_THAT(TablesOf(writes), ElementsAre("holdfast_lanes", "usage_records", "usage_stats",
                                            "holdfast_rate_limit_hits", "rate_limit_records",
                                            "message", "holdfast_quarantine"));
  for (const TrialWrite& write : writes) {
    EXPECT_OK(write.outcome);
    EXPECT_EQ(database_.Count(write.table), 0) << write.table;
  }
  EXPECT_EQ(database_.commits(), 0);
}

TEST_F(TrialTest, ATableThatFailsIsNamedAndTheOthersAreStillTried) {
  database_.SetFaults([](const test::FakeCall& call) {
    return call.table == "usage_stats" ? test::FakeFault{.error_number = 1142} : test::FakeFault{};
  });
  const std::vector<TrialWrite> writes = Try();
  EXPECT_EQ(writes.size(), 7);
  Findings findings;
  JudgeTrial(writes, &findings);
  EXPECT_THAT(findings, Finds("trial writes", kProblem, "usage_stats: error 1142"));
  EXPECT_THAT(findings, Finds("trial writes", kOk, "message"));
}

TEST_F(TrialTest, ItWaitsForOneLockAndNotForOneOfEachTable) {
  database_.SetFaults([](const test::FakeCall& call) {
    return call.table == "usage_records" ? test::FakeFault{.error_number = 1205}
                                         : test::FakeFault{};
  });
  const std::vector<TrialWrite> writes = Try();
  EXPECT_THAT(TablesOf(writes), ElementsAre("holdfast_lanes", "usage_records"));
  Findings findings;
  JudgeTrial(writes, &findings);
  EXPECT_THAT(findings, Finds("trial writes", kProblem, "lock"));
}

TEST(ProbeTest, ItIsTheSameValidEventEachTime) {
  for (const bool take_rate_limits : {true, false}) {
    const v1::Event probe = Probe(take_rate_limits);
    EXPECT_EQ(event::Validate(probe, kNow), std::nullopt);
    EXPECT_EQ(probe.SerializeAsString(), Probe(take_rate_limits).SerializeAsString());
  }
}

Findings Judged(const absl::StatusOr<ProbeRow>& row) {
  Findings findings;
  JudgeProbe(row, true, &findings);
  return findings;
}

TEST(ProbeTest, OneRowIsRemovedOrNamedAsHarmless) {
  EXPECT_THAT(Judged(ProbeRow{1, absl::OkStatus()}), Finds("read back", kOk, "removed again"));
  const Findings stays = Judged(ProbeRow{1, absl::PermissionDeniedError("1142")});
  EXPECT_THAT(stays, Finds("read back", kOk, "identifier = 'holdfast:doctor'"));
  EXPECT_THAT(stays, Finds("read back", kOk, "harmless"));
}

TEST(ProbeTest, NoRowAndSeveralRowsAreProblems) {
  EXPECT_THAT(Judged(ProbeRow{0, absl::OkStatus()}), Finds("read back", kProblem, "no row"));
  EXPECT_THAT(Judged(ProbeRow{2, absl::OkStatus()}), Finds("read back", kProblem, "2 rows"));
}

}  // namespace
}  // namespace holdfast::diagnosis
