#include "server/admin/status.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/unit/admin/fake_daemon_view.h"

namespace holdfast::admin {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

pipeline::LaneReport LaneOf(event::Lane number, uint64_t head, writer::Seat seat) {
  pipeline::LaneReport lane;
  lane.lane = number;
  lane.head = head;
  lane.seated = true;
  lane.seat = seat;
  return lane;
}

TEST(StatusTest, ADaemonWithoutComplaintsIsReadyAndMissesNothing) {
  const test::FakeDaemonView daemon;
  EXPECT_TRUE(Assess(daemon).ready());
  const v1::GetStatusResponse status = StatusOf(daemon);
  EXPECT_THAT(status.missing(), IsEmpty());
  EXPECT_EQ(status.version(), "1.2.3");
  EXPECT_EQ(status.writer_id(), "writer-7");
  EXPECT_EQ(status.started_at().seconds(), 1767225600);
}

TEST(StatusTest, AnAbsentDatabaseDegradesAndDoesNotRefuse) {
  test::FakeDaemonView daemon;
  daemon.database.failure = absl::UnavailableError("connect to db:3306: refused");
  const Readiness readiness = Assess(daemon);
  EXPECT_TRUE(readiness.ready());
  EXPECT_THAT(readiness.degraded, ElementsAre(HasSubstr("connect to db:3306: refused")));
  EXPECT_THAT(StatusOf(daemon).missing(), ElementsAre(HasSubstr("cannot be reached")));
}

TEST(StatusTest, AStoppedOrFencedLaneDegrades) {
  test::FakeDaemonView daemon;
  daemon.pipeline.lanes = {LaneOf(event::MakeLane(event::Kind::kUsage, 1), 0, {}),
                           LaneOf(event::MakeLane(event::Kind::kMessage, 0), 0, {})};
  daemon.pipeline.lanes[0].state = pipeline::LaneState::kStopped;
  daemon.pipeline.lanes[0].reason = "table usage_records is missing";
  daemon.pipeline.lanes[1].state = pipeline::LaneState::kFenced;
  const Readiness readiness = Assess(daemon);
  EXPECT_TRUE(readiness.ready());
  EXPECT_THAT(readiness.degraded, ElementsAre(HasSubstr("usage-1 has stopped: table usage_records"),
                                              HasSubstr("message-0 has stopped")));
}

TEST(StatusTest, WhoTakesNoEventsIsNotReady) {
  test::FakeDaemonView full;
  full.pipeline.journal.full = true;
  EXPECT_THAT(Assess(full).refusing, ElementsAre(HasSubstr("HOLDFAST_JOURNAL_MAX_BYTES")));
  test::FakeDaemonView failed;
  failed.pipeline.journal.failure = absl::DataLossError("fdatasync: EIO");
  EXPECT_THAT(Assess(failed).refusing, ElementsAre(HasSubstr("fdatasync: EIO")));
  test::FakeDaemonView draining;
  draining.facts.draining = true;
  EXPECT_FALSE(Assess(draining).ready());
  EXPECT_TRUE(StatusOf(draining).draining());
}

TEST(StatusTest, TheBooksAddUpOverTheLanes) {
  test::FakeDaemonView daemon;
  writer::Seat one;
  one.position = 10;
  one.committed = 7;
  one.duplicate = 2;
  one.quarantined = 1;
  writer::Seat two;
  two.position = 5;
  two.committed = 3;
  two.adjusted = 2;
  daemon.pipeline.lanes = {LaneOf(16, 12, one), LaneOf(17, 5, two)};
  daemon.pipeline.lanes[0].oldest_age = absl::Milliseconds(1500);
  const v1::GetStatusResponse status = StatusOf(daemon);
  const v1::Books& books = status.books();
  EXPECT_TRUE(books.complete());
  EXPECT_EQ(books.accepted(), 17);
  EXPECT_EQ(books.committed(), 10);
  EXPECT_EQ(books.duplicate(), 2);
  EXPECT_EQ(books.quarantined(), 1);
  EXPECT_EQ(books.adjusted(), 2);
  EXPECT_EQ(books.pending(), 2);
  EXPECT_EQ(status.lanes(0).lane(), "usage-0");
  EXPECT_EQ(status.lanes(0).oldest_age().nanos(), 500'000'000);
  EXPECT_EQ(status.lanes(1).books().pending(), 0);
}

TEST(StatusTest, WhileALaneIsUnknownOnlyTheAcceptedAreTold) {
  test::FakeDaemonView daemon;
  writer::Seat seat;
  seat.position = 10;
  seat.committed = 10;
  daemon.pipeline.lanes = {LaneOf(16, 12, seat), LaneOf(17, 5, {})};
  daemon.pipeline.lanes[1].seated = false;
  const v1::Books books = StatusOf(daemon).books();
  EXPECT_FALSE(books.complete());
  EXPECT_EQ(books.accepted(), 17);
  EXPECT_EQ(books.committed(), 0);
  EXPECT_EQ(books.pending(), 0);
}

TEST(StatusTest, AWarningIsAProblemAndNothingThatIsMissing) {
  test::FakeDaemonView daemon;
  daemon.database.warnings = {"sync_binlog is 0"};
  const v1::GetStatusResponse status = StatusOf(daemon);
  EXPECT_THAT(status.missing(), IsEmpty());
  ASSERT_EQ(status.problems_size(), 1);
  EXPECT_EQ(status.problems(0).effect(), v1::PROBLEM_EFFECT_ENDANGERING);
  EXPECT_EQ(status.problems(0).subject(), "database");
  EXPECT_EQ(status.summary().grade(), v1::GRADE_WARNING);
}

TEST(StatusTest, WhatThePageShowsBesideIsThere) {
  test::FakeDaemonView daemon;
  daemon.facts.journal_folder = "/var/lib/holdfast/journal";
  daemon.database.waiting = 3;
  daemon.database.limit = 15;
  daemon.circuit.options.failure_threshold = 7;
  daemon.circuit.options.recovery_timeout = absl::Milliseconds(1500);
  const v1::GetStatusResponse status = StatusOf(daemon);
  EXPECT_EQ(status.answered_at().seconds() - status.started_at().seconds(), 3600);
  EXPECT_EQ(status.journal().folder(), "/var/lib/holdfast/journal");
  EXPECT_EQ(status.database().connections_waiting(), 3);
  EXPECT_EQ(status.database().connections_limit(), 15);
  ASSERT_EQ(status.circuits_size(), 1);
  EXPECT_EQ(status.circuits(0).config().failure_threshold(), 7);
  EXPECT_EQ(status.circuits(0).config().recovery_timeout().nanos(), 500'000'000);
}

TEST(StatusTest, ACircuitThatNeverChangedHasNoTimeOfChange) {
  test::FakeDaemonView daemon;
  EXPECT_FALSE(CircuitOf(daemon.circuit).has_last_state_change());
  daemon.circuit.state = flow::BreakerState::kOpen;
  daemon.circuit.last_state_change = absl::FromUnixSeconds(1767225600);
  daemon.circuit.last_failure = "refused";
  const v1::Circuit circuit = CircuitOf(daemon.circuit);
  EXPECT_EQ(circuit.state(), v1::CIRCUIT_STATE_OPEN);
  EXPECT_EQ(circuit.last_state_change().seconds(), 1767225600);
  EXPECT_EQ(circuit.last_failure(), "refused");
}

}  // namespace
}  // namespace holdfast::admin
