// A writer with nothing to write looks whether its row is as it left it.

#include "gmock/gmock.h"

#include "tests/unit/writer/writer_fixture.h"

namespace holdfast::writer {
namespace {

using flow::Verdict;
using test::UsageOf;
using test::UuidOf;

class LookTest : public WriterTest {
 protected:
  std::unique_ptr<LaneWriter> WriterOfThree() {
    auto writer = OpenWriter(kUsageLane);
    for (uint64_t id = 1; id <= 3; ++id) {
      events_.Add(UsageOf(UuidOf(id)));
      EXPECT_OK(writer->Write(events_.After(id - 1)));
    }
    return writer;
  }

  // Looks, expects to be led elsewhere, and writes on from there.
  void ExpectReseatedAndReplayed(LaneWriter& writer, uint64_t position) {
    const auto found = writer.Look();
    ASSERT_OK(found);
    EXPECT_EQ(found->kind, Kind::kReseated);
    EXPECT_EQ(writer.seat().position, position);
    WriteAll(writer, events_);
    EXPECT_EQ(Requests(), 3u);
    EXPECT_EQ(Row().position, 3u);
  }
};

TEST_F(LookTest, ARowThatIsAsItWasLeftIsOnlyTouched) {
  const auto writer = WriterOfThree();
  const Seat before = Row();
  const std::string touched = *database_.Read("holdfast_lanes", {"updated_at"})[0][0];
  clock_.Advance(absl::Minutes(1));
  const auto found = writer->Look();
  ASSERT_OK(found);
  EXPECT_EQ(found->kind, Kind::kCommitted);
  EXPECT_EQ(found->done, 0u);
  ExpectSame(Row(), before);
  ExpectSame(writer->seat(), before);
  EXPECT_NE(*database_.Read("holdfast_lanes", {"updated_at"})[0][0], touched);
  EXPECT_EQ(metrics_.lane_reseats->Value(), 0);
}

TEST_F(LookTest, CommitsThatAFailoverLostAreFoundAndReplayed) {
  const auto writer = WriterOfThree();
  database_.FailOver(/*lost_commits=*/2);
  EXPECT_FALSE(writer->Look().ok()) << "the session is lost with the server";
  ExpectReseatedAndReplayed(*writer, 1);
  EXPECT_EQ(metrics_.lane_reseats->Value(), 1);
}

TEST_F(LookTest, ARowThatIsGoneIsMadeAnew) {
  const auto writer = WriterOfThree();
  database_.engine().table("holdfast_lanes").slots.clear();
  ExpectReseatedAndReplayed(*writer, 0);
}

// Two servers that both take writes, one behind the other, and a way between them that changes.
TEST_F(LookTest, ALaneThatIsTakenAgainKeepsWhatThisProcessWrote) {
  const auto writer = NewWriter(kRateLane, DefaultOptions(), /*recovered_head=*/0);
  ASSERT_OK(writer->Open());
  for (int i = 0; i < 3; ++i) events_.Add(test::HitsOf("user:1", 1));
  ASSERT_OK(writer->Write(events_.all()));
  auto& lanes = database_.engine().table("holdfast_lanes").slots;
  const auto as_written = lanes;
  lanes.clear();
  auto found = writer->Look();
  ASSERT_OK(found);
  ASSERT_EQ(found->kind, Kind::kReseated);
  ASSERT_EQ(writer->seat().position, 0u);
  lanes = as_written;
  found = writer->Look();
  ASSERT_OK(found);
  EXPECT_EQ(found->kind, Kind::kReseated);
  EXPECT_EQ(writer->seat().position, 3u);
  WriteAll(*writer, events_);
  EXPECT_EQ(Number("rate_limit_records", "request_count"), 3u) << "counted twice";
  EXPECT_EQ(Row("rate_limit-0").adjusted, 0);
}

TEST_F(LookTest, AnotherProcessThatTookTheLaneFences) {
  const auto writer = WriterOfThree();
  const auto second = OpenWriter(kUsageLane);
  const auto found = writer->Look();
  ASSERT_OK(found);
  EXPECT_EQ(found->kind, Kind::kFenced);
}

TEST_F(LookTest, AServerThatBecameReadOnlyIsNoticed) {
  const auto writer = WriterOfThree();
  database_.FailNthCall(2, {1290, false, false});
  EXPECT_THAT(writer->Look(), HasVerdict(Verdict::kElsewhere));
}

TEST_F(LookTest, AFailureOfAnyCallLeavesNothingInDoubt) {
  const auto writer = WriterOfThree();
  for (const bool took_effect : {false, true}) {
    for (uint64_t nth = 1; nth <= 3; ++nth) {
      clock_.Advance(absl::Seconds(1));
      database_.FailNthCall(nth, {2013, took_effect, false});
      EXPECT_FALSE(writer->Look().ok()) << nth;
      clock_.Advance(absl::Seconds(1));
      const auto found = writer->Look();
      ASSERT_OK(found);
      EXPECT_EQ(found->kind, Kind::kCommitted);
    }
  }
  events_.Add(UsageOf(UuidOf(4)));
  ASSERT_OK(writer->Write(events_.After(3)));
  EXPECT_EQ(Requests(), 4u);
}

TEST_F(LookTest, WhatIsLostAtTheEndIsPassedOverAndBookedAsAdjusted) {
  const auto writer = WriterOfThree();
  ASSERT_OK(writer->PassOver(8));
  EXPECT_EQ(Row().position, 8u);
  EXPECT_EQ(Row().committed, 3u);
  EXPECT_EQ(Row().adjusted, 5);
  ExpectSame(writer->seat(), Row());
}

TEST_F(LookTest, APassingOverWhoseAnswerWasLostIsNotMadeTwice) {
  const auto writer = WriterOfThree();
  uint64_t position = 3;
  for (const bool took_effect : {false, true}) {
    for (uint64_t nth = 1; nth <= 3; ++nth) {
      clock_.Advance(absl::Seconds(1));
      database_.FailNthCall(nth, {2013, took_effect, false});
      position += 2;
      EXPECT_FALSE(writer->PassOver(position).ok()) << nth;
      const auto passed = writer->PassOver(position);
      ASSERT_OK(passed);
      EXPECT_EQ(passed->kind, Kind::kCommitted);
      EXPECT_EQ(Row().position, position);
      EXPECT_EQ(Row().adjusted, static_cast<int64_t>(position - 3));
      ExpectSame(writer->seat(), Row());
    }
  }
}

TEST_F(LookTest, ALaneThatAnotherProcessTookIsNotPassedOver) {
  const auto writer = WriterOfThree();
  const auto second = OpenWriter(kUsageLane);
  const auto found = writer->PassOver(5);
  ASSERT_OK(found);
  EXPECT_EQ(found->kind, Kind::kFenced);
  EXPECT_EQ(Row().position, 3u);
}

}  // namespace
}  // namespace holdfast::writer
