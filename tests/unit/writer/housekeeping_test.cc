#include "server/writer/housekeeping.h"

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"

#include "tests/unit/writer/writer_fixture.h"

namespace holdfast::writer {
namespace {

using ::testing::HasSubstr;

class HousekeepingTest : public WriterTest {
 protected:
  static HousekeepingOptions Options() {
    HousekeepingOptions options;
    options.writer_id = "writer-1";
    return options;
  }
  Housekeeping housekeeping_{Options(), database_, clock_};
};

TEST_F(HousekeepingTest, IdsOfHitsAreForgottenAThousandAtATimeAndOnlyOldOnes) {
  const auto writer = OpenWriter(kRateLane);
  for (uint64_t id = 1; id <= 1500; ++id) {
    v1::Event event = test::HitsOf("user:1", 1, test::UuidOf(id));
    test::SetOccurredAt(clock_.Now() - absl::Hours(id <= 1200 ? 8 * 24 + 1 : 8 * 24 - 1), &event);
    events_.Add(event);
  }
  ASSERT_OK(writer->Write(events_.all()));
  ASSERT_OK(housekeeping_.Step());
  EXPECT_TRUE(housekeeping_.more());
  EXPECT_EQ(database_.Count("holdfast_rate_limit_hits"), 500u);
  ASSERT_OK(housekeeping_.Step());
  EXPECT_FALSE(housekeeping_.more());
  EXPECT_EQ(database_.Count("holdfast_rate_limit_hits"), 300u);
}

TEST_F(HousekeepingTest, LanesOfWritersThatAreGoneGoAndIdleLanesOfOurOwnStay) {
  OpenWriter(kUsageLane);
  OpenWriter(kMessageLane);
  WriterOptions other = DefaultOptions();
  other.writer_id = "writer-2";
  OpenWriter(kUsageLane, other);
  clock_.Advance(absl::Hours(29 * 24));
  ASSERT_OK(housekeeping_.Step());
  EXPECT_EQ(database_.Count("holdfast_lanes"), 3u);
  clock_.Advance(absl::Hours(2 * 24));
  ASSERT_OK(housekeeping_.Step());
  EXPECT_EQ(database_.Count("holdfast_lanes"), 2u) << "those of writer-1, idle for as long";
}

// A daemon's own clock may be anywhere, at the boot of its machine for example.
TEST_F(HousekeepingTest, WhatIsOldTheDatabasesClockSays) {
  WriterOptions other = DefaultOptions();
  other.writer_id = "writer-2";
  const absl::Time time = clock_.Now();
  database_.set_server_time(time);
  clock_.JumpWall(-absl::Hours(10 * 365 * 24));
  const auto writer = OpenWriter(kRateLane, other);
  v1::Event event = test::HitsOf("user:1", 1, test::UuidOf(1));
  test::SetOccurredAt(time, &event);
  events_.Add(event);
  ASSERT_OK(writer->Write(events_.all()));
  clock_.JumpWall(absl::Hours(20 * 365 * 24));
  database_.set_server_time(time + absl::Hours(7 * 24));
  ASSERT_OK(housekeeping_.Step());
  EXPECT_EQ(database_.Count("holdfast_lanes"), 1u);
  EXPECT_EQ(database_.Count("holdfast_rate_limit_hits"), 1u);
  const auto found = writer->Look();
  ASSERT_OK(found);
  EXPECT_EQ(found->kind, Kind::kCommitted);
  clock_.JumpWall(-absl::Hours(20 * 365 * 24));
  database_.set_server_time(time + absl::Hours(40 * 24));
  ASSERT_OK(housekeeping_.Step());
  EXPECT_EQ(database_.Count("holdfast_lanes"), 0u);
  EXPECT_EQ(database_.Count("holdfast_rate_limit_hits"), 0u);
}

TEST_F(HousekeepingTest, ALaneThatIsTouchedKeepsItsSeat) {
  const auto writer = OpenWriter(kUsageLane);
  clock_.Advance(absl::Hours(31 * 24));
  ASSERT_OK(housekeeping_.Step());
  events_.Add(test::UsageOf(test::UuidOf(1)));
  const auto written = writer->Write(events_.all());
  ASSERT_OK(written);
  EXPECT_EQ(written->kind, Kind::kCommitted);
}

TEST_F(HousekeepingTest, AFailureIsReturnedAndLeavesNoTransactionOpen) {
  OpenWriter(kUsageLane);
  clock_.Advance(absl::Hours(48));
  for (int nth = 1; nth <= 10; ++nth) {
    int calls = 0;
    database_.SetFaults([&](const test::FakeCall& call) {
      const bool counts = call.kind != test::FakeCall::Kind::kRollback;
      return counts && ++calls == nth ? test::FakeFault{1205, false, false} : test::FakeFault();
    });
    EXPECT_THAT(housekeeping_.Step(), HasVerdict(flow::Verdict::kRetry)) << nth;
  }
  database_.SetFaults(nullptr);
  EXPECT_OK(housekeeping_.Step());
}

TEST_F(HousekeepingTest, OptionsThatCannotWorkAreNamed) {
  HousekeepingOptions options = Options();
  EXPECT_OK(options.Validate());
  options.hits_retention = absl::Hours(24);
  EXPECT_THAT(std::string(options.Validate().message()), HasSubstr("hits_retention"));
  options = Options();
  options.lane_retention = absl::Hours(25);
  EXPECT_THAT(std::string(options.Validate().message()), HasSubstr("lane_retention"));
  options = Options();
  options.writer_id = "";
  EXPECT_THAT(std::string(options.Validate().message()), HasSubstr("writer_id"));
}

}  // namespace
}  // namespace holdfast::writer
