// What an audit says of a database that a script describes. The statements themselves run against a
// real one in tests/e2e/inspect_test.py.

#include "server/inspect/audit.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "server/statement/audit.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/inspect/scripted_session.h"

namespace holdfast::inspect {
namespace {

using mysql::ResultRow;
using test::StatusIs;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

using Answer = std::vector<ResultRow>;

auto Differs(absl::string_view check, absl::string_view what, absl::string_view expected,
             absl::string_view found) {
  return AllOf(Field("check", &Difference::check, check), Field("what", &Difference::what, what),
               Field("expected", &Difference::expected, expected),
               Field("found", &Difference::found, found));
}

class AuditTest : public testing::Test {
 protected:
  AuditTest() {
    options_.writer_id = "w";
    options_.look_again_after = absl::ZeroDuration();
    books_.lane = "usage-0";
    books_.row.journal_id = journal_id_;
    books_.row.epoch = 1;
    books_.row.position = books_.row.committed = 10;
    row_ = books_.row;
    records_.fill("10");
    stats_.fill("10");
  }

  ResultRow LaneRowOf(absl::string_view writer, const statement::LaneRow& row) const {
    return {std::string(writer),
            "usage-0",
            std::string(row.journal_id.view()),
            absl::StrCat(row.epoch),
            absl::StrCat(row.position),
            absl::StrCat(row.committed),
            absl::StrCat(row.duplicate),
            absl::StrCat(row.quarantined),
            absl::StrCat(row.adjusted)};
  }

  Answer Compare() {
    ResultRow row = {"account", "m", "2026-01-15 10:00:00", "1", has_stats_ ? "1" : "0"};
    for (size_t i = 0; i < records_.size(); ++i) {
      row.push_back(records_[i]);
      row.push_back(has_stats_ ? stats_[i] : "0");
    }
    return {row};
  }

  absl::StatusOr<Answer> OnQuery(const std::string& text) {
    ++asked_;
    if (on_query_) on_query_(text);
    if (!failure_.ok()) return failure_;
    if (absl::StrContains(text, "FROM holdfast_lanes")) return Answer{LaneRowOf("w", row_)};
    if (absl::StrContains(text, "MIN(api_key_id)")) {
      const bool first = !std::exchange(key_given_, true);
      return first ? Answer{{"key-1", "key-1"}} : Answer{{std::nullopt, std::nullopt}};
    }
    if (absl::StrContains(text, "MIN(occurred_at)")) {
      const bool first = !std::exchange(time_given_, true);
      return first ? Answer{{"2026-01-15 10:30:00.000000", "2026-01-15 10:00:00"}}
                   : Answer{{std::nullopt, std::nullopt}};
    }
    if (absl::StrContains(text, "UNION ALL")) return Compare();
    if (absl::StrContains(text, "FROM message")) return Answer{{"0", std::nullopt}};
    if (absl::StrContains(text, "FROM holdfast_quarantine")) return Answer{{held_, attempts_}};
    return absl::InternalError(absl::StrCat("not in the script: ", text));
  }

  absl::StatusOr<AuditReport> Run() {
    return Audit(
        options_, [this] { return std::vector<LaneBooks>{books_}; }, [this] { return cancelled_; },
        database_, clock_);
  }

  AuditReport Report() {
    absl::StatusOr<AuditReport> report = Run();
    EXPECT_OK(report);
    EXPECT_FALSE(database_.changed);
    return report.ok() ? *std::move(report) : AuditReport();
  }

  static uint64_t InFlight(const AuditReport& report, absl::string_view name) {
    for (const Check& check : report.checks) {
      if (check.name == name) return check.in_flight;
    }
    ADD_FAILURE() << "no check " << name;
    return 0;
  }

