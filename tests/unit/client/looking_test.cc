// What audit, tail and the journal commands show and ask, without a daemon.

#include "gmock/gmock.h"
#include "google/protobuf/util/time_util.h"
#include "gtest/gtest.h"

#include "client/cli/audit_command.h"
#include "client/cli/journal_command.h"
#include "client/cli/tail_command.h"
#include "tests/support/status_matchers.h"

namespace holdfast::client {
namespace {

using google::protobuf::util::TimeUtil;
using test::StatusIs;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

const absl::Time kNow = absl::FromUnixSeconds(1768473000);  // 2026-01-15 10:30:00

v1::TailedEvent Tailed() {
  v1::TailedEvent event;
  event.set_kind("usage");
  event.set_lane("usage-1");
  event.set_producer_id("0f8fad5b-d9cb-469f-a165-70867728950e");
  event.set_sequence(42);
  event.set_bytes(118);
  *event.mutable_accepted_at() = TimeUtil::SecondsToTimestamp(absl::ToUnixSeconds(kNow));
  *event.mutable_age() = TimeUtil::MillisecondsToDuration(12);
  *event.mutable_took() = TimeUtil::MicrosecondsToDuration(8500);
  event.set_outcome(v1::TAIL_OUTCOME_COMMITTED);
  return event;
}

TEST(TailTest, AnEventIsOneLineWithoutContent) {
  const std::string line = FormatTailed(Tailed());
  EXPECT_THAT(line, AllOf(HasSubstr("2026-01-15T10:30:00.000Z"), HasSubstr("usage-1"),
                          HasSubstr("0f8fad5b-d9cb-469f-a165-70867728950e"), HasSubstr("42"),
                          HasSubstr("118 B"), HasSubstr("age 12.0ms"),
                          HasSubstr("committed after 8.5ms"), Not(HasSubstr("\n"))));
}

TEST(TailTest, ContentIsShownWhereItCame) {
  v1::TailedEvent event = Tailed();
  event.mutable_event()->mutable_usage()->set_api_key_id("key-7");
  EXPECT_THAT(FormatTailed(event), HasSubstr("\"apiKeyId\":\"key-7\""));
}

TEST(TailTest, ARefusalHasItsReasonAndNoSize) {
  v1::TailedEvent event;
  event.set_outcome(v1::TAIL_OUTCOME_REFUSED);
  event.set_reason("usage.api_key_id: is missing");
  EXPECT_THAT(FormatTailed(event),
              AllOf(HasSubstr("REFUSED: usage.api_key_id: is missing"), Not(HasSubstr(" B "))));
}

TEST(TailTest, WhatIsNotShownIsCountedByItsCause) {
  EXPECT_EQ(FormatNotShown(0, 0, 20), "");
  EXPECT_THAT(FormatNotShown(7, 0, 20), AllOf(HasSubstr("7 more"), HasSubstr("20 a second")));
  EXPECT_THAT(FormatNotShown(7, 3, 20), HasSubstr("3 were not shown because this reader"));
}

TEST(AuditTest, SinceIsADurationATimeOrAll) {
  EXPECT_EQ(*ParseSince("24h", kNow), kNow - absl::Hours(24));
  EXPECT_EQ(*ParseSince("2026-01-15T10:30:00Z", absl::Now()), kNow);
  EXPECT_EQ(*ParseSince("all", kNow), absl::InfinitePast());
  for (const char* text : {"", "yesterday", "-1h", "0s"}) {
    EXPECT_THAT(ParseSince(text, kNow),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("--since")));
  }
}

TEST(AuditTest, AReportSaysWhereItDiffersAndByHowMuch) {
  v1::AuditResponse audit;
  v1::AuditCheck* check = audit.add_checks();
  check->set_name("usage_stats");
  check->set_about("counters against rows");
  check->set_compared(12);
  check->set_differences(3);
  check->set_in_flight(1);
  v1::AuditDifference* difference = audit.add_differences();
  difference->set_place("usage_stats: api_key_id k");
  difference->set_what("cost_micros");
  difference->set_expected("10");
  difference->set_found("17");
  audit.set_incomplete("its time was over");
  EXPECT_THAT(FormatAudit(audit),
              AllOf(HasSubstr("DIFFERS  usage_stats: api_key_id k"),
                    HasSubstr("cost_micros: 17, must be 10"), HasSubstr("and 2 more"),
                    HasSubstr("INCOMPLETE: its time was over"),
                    HasSubstr("The balance does not hold: 3 differences")));
}

TEST(AuditTest, ACleanReportSaysSo) {
  v1::AuditResponse audit;
  audit.add_checks()->set_name("lanes");
  EXPECT_THAT(FormatAudit(audit), AllOf(HasSubstr("The balance holds"), Not(HasSubstr("DIFFERS"))));
}

std::vector<std::string> Words(const Command& command, absl::string_view what,
                               const std::vector<std::string>& words) {
  std::vector<FlagSpec> known;
  for (const Flag& flag : command.flags) known.push_back({flag.name, !flag.value.empty()});
  const absl::StatusOr<Arguments> arguments = Arguments::Parse(words, known);
  EXPECT_OK(arguments);
  return arguments.ok() ? InspectionWords(what, *arguments) : std::vector<std::string>();
}

TEST(JournalTest, WhatIsAskedIsHandedToTheDaemonsProgram) {
  EXPECT_THAT(Words(JournalVerifyCommand(), "verify", {}),
              ElementsAre("holdfastd", "--inspect_journal=verify", "--"));
  EXPECT_THAT(Words(JournalExportCommand(), "export",
                    {"--dir=/j", "--kind=usage", "--pending_only", "--", "--mysql_host=db"}),
              ElementsAre("holdfastd", "--inspect_journal=export", "--holdfast_journal_dir=/j",
                          "--mysql_host=db", "--", "--kind=usage", "--pending_only"));
}

TEST(JournalTest, AStrayWordIsNoFolder) {
  const absl::StatusOr<Arguments> arguments = Arguments::Parse({"/var/lib/journal"}, {});
  ASSERT_OK(arguments);
  EXPECT_THAT(JournalListCommand().run(*arguments),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("--dir")));
}

}  // namespace
}  // namespace holdfast::client
