#include "server/admin/state_findings.h"

#include "absl/strings/match.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/unit/admin/fake_daemon_view.h"

namespace holdfast::admin {
namespace {

constexpr auto kOk = v1::FINDING_LEVEL_OK;
constexpr auto kWarning = v1::FINDING_LEVEL_WARNING;
constexpr auto kProblem = v1::FINDING_LEVEL_PROBLEM;

// There is a finding of that check and level with `text`; what is wrong has a meaning and a remedy.
MATCHER_P3(Finds, check, level, text, "") {
  v1::DiagnoseResponse response;
  AddState(arg, &response);
  bool found = false;
  for (const v1::Finding& finding : response.findings()) {
    *result_listener << "\n" << finding.ShortDebugString();
    found = found || (finding.check() == std::string(check) && finding.level() == level &&
                      absl::StrContains(finding.found(), text));
    if (finding.level() >= kWarning && (finding.meaning().empty() || finding.remedy().empty())) {
      return false;
    }
  }
  return found;
}

class StateFindingsTest : public testing::Test {
 protected:
  StateFindingsTest() {
    pipeline::LaneReport lane;
    lane.lane = event::MakeLane(event::Kind::kUsage, 1);
    lane.seated = true;
    lane.head = 10;
    lane.seat.position = 10;
    lane.seat.committed = 10;
    daemon_.pipeline.lanes = {lane};
  }

  test::FakeDaemonView daemon_;
};

TEST_F(StateFindingsTest, ADaemonWithoutComplaintsIsAllWell) {
  v1::DiagnoseResponse response;
  AddState(daemon_, &response);
  for (const v1::Finding& finding : response.findings()) EXPECT_EQ(finding.level(), kOk);
  EXPECT_THAT(daemon_, Finds("readiness", kOk, "writer-7"));
  EXPECT_THAT(daemon_, Finds("books", kOk, "10 accepted = 10 committed"));
}

TEST_F(StateFindingsTest, WhatReadinessMissesIsAProblem) {
  daemon_.pipeline.journal.full = true;
  EXPECT_THAT(daemon_, Finds("readiness", kProblem, "journal is full"));
  daemon_.database.failure = absl::UnavailableError("refused");
  EXPECT_THAT(daemon_, Finds("readiness", kProblem, "cannot be reached"));
}

TEST_F(StateFindingsTest, ALaneThatTriesAgainOrIsLateIsAWarningWithItsReason) {
  daemon_.pipeline.lanes[0].state = pipeline::LaneState::kRetrying;
  daemon_.pipeline.lanes[0].reason = "error 1205";
  EXPECT_THAT(daemon_,
              Finds("lanes", kWarning, "usage-1: its oldest event has waited 0; error 1205"));
  daemon_.pipeline.lanes[0].state = pipeline::LaneState::kBusy;
  daemon_.pipeline.lanes[0].reason.clear();
  daemon_.pipeline.lanes[0].oldest_age = absl::Minutes(2);
  EXPECT_THAT(daemon_, Finds("lanes", kWarning, "has waited 2m"));
}

TEST_F(StateFindingsTest, LanesThatHaveStoppedAreNamed) {
  daemon_.pipeline.lanes[0].state = pipeline::LaneState::kStopped;
  EXPECT_THAT(daemon_, Finds("lanes", kProblem, "usage-1 stand still"));
}

TEST_F(StateFindingsTest, ABalanceThatIsNotKnownOrWasAdjustedIsAWarning) {
  daemon_.pipeline.lanes[0].seat.adjusted = 3;
  EXPECT_THAT(daemon_, Finds("books", kWarning, "3 adjusted"));
  daemon_.pipeline.lanes[0].seated = false;
  EXPECT_THAT(daemon_, Finds("books", kWarning, "10 events accepted"));
}

TEST_F(StateFindingsTest, AnOpenBreakerIsAProblemAndAWaitForConnectionsAWarning) {
  daemon_.circuit.state = flow::BreakerState::kOpen;
  daemon_.circuit.last_failure = "connect to db:3306";
  EXPECT_THAT(daemon_, Finds("breaker", kProblem, "connect to db:3306"));
  daemon_.circuit.state = flow::BreakerState::kHalfOpen;
  EXPECT_THAT(daemon_, Finds("breaker", kWarning, "half open"));
  daemon_.database.waiting = 2;
  EXPECT_THAT(daemon_, Finds("pool", kWarning, "2 waited for"));
}

}  // namespace
}  // namespace holdfast::admin