  const event::Id journal_id_ = event::RandomUuid();
  AuditOptions options_;
  test::FakeClock clock_{/*skip_waits=*/true};
  LaneBooks books_;
  statement::LaneRow row_;
  std::array<std::string, statement::kUsageSums.size()> records_;
  std::array<std::string, statement::kUsageSums.size()> stats_;
  bool has_stats_ = true;
  std::string attempts_ = "0";
  std::string held_ = "0";  // Rows that were not replayed.
  absl::Status failure_;
  bool cancelled_ = false;
  bool key_given_ = false;
  bool time_given_ = false;
  int asked_ = 0;
  std::function<void(const std::string&)> on_query_;
  ScriptedDatabase database_{
      [this](const mysql::Statement& statement, const mysql::Rows& /*rows*/) {
        return OnQuery(statement.head);
      }};
};

TEST_F(AuditTest, ABalanceThatHoldsHasNoDifferences) {
  const AuditReport report = Report();
  EXPECT_THAT(report.differences, IsEmpty());
  EXPECT_EQ(report.incomplete, "");
  ASSERT_THAT(report.checks, SizeIs(4));
  EXPECT_EQ(report.checks[0].compared, 1);
  EXPECT_EQ(report.checks[1].compared, 1);
}

TEST_F(AuditTest, ALaneWhoseRowFellBehindIsNamed) {
  row_.position = row_.committed = 8;
  options_.since = absl::UnixEpoch();
  EXPECT_THAT(Report().differences, ElementsAre(Differs("lanes", "position", "10", "8"),
                                                Differs("lanes", "committed", "10", "8")));
}

TEST_F(AuditTest, ARowWhoseSumIsNotItsPositionIsNamed) {
  books_.row.committed = row_.committed = 9;
  options_.since = absl::UnixEpoch();
  EXPECT_THAT(
      Report().differences,
      ElementsAre(Differs("lanes", "committed + duplicate + quarantined + adjusted", "10", "9")));
}

TEST_F(AuditTest, ACommitThatTheDaemonHasNoAnswerForYetIsInFlight) {
  row_.position = row_.committed = 12;
  on_query_ = [this](const std::string& /*text*/) {
    if (asked_ == 2) books_.row.position = books_.row.committed = 12;
  };
  options_.since = absl::UnixEpoch();
  const AuditReport report = Report();
  EXPECT_THAT(report.differences, IsEmpty());
  EXPECT_EQ(InFlight(report, "lanes"), 1);
}

TEST_F(AuditTest, ACounterThatIsNotTheSumOfItsRowsIsNamedWithItsKeyAndByHowMuch) {
  stats_[10] = "17";
  const AuditReport report = Report();
  ASSERT_THAT(report.differences, ElementsAre(Differs("usage_stats", "cost_micros", "10", "17")));
  EXPECT_EQ(report.differences[0].place,
            "usage_stats: api_key_id key-1, account_id account, model m, stat_hour "
            "2026-01-15 10:00:00");
}

TEST_F(AuditTest, ACounterRowThatIsMissingIsNamed) {
  has_stats_ = false;
  EXPECT_THAT(Report().differences, testing::Contains(Differs("usage_stats", "row", "1", "0")));
}

TEST_F(AuditTest, ADifferenceThatIsGoneAtTheSecondLookIsInFlight) {
  stats_[1] = "9";
  int compared = 0;
  on_query_ = [&](const std::string& text) {
    if (absl::StrContains(text, "UNION ALL") && ++compared == 3) stats_[1] = "10";
  };
  const AuditReport report = Report();
  EXPECT_THAT(report.differences, IsEmpty());
  EXPECT_EQ(InFlight(report, "usage_stats"), 1);
}

TEST_F(AuditTest, RowsThatNoLaneCommittedAreCounted) {
  records_[0] = stats_[0] = "11";
  EXPECT_THAT(Report().differences, ElementsAre(Differs("rows", "rows", "10", "11")));
}

TEST_F(AuditTest, RowsThatAreCommittedMeanwhileAreNoDifference) {
  records_[0] = stats_[0] = "11";
  on_query_ = [this](const std::string& text) {
    if (absl::StrContains(text, "FROM message")) row_.position = row_.committed = 12;
  };
  const AuditReport report = Report();
  EXPECT_THAT(report.differences, IsEmpty());
  EXPECT_EQ(InFlight(report, "rows"), 1);
}

TEST_F(AuditTest, ARowThatIsGoneFromTheQuarantineIsNamed) {
  books_.row.quarantined = row_.quarantined = 2;
  books_.row.committed = row_.committed = 8;
  records_[0] = stats_[0] = "8";
  attempts_ = "1";
  EXPECT_THAT(Report().differences,
              ElementsAre(Differs("quarantine", "attempts of all rows", "2", "1")));
}

TEST_F(AuditTest, ARowInTheQuarantineThatNoLaneHasBookedIsNamed) {
  held_ = attempts_ = "1";
  EXPECT_THAT(Report().differences,
              ElementsAre(Differs("quarantine", "rows not replayed", "0", "1")));
}

TEST_F(AuditTest, AReplayedEventLeavesItsRowAndNoDifference) {
  attempts_ = "3";
  EXPECT_THAT(Report().differences, IsEmpty());
}

TEST_F(AuditTest, NoMoreDifferencesAreKeptThanAskedForAndAllAreCounted) {
  stats_.fill("3");
  options_.differences_max = 2;
  const AuditReport report = Report();
  EXPECT_THAT(report.differences, SizeIs(2));
  EXPECT_EQ(report.checks[1].differences, 12);
}

TEST_F(AuditTest, AnAuditWhoseTimeIsOverSaysHowFarItCame) {
  options_.deadline = clock_.Steady();
  const AuditReport report = Report();
  EXPECT_THAT(report.incomplete, HasSubstr("api_key_id key-1"));
  EXPECT_THAT(report.checks, SizeIs(2));
}

TEST_F(AuditTest, ACallerThatIsGoneIsNotWorkedFor) {
  cancelled_ = true;
  EXPECT_THAT(Run(), StatusIs(absl::StatusCode::kCancelled, HasSubstr("gone")));
  EXPECT_EQ(asked_, 0);
}

TEST_F(AuditTest, ADatabaseThatFailsIsAnErrorAndNoCleanAudit) {
  failure_ = absl::UnavailableError("server has gone away");
  EXPECT_THAT(Run(), StatusIs(absl::StatusCode::kUnavailable, HasSubstr("gone away")));
  EXPECT_EQ(database_.condemned, 1);
}

}  // namespace
}  // namespace holdfast::inspect
