#include "server/admin/problems.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/unit/admin/fake_daemon_view.h"

namespace holdfast::admin {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<Problem> ProblemsOf(const test::FakeDaemonView& daemon) {
  return admin::ProblemsOf(daemon.facts, daemon.pipeline, daemon.database);
}

pipeline::LaneReport LaneOf(int index, pipeline::LaneState state, const std::string& reason) {
  pipeline::LaneReport lane;
  lane.lane = event::MakeLane(event::Kind::kUsage, index);
  lane.state = state;
  lane.reason = reason;
  return lane;
}

TEST(ProblemsTest, ADaemonWithoutComplaintsHasNone) {
  EXPECT_THAT(ProblemsOf(test::FakeDaemonView()), IsEmpty());
}

TEST(ProblemsTest, EachHasACauseAndARemedy) {
  test::FakeDaemonView daemon;
  daemon.facts.draining = true;
  daemon.facts.journal_is_volatile = true;
  daemon.facts.journal_folder = "/tmp/journal";
  daemon.pipeline.journal.full = true;
  daemon.pipeline.journal.corruptions.push_back({"0001.log", 0, 1, 2, 3, "checksum"});
  daemon.database.failure = absl::UnavailableError("connect to db:3306: refused");
  daemon.database.warnings = {"sync_binlog is 0"};
  daemon.pipeline.lanes = {LaneOf(0, pipeline::LaneState::kStopped, "no table")};
  const std::vector<Problem> problems = ProblemsOf(daemon);
  EXPECT_EQ(problems.size(), 7);
  for (const Problem& problem : problems) {
    EXPECT_EQ(problem.cause.back(), '.') << problem.cause;
    EXPECT_EQ(problem.remedy.back(), '.') << problem.remedy;
  }
}

TEST(ProblemsTest, TheGravestComesFirst) {
  test::FakeDaemonView daemon;
  daemon.pipeline.journal.full = true;
  daemon.database.failure = absl::UnavailableError("refused");
  daemon.database.warnings = {"sync_binlog is 0"};
  EXPECT_THAT(ProblemsOf(daemon), ElementsAre(Field(&Problem::effect, Effect::kRefusing),
                                              Field(&Problem::effect, Effect::kEndangering),
                                              Field(&Problem::effect, Effect::kDelaying)));
}

TEST(ProblemsTest, AJournalThatFillsIsToldBeforeItIsFull) {
  test::FakeDaemonView daemon;
  daemon.pipeline.journal.limit_bytes = 1000;
  daemon.pipeline.journal.used_bytes = 500;
  EXPECT_THAT(ProblemsOf(daemon), IsEmpty());
  daemon.pipeline.journal.used_bytes = 620;
  EXPECT_THAT(ProblemsOf(daemon), ElementsAre(AllOf(Field(&Problem::effect, Effect::kWarning),
                                                    Field(&Problem::cause, HasSubstr("62 %")))));
}

TEST(ProblemsTest, LanesWithOneReasonAreOneProblem) {
  test::FakeDaemonView daemon;
  daemon.pipeline.lanes = {LaneOf(0, pipeline::LaneState::kStopped, "no table"),
                           LaneOf(1, pipeline::LaneState::kFenced, "taken over"),
                           LaneOf(2, pipeline::LaneState::kStopped, "no table")};
  EXPECT_THAT(
      ProblemsOf(daemon),
      ElementsAre(
          Field(&Problem::cause, HasSubstr("Lanes usage-0, usage-2 have stopped: no table")),
          Field(&Problem::cause, HasSubstr("Lane usage-1 has stopped: taken over"))));
}

TEST(ProblemsTest, ALaneIsBehindOnceAnEventHasWaitedForLong) {
  test::FakeDaemonView daemon;
  daemon.pipeline.lanes = {LaneOf(0, pipeline::LaneState::kRetrying, "lock wait")};
  daemon.pipeline.lanes[0].oldest_age = kWaitsLong;
  EXPECT_THAT(ProblemsOf(daemon), IsEmpty());
  daemon.pipeline.lanes[0].oldest_age = absl::Seconds(75);
  EXPECT_THAT(ProblemsOf(daemon),
              ElementsAre(AllOf(Field(&Problem::effect, Effect::kWarning),
                                Field(&Problem::cause, HasSubstr("1m15s; lock wait")))));
  // While the database is away, that is what there is to say.
  daemon.database.failure = absl::UnavailableError("refused");
  EXPECT_THAT(ProblemsOf(daemon), ElementsAre(Field(&Problem::subject, "database")));
}

}  // namespace
}  // namespace holdfast::admin
