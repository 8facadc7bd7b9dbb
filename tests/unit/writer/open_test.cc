// Taking a lane.

#include "gmock/gmock.h"

#include "tests/unit/writer/writer_fixture.h"

namespace holdfast::writer {
namespace {

using flow::Verdict;
using test::FakeCall;
using test::UsageOf;
using test::UuidOf;
using ::testing::AllOf;
using ::testing::HasSubstr;

using OpenTest = WriterTest;

TEST_F(OpenTest, ALaneThatIsNewStartsAtZero) {
  const auto writer = NewWriter(kUsageLane);
  EXPECT_FALSE(writer->is_open());
  ASSERT_OK(writer->Open());
  EXPECT_TRUE(writer->is_open());
  EXPECT_EQ(writer->seat().position, 0u);
  EXPECT_EQ(writer->seat().epoch, 1u);
  ExpectSame(writer->seat(), Row());
}

TEST_F(OpenTest, ALaneGoesOnWhereTheProcessBeforeLeftIt) {
  for (uint64_t id = 1; id <= 3; ++id) events_.Add(UsageOf(UuidOf(id)));
  ASSERT_OK(OpenWriter(kUsageLane)->Write(events_.all()));
  const auto second = OpenWriter(kUsageLane);
  EXPECT_EQ(second->seat().position, 3u);
  EXPECT_EQ(second->seat().committed, 3u);
  EXPECT_EQ(second->seat().epoch, 2u);
  EXPECT_EQ(Committed(), 3) << "what the process before committed is not counted again";
}

TEST_F(OpenTest, ARowOfAnotherJournalStartsAtZero) {
  events_.Add(UsageOf(UuidOf(1)));
  ASSERT_OK(OpenWriter(kUsageLane)->Write(events_.all()));
  WriterOptions other = DefaultOptions();
  other.journal_id = event::EventKey("journal-2");
  const auto second = OpenWriter(kUsageLane, other);
  EXPECT_EQ(second->seat().position, 0u);
  EXPECT_EQ(second->seat().committed, 0u);
  EXPECT_EQ(second->seat().epoch, 2u);
  ExpectSame(second->seat(), Row());
}

// Two daemons under one writer id: whoever is told to start again, under this id or another, must
// not bring once more what it had brought.
TEST_F(OpenTest, AJournalThatLostTheLaneToAnotherGoesOnWhereItWas) {
  for (int i = 0; i < 2; ++i) events_.Add(test::HitsOf("user:1", 1));
  ASSERT_OK(OpenWriter(kRateLane)->Write(events_.all()));
  WriterOptions other = DefaultOptions();
  other.journal_id = event::EventKey("journal-2");
  ASSERT_OK(OpenWriter(kRateLane, other)->Write(events_.After(0, 1)));
  const auto again = OpenWriter(kRateLane);
  EXPECT_EQ(again->seat().position, 2u);
  EXPECT_EQ(again->seat().committed, 2u);
  EXPECT_EQ(again->seat().epoch, 3u);
  EXPECT_EQ(OpenWriter(kRateLane, other)->seat().position, 1u);
  WriterOptions renamed = DefaultOptions();
  renamed.writer_id = "writer-2";
  const auto elsewhere = OpenWriter(kRateLane, renamed);
  EXPECT_EQ(elsewhere->seat().position, 2u);
  WriteAll(*elsewhere, events_);
  EXPECT_EQ(Number("rate_limit_records", "request_count"), 3u);
}

TEST_F(OpenTest, APositionBeyondWhatTheJournalStillHasGoesBackAndIsBooked) {
  for (uint64_t id = 1; id <= 5; ++id) events_.Add(UsageOf(UuidOf(id)));
  ASSERT_OK(OpenWriter(kUsageLane)->Write(events_.all()));
  const auto second = NewWriter(kUsageLane, DefaultOptions(), /*recovered_head=*/3);
  ASSERT_OK(second->Open());
  EXPECT_EQ(second->seat().position, 3u);
  EXPECT_EQ(second->seat().committed, 5u);
  EXPECT_EQ(second->seat().adjusted, -2);
  ExpectSame(second->seat(), Row());
}

TEST_F(OpenTest, TwoWriterIdsAndTwoLanesHaveRowsOfTheirOwn) {
  events_.Add(UsageOf(UuidOf(1)));
  ASSERT_OK(OpenWriter(kUsageLane)->Write(events_.all()));
  WriterOptions other = DefaultOptions();
  other.writer_id = "writer-2";
  EXPECT_EQ(OpenWriter(kUsageLane, other)->seat().position, 0u);
  EXPECT_EQ(OpenWriter(kUsageLane + 1)->seat().position, 0u);
  EXPECT_EQ(database_.Count("holdfast_lanes"), 3u);
}

TEST_F(OpenTest, AFailureOfAnyCallLeavesTheLaneClosedAndIsMendedByCallingAgain) {
  const test::FakeFault faults[] = {{2013, false, false}, {2013, true, false},
                                    {2013, false, true},  {1213, false, false},
                                    {1205, false, false}, {1290, false, false}};
  for (const test::FakeFault& fault : faults) {
    for (uint64_t nth = 1; nth <= 7; ++nth) {
      const auto writer = NewWriter(kUsageLane);
      database_.FailNthCall(nth, fault);
      EXPECT_FALSE(writer->Open().ok()) << nth;
      EXPECT_FALSE(writer->is_open());
      ASSERT_OK(writer->Open());
      ExpectSame(writer->seat(), Row());
    }
  }
}

TEST_F(OpenTest, AnotherStatsUtcOffsetThanTheDatabasesIsAnOutageThatSaysBoth) {
  WriterOptions options = DefaultOptions();
  options.stats_utc_offset = absl::Hours(8);
  const auto writer = NewWriter(kUsageLane, options);
  const absl::Status opened = writer->Open();
  EXPECT_THAT(opened, HasVerdict(Verdict::kOutage));
  EXPECT_THAT(std::string(opened.message()), AllOf(HasSubstr("+08:00"), HasSubstr("+00:00")));
  EXPECT_EQ(database_.Count("holdfast_lanes"), 0u);
  EXPECT_OK(NewWriter(kMessageLane, options)->Open()) << "only usage has hours";
}

TEST_F(OpenTest, ADatabaseThatWasNotSetUpIsAnOutage) {
  database_.engine().table("holdfast_schema").slots.clear();
  EXPECT_THAT(NewWriter(kUsageLane)->Open(), HasVerdict(Verdict::kOutage));
  database_.engine().Drop("holdfast_lanes");
  EXPECT_THAT(NewWriter(kMessageLane)->Open(), HasVerdict(Verdict::kOutage));
}

TEST_F(OpenTest, OptionsThatCannotWorkAreNamed) {
  const auto fault = [](auto change) {
    WriterOptions options = DefaultOptions();
    change(options);
    return std::string(options.Validate().message());
  };
  EXPECT_OK(DefaultOptions().Validate());
  EXPECT_THAT(fault([](auto& o) { o.writer_id = ""; }), HasSubstr("writer_id"));
  EXPECT_THAT(fault([](auto& o) { o.writer_id = std::string(65, 'x'); }), HasSubstr("writer_id"));
  EXPECT_THAT(fault([](auto& o) { o.journal_id = event::Id(); }), HasSubstr("journal_id"));
  EXPECT_THAT(fault([](auto& o) { o.rows_max = 0; }), HasSubstr("rows_max"));
  EXPECT_THAT(fault([](auto& o) { o.stats_utc_offset = absl::Seconds(90); }),
              HasSubstr("stats_utc_offset"));
  EXPECT_THAT(fault([](auto& o) { o.stats_utc_offset = absl::Hours(-15); }),
              HasSubstr("stats_utc_offset"));
  EXPECT_THAT(fault([](auto& o) { o.rent_timeout = absl::ZeroDuration(); }),
              HasSubstr("rent_timeout"));
}

}  // namespace
}  // namespace holdfast::writer
