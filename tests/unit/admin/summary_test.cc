#include "server/admin/summary.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/unit/admin/fake_daemon_view.h"

namespace holdfast::admin {
namespace {

using testing::HasSubstr;

v1::Summary SummaryOf(const test::FakeDaemonView& daemon) {
  return admin::SummaryOf(ProblemsOf(daemon.facts, daemon.pipeline, daemon.database), daemon.facts,
                          daemon.pipeline, daemon.database);
}

class SummaryTest : public testing::Test {
 protected:
  SummaryTest() {
    pipeline::LaneReport lane;
    lane.seated = true;
    daemon_.pipeline.lanes = {lane, lane};
  }

  // Grade, then both answers.
  void ExpectSummary(v1::Grade grade, const std::string& safe, const std::string& flows) const {
    const v1::Summary summary = SummaryOf(daemon_);
    EXPECT_EQ(summary.grade(), grade);
    EXPECT_EQ(summary.safe().answer(), safe);
    EXPECT_EQ(summary.flows().answer(), flows);
    EXPECT_FALSE(summary.headline().empty());
    EXPECT_FALSE(summary.safe().because().empty());
    EXPECT_FALSE(summary.flows().because().empty());
  }

  test::FakeDaemonView daemon_;
};

TEST_F(SummaryTest, AllIsWellWhileNothingIsWrong) {
  ExpectSummary(v1::GRADE_GOOD, "Yes", "Yes");
  EXPECT_EQ(SummaryOf(daemon_).headline(), "All is well.");
  EXPECT_THAT(SummaryOf(daemon_).safe().because(), HasSubstr("has reached the database"));
  daemon_.pipeline.lanes[0].head = 1;
  EXPECT_THAT(SummaryOf(daemon_).safe().because(), HasSubstr("or on this disk"));
}

TEST_F(SummaryTest, WithoutTheDatabaseTheDataIsSafeAndHeldUp) {
  daemon_.database.failure = absl::UnavailableError("refused");
  ExpectSummary(v1::GRADE_WARNING, "Yes", "Held up");
  EXPECT_THAT(SummaryOf(daemon_).headline(), HasSubstr("database is away"));
}

TEST_F(SummaryTest, AFullJournalRefusesAndLosesNothing) {
  daemon_.database.failure = absl::UnavailableError("refused");
  daemon_.pipeline.journal.full = true;
  ExpectSummary(v1::GRADE_BAD, "Yes", "No");
  EXPECT_THAT(SummaryOf(daemon_).headline(), HasSubstr("journal is full"));
}

TEST_F(SummaryTest, AFailedJournalIsTheWorst) {
  daemon_.pipeline.journal.failure = absl::DataLossError("fdatasync: EIO");
  daemon_.facts.draining = true;
  ExpectSummary(v1::GRADE_BAD, "At risk", "No");
}

TEST_F(SummaryTest, ADrainEnds) {
  daemon_.facts.draining = true;
  ExpectSummary(v1::GRADE_BAD, "Yes", "Ending");
}

TEST_F(SummaryTest, ADamagedJournalIsNotSafe) {
  daemon_.pipeline.journal.corruptions.push_back({"0001.log", 0, 1, 2, 3, "checksum"});
  ExpectSummary(v1::GRADE_BAD, "Not all of it", "Yes");
  EXPECT_THAT(SummaryOf(daemon_).headline(), HasSubstr("damaged"));
}

TEST_F(SummaryTest, WhatWouldNotOutliveOneMoreFaultIsSaid) {
  daemon_.database.warnings = {"sync_binlog is 0"};
  ExpectSummary(v1::GRADE_WARNING, "With a reservation", "Yes");
  daemon_.facts.journal_is_volatile = true;
  ExpectSummary(v1::GRADE_WARNING, "Only while this machine lives", "Yes");
}

TEST_F(SummaryTest, AStoppedLaneStopsAPart) {
  daemon_.pipeline.lanes[1].state = pipeline::LaneState::kStopped;
  ExpectSummary(v1::GRADE_WARNING, "Yes", "In part");
  EXPECT_THAT(SummaryOf(daemon_).headline(),
              HasSubstr("1 of 2 lanes to the database has stopped."));
}

TEST_F(SummaryTest, BeforeALaneHasItsPositionItDoesNotFlowYet) {
  daemon_.pipeline.lanes[1].seated = false;
  ExpectSummary(v1::GRADE_WARNING, "Yes", "Not yet");
}

TEST_F(SummaryTest, WhoWaitsForLongIsSlow) {
  daemon_.pipeline.lanes[1].head = 1;
  daemon_.pipeline.lanes[1].oldest_age = absl::Seconds(61);
  ExpectSummary(v1::GRADE_WARNING, "Yes", "Slowly");
}

TEST_F(SummaryTest, AWarningIsNoAllIsWell) {
  daemon_.pipeline.journal.limit_bytes = 1000;
  daemon_.pipeline.journal.used_bytes = 600;
  ExpectSummary(v1::GRADE_WARNING, "Yes", "Yes");
  EXPECT_THAT(SummaryOf(daemon_).headline(), HasSubstr("needs a look"));
}

}  // namespace
}  // namespace holdfast::admin
