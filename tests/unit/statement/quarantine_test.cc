#include "server/statement/quarantine.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/support/accepted_events.h"
#include "tests/support/status_matchers.h"

namespace holdfast::statement {
namespace {

using event::Kind;
using ::testing::HasSubstr;

absl::string_view Text(const Call& call, size_t row, size_t column) {
  return std::get<absl::string_view>(call.rows.values.at(row * call.rows.columns + column));
}

TEST(QuarantineTest, TheDigestDependsOnKindAndBytesAlone) {
  EXPECT_EQ(QuarantineDigest(Kind::kUsage, "abc"), QuarantineDigest(Kind::kUsage, "abc"));
  EXPECT_NE(QuarantineDigest(Kind::kUsage, "abc"), QuarantineDigest(Kind::kUsage, "abd"));
  EXPECT_NE(QuarantineDigest(Kind::kUsage, "abc"), QuarantineDigest(Kind::kMessage, "abc"));
}

TEST(QuarantineTest, TextIsCutBetweenCharacters) {
  EXPECT_EQ(CutText("abc", 5), "abc");
  EXPECT_EQ(CutText("abc", 2), "ab");
  EXPECT_EQ(CutText("ab\xC3\xA4", 4), "ab\xC3\xA4");
  EXPECT_EQ(CutText("ab\xC3\xA4", 3), "ab");
  EXPECT_EQ(CutText("\xF0\x9F\x98\x80x", 3), "");
  EXPECT_EQ(CutText("\x80\x80\x80", 2), "");
  EXPECT_EQ(CutText("", 0), "");
}

const event::Id kJournal = event::EventKey("journal");

TEST(QuarantineTest, RowsAreSortedByDigestAndSayWhichEventTheyAre) {
  test::AcceptedEvents events;
  std::vector<event::Accepted> accepted;
  for (uint64_t id = 0; id < 20; ++id)
    accepted.push_back(events.Add(test::UsageOf(test::UuidOf(id))));
  std::vector<Refused> refused;
  for (const event::Accepted& event : accepted) refused.push_back({&event, 1406, "model", "why"});
  const QuarantineInsert insert(Kind::kUsage, {"writer", "usage-0"}, kJournal, refused,
                                test::EventTime(),
                                /*minimal=*/false);
  ASSERT_EQ(insert.call().rows.size(), 20u);
  for (size_t row = 0; row < 20; ++row) {
    if (row > 0) {
      EXPECT_LT(Text(insert.call(), row - 1, 0), Text(insert.call(), row, 0));
    }
    EXPECT_EQ(Text(insert.call(), row, 10), accepted[insert.IndexOfRow(row)].bytes);
    EXPECT_THAT(std::string(Text(insert.call(), row, 11)), HasSubstr("\"event_id\""));
  }
}

TEST(QuarantineTest, AMinimalRowHasTheEventAndNothingThatCouldBeRefusedAgain) {
  test::AcceptedEvents events;
  const event::Accepted accepted = events.Add(test::MessageOf("m-1"));
  const Refused refused = {&accepted, 1366, "text", "why"};
  const QuarantineInsert insert(Kind::kMessage, {"writer", "message-0"}, kJournal, {&refused, 1},
                                test::EventTime(), /*minimal=*/true);
  EXPECT_EQ(Text(insert.call(), 0, 8), "");
  EXPECT_EQ(Text(insert.call(), 0, 9), "");
  EXPECT_EQ(Text(insert.call(), 0, 10), accepted.bytes);
  EXPECT_EQ(Text(insert.call(), 0, 11), "");
}

TEST(QuarantineTest, AnEventWithoutAJsonFormIsKeptWithoutIt) {
  test::AcceptedEvents events;
  v1::Event event = test::UsageOf(test::UuidOf(1));
  event.mutable_occurred_at()->set_seconds(int64_t{1} << 60);
  const event::Accepted accepted = events.Add(event);
  const Refused refused = {&accepted, 1292, "", "why"};
  const QuarantineInsert insert(Kind::kUsage, {"writer", "usage-0"}, kJournal, {&refused, 1},
                                test::EventTime(), /*minimal=*/false);
  EXPECT_EQ(Text(insert.call(), 0, 11), "");
}

TEST(QuarantineTest, ARowThatIsNotOneOfOursIsAnError) {
  EXPECT_EQ(ReadQuarantined({"1", "usage"}).status().code(), absl::StatusCode::kInternal);
  EXPECT_EQ(ReadQuarantined({"1", "usage", "short", "1", "1", "r", "c", "2026-01-01 00:00:00",
                             "2026-01-01 00:00:00", "1"})
                .status()
                .code(),
            absl::StatusCode::kInternal);
}

}  // namespace
}  // namespace holdfast::statement
