// A volume without room, or in trouble for a moment: what must be kept all the same.

#include "gmock/gmock.h"

#include "tests/unit/journal/fixture.h"

namespace holdfast::journal {
namespace {

using test::ForgetfulDisk;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::IsSupersetOf;

constexpr event::Lane kUsage = 16;

class NoRoomTest : public JournalTest {
 protected:
  void PowerCut() {
    Close();
    disk_.PowerOff();
    disk_.PowerOn(ForgetfulDisk::End::kPowerCut);
  }
  void ReleaseAll() { journal_->Release(journal_->Status().lane_heads, absl::InfiniteFuture()); }
  // Until the journal has looked for room once more.
  void WaitForAnotherAttempt(int before) {
    // Again and again: the keeper may not have begun to wait yet when the time passes.
    ASSERT_TRUE(Eventually([&] {
      clock_.Advance(absl::Milliseconds(100));
      return disk_.calls(ForgetfulDisk::Call::kCreate) > before;
    }));
  }
};

TEST_F(NoRoomTest, TheOnlySegmentStaysForItKnowsTheProducers) {
  Open();
  Hold(MakeBatch(1, 1, {kUsage, kUsage}));
  const event::Id id = journal_->journal_id();
  Close();
  disk_.set_capacity(1);

  Open();
  ASSERT_TRUE(journal_->Status().full);
  const int attempts = disk_.calls(ForgetfulDisk::Call::kCreate);
  clock_.Advance(options_.retention);
  ReleaseAll();
  WaitForAnotherAttempt(attempts);
  PowerCut();

  disk_.set_capacity(uint64_t{1} << 30);
  Open();
  EXPECT_EQ(journal_->LastSequence(ProducerId(1)), 2);
  EXPECT_EQ(journal_->journal_id(), id);
}

TEST_F(NoRoomTest, AGroupOfThePageCacheIsMadeDurableWhereItIs) {
  Open();
  Hold(MakeBatch(1, 1, {kUsage}));
  disk_.FailNth(ForgetfulDisk::Call::kSync, 1, absl::UnavailableError("EIO"));
  // The keeper may have taken the failure for its own segment.
  ASSERT_OK(journal_->Append(MakeBatch(1, 2, {kUsage})));
  ASSERT_TRUE(
      Eventually([&] { return listener_->failures() > 0 || listener_->durable().size() == 2; }));
  Close();
  disk_.PowerOn(ForgetfulDisk::End::kKill);
  disk_.set_capacity(1);

  Open();
  ASSERT_TRUE(journal_->Status().full);
  ASSERT_EQ(journal_->LastSequence(ProducerId(1)), 2);
  PowerCut();

  Open();
  EXPECT_EQ(journal_->LastSequence(ProducerId(1)), 2);
  EXPECT_THAT(Ordinals(ReadAll(*journal_, kUsage)), ElementsAre(1, 2));
  EXPECT_THAT(journal_->Status().corruptions, IsEmpty());
}

TEST_F(NoRoomTest, AnErrorThatIsNotWantOfRoomCostsNothingThatIsKept) {
  options_.bytes_max = 16 * options_.segment_bytes;
  options_.retention = absl::Hours(1);
  options_.retention_bytes = options_.bytes_max;
  Open();
  const auto fill_segments = [&](size_t count) {
    while (Segments().size() < count) {
      Hold(MakeLargeBatch(1, journal_->LastSequence(ProducerId(1)) + 1, kUsage, 2, 3000));
    }
  };
  fill_segments(3);
  ReleaseAll();
  const std::vector<std::string> kept = Segments();
  ASSERT_TRUE(Eventually([&] { return Names().size() == kept.size() + 1; }));  // And a blank.
  int attempts = disk_.calls(ForgetfulDisk::Call::kCreate);
  disk_.FailNth(ForgetfulDisk::Call::kCreate, 1, absl::UnavailableError("EIO"));
  fill_segments(4);
  WaitForAnotherAttempt(attempts);
  attempts = disk_.calls(ForgetfulDisk::Call::kCreate);
  clock_.Advance(absl::Seconds(1));
  WaitForAnotherAttempt(attempts);
  EXPECT_THAT(Segments(), IsSupersetOf(kept));
}

}  // namespace
}  // namespace holdfast::journal
