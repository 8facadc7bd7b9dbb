// Room: full and open again, what is deleted, and what survives the deletion.

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"

#include "tests/unit/journal/fixture.h"

namespace holdfast::journal {
namespace {

using test::ForgetfulDisk;
using test::StatusIs;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

constexpr event::Lane kUsage = 16;
constexpr event::Lane kMessage = 32;

class RoomTest : public JournalTest {
 protected:
  RoomTest() { options_.bytes_max = 8 * options_.segment_bytes; }

  // Appends batches of about 6 KiB until one is refused. One that was taken just before the journal
  // saw that it is full waits for room, unanswered.
  absl::Status Fill(event::Lane lane = kUsage) {
    for (int i = 0; i < 1000; ++i) {
      const size_t before = listener_->durable().size();
      const uint64_t next = journal_->LastSequence(ProducerId(1)) + 1;
      const absl::Status status = journal_->Append(MakeLargeBatch(1, next, lane, 2, 3000));
      if (!status.ok()) return status;
      EXPECT_TRUE(Eventually(
          [&] { return listener_->durable().size() > before || journal_->Status().full; }));
      if (listener_->failures() > 0) return absl::InternalError("the journal failed");
    }
    return absl::InternalError("never full");
  }

  // Appends until there are so many segments.
  void FillSegments(size_t count) {
    while (Segments().size() < count) {
      Hold(MakeLargeBatch(1, journal_->LastSequence(ProducerId(1)) + 1, kUsage, 2, 3000));
    }
  }

  // The database answers all the time.
  void Release(const LanePositions& settled) { journal_->Release(settled, absl::InfiniteFuture()); }
  void ReleaseAll() { Release(journal_->Status().lane_heads); }

  uint64_t FileBytes() {
    uint64_t bytes = 0;
    for (const std::string& name : Names()) bytes += disk_.Contents(name).size();
    return bytes;
  }
};

TEST_F(RoomTest, AtItsLimitTheJournalIsFullAndReopensWhenEnoughIsReleased) {
  Open();
  EXPECT_THAT(Fill(), StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("journal is full")));
  EXPECT_TRUE(journal_->Status().full);
  EXPECT_LE(FileBytes(), options_.bytes_max);
  EXPECT_EQ(TestMetrics().journal_full->Value(), 1);
  // What is held already needs no room.
  EXPECT_OK(journal_->Append(MakeLargeBatch(1, 1, kUsage, 2, 3000)));

  // It reopens a tenth below where it closed.
  ReleaseAll();
  ASSERT_TRUE(Eventually([&] { return !journal_->Status().full; }));
  Hold(MakeBatch(2, 1, {kUsage}));
  EXPECT_EQ(listener_->failures(), 0);
  EXPECT_EQ(TestMetrics().journal_full->Value(), 0);
}

TEST_F(RoomTest, DiskUseNeverPassesTheLimit) {
  Open();
  for (int round = 0; round < 3; ++round) {
    ASSERT_THAT(Fill(), StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("full")));
    EXPECT_LE(FileBytes(), options_.bytes_max);
    ReleaseAll();
    ASSERT_TRUE(Eventually([&] { return !journal_->Status().full; }));
  }
}

TEST_F(RoomTest, AFullJournalStartsFullAndDelivers) {
  Open();
  ASSERT_THAT(Fill(), StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("full")));
  const uint64_t answered = journal_->Status().last_offset;
  Open();
  EXPECT_TRUE(journal_->Status().full);
  // The one that waited for room may have found it in the last segment as the journal stopped.
  const uint64_t last = journal_->Status().last_offset;
  EXPECT_GE(last, answered);
  EXPECT_LE(FileBytes(), options_.bytes_max);
  EXPECT_THAT(ReadAll(*journal_, kUsage), SizeIs(last));
  EXPECT_THAT(journal_->Append(MakeBatch(2, 1, {kUsage})),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("full")));
  ReleaseAll();
  ASSERT_TRUE(Eventually([&] { return !journal_->Status().full; }));
  Hold(MakeBatch(2, 1, {kUsage}));
  EXPECT_EQ(listener_->durable()[0].first_offset, last + 1);
}

TEST_F(RoomTest, AFullVolumeRefusesNewEventsWithoutPoisoningAndIsTriedAgain) {
  disk_.set_capacity(3 * options_.segment_bytes);
  Open();
  EXPECT_THAT(Fill(), StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("full")));
  EXPECT_EQ(listener_->failures(), 0);
  EXPECT_OK(journal_->Status().failure);
  disk_.set_capacity(100 * options_.segment_bytes);
  ASSERT_TRUE(Eventually([&] {
    clock_.Advance(absl::Seconds(1));
    return !journal_->Status().full;
  }));
  Hold(MakeBatch(2, 1, {kUsage}));
}

TEST_F(RoomTest, OnAFullVolumeTheJournalOpensAndDelivers) {
  Open();
  FillSegments(3);
  const uint64_t last = journal_->Status().last_offset;
  // The next one is there as well: what is left below has room for two, and one always stays.
  ASSERT_TRUE(Eventually([&] { return Names().size() == 4; }));
  Close();
  disk_.set_capacity(FileBytes() - options_.segment_bytes);
  Open();
  EXPECT_TRUE(journal_->Status().full);
  EXPECT_THAT(ReadAll(*journal_, kUsage), SizeIs(last));
  ReleaseAll();  // Makes the room that is needed.
  ASSERT_TRUE(Eventually([&] {
    clock_.Advance(absl::Seconds(1));
    return !journal_->Status().full;
  }));
  Hold(MakeBatch(2, 1, {kUsage}));
}

TEST_F(RoomTest, OnlyWholeReleasedSegmentsAreDeleted) {
  Open();
  FillSegments(3);
  const std::vector<std::string> segments = Segments();
  const uint64_t head = journal_->Status().lane_heads[kUsage];
  LanePositions settled{};
  settled[kUsage] = 1;
  Release(settled);
  settled[kUsage] = 0;
  Release(settled);
  EXPECT_EQ(Segments(), segments);
  settled[kUsage] = head;
  Release(settled);
  ASSERT_TRUE(Eventually([&] { return Segments().size() == 1; }));
  EXPECT_EQ(Segments()[0], segments.back());
}

TEST_F(RoomTest, ASegmentStaysAsLongAsOneLaneNeedsIt) {
  options_.bytes_max = 16 * options_.segment_bytes;
  const event::Lane last = event::kLaneCount - 1;
  for (const event::Lane needs_it : {event::Lane{0}, kMessage, last}) {
    SCOPED_TRACE(needs_it);
    Open();
    Hold(MakeBatch(2, 1, {needs_it}));
    const std::string first = Segments().front();
    FillSegments(3);
    LanePositions settled = journal_->Status().lane_heads;
    settled[needs_it] = 0;
    Release(settled);
    // More segments than were prepared: the keeper has been round since.
    FillSegments(6);
    ASSERT_THAT(Segments(), Contains(first));
    EXPECT_THAT(ReadAll(*journal_, needs_it), SizeIs(1));
    settled[needs_it] = 1;
    Release(settled);
    EXPECT_TRUE(Eventually([&] { return Segments().size() == 4; }));
    Close();
    for (const std::string& name : Names()) disk_.Erase(name);
  }
}

TEST_F(RoomTest, ReleasedSegmentsAreKeptForTheRetention) {
  options_.retention = absl::Minutes(15);
  Open();
  FillSegments(3);
  ReleaseAll();
  clock_.Advance(absl::Minutes(14));
  Hold(MakeBatch(2, 1, {kUsage}));
  EXPECT_THAT(Segments(), SizeIs(3));
  // They can be read again, if the database lost what it had.
  EXPECT_EQ(ReadAll(*journal_, kUsage).front().ordinal, 1);
  EXPECT_EQ(journal_->Status().used_bytes, options_.segment_bytes);
  clock_.Advance(absl::Minutes(1));
  EXPECT_TRUE(Eventually([&] { return Segments().size() == 1; }));
}

TEST_F(RoomTest, WhileTheDatabaseIsAwayNoTimePassesForWhatIsReleased) {
  options_.retention = absl::Minutes(15);
  Open();
  FillSegments(3);
  const LanePositions heads = journal_->Status().lane_heads;
  journal_->Release(heads, clock_.Steady());
  const absl::Time seen_at = clock_.Steady() + absl::Minutes(14);
  clock_.Advance(absl::Hours(24));
  journal_->Release(heads, seen_at);
  // More segments than were prepared: the keeper has been round since.
  FillSegments(6);
  EXPECT_EQ(ReadAll(*journal_, kUsage).front().ordinal, 1);
  journal_->Release(heads, seen_at + absl::Minutes(1));
  EXPECT_TRUE(Eventually([&] {
    clock_.Advance(absl::Seconds(1));
    return Segments().size() == 4;
  }));
}

TEST_F(RoomTest, WhatTheDatabaseLostIsKeptUntilItIsSettledAgain) {
  options_.retention = absl::Minutes(15);
  Open();
  FillSegments(3);
  const uint64_t used_bytes = journal_->Status().used_bytes;
  ReleaseAll();
  LanePositions lost = journal_->Status().lane_heads;
  lost[kUsage] = 1;
  Release(lost);
  EXPECT_EQ(journal_->Status().used_bytes, used_bytes);
  clock_.Advance(absl::Hours(1));
  // More segments than were prepared: the keeper has been round since.
  FillSegments(6);
  EXPECT_EQ(ReadAll(*journal_, kUsage, 1).front().ordinal, 2);
  ReleaseAll();
  clock_.Advance(absl::Minutes(15));
  EXPECT_TRUE(Eventually([&] { return Segments().size() == 1; }));
}

TEST_F(RoomTest, ReleasedSegmentsAboveTheRetentionBytesGoAtOnce) {
  options_.retention = absl::Hours(1);
  options_.retention_bytes = options_.segment_bytes;
  Open();
  FillSegments(5);
  ReleaseAll();
  EXPECT_TRUE(Eventually([&] { return Segments().size() == 2; }));
}

TEST_F(RoomTest, RetentionGivesWayWhenRoomIsNeeded) {
  options_.retention = absl::Hours(1);
  options_.retention_bytes = uint64_t{1} << 40;
  Open();
  for (int i = 0; i < 200; ++i) {
    const uint64_t next = journal_->LastSequence(ProducerId(1)) + 1;
    ASSERT_TRUE(Eventually([&] { return !journal_->Status().full; }));
    Hold(MakeLargeBatch(1, next, kUsage, 2, 3000));
    ReleaseAll();
  }
  EXPECT_LE(FileBytes(), options_.bytes_max);
}

TEST_F(RoomTest, TheStateSurvivesTheDeletionOfAllOldSegments) {
  Open();
  Hold(MakeBatch(7, 1, {kMessage, kMessage}));
  FillSegments(3);
  const JournalStatus before = journal_->Status();
  const event::Id id = journal_->journal_id();
  ReleaseAll();
  ASSERT_TRUE(Eventually([&] { return Segments().size() == 1; }));

  for (int i = 0; i < 2; ++i) {
    Open();
    EXPECT_EQ(journal_->journal_id(), id);
    EXPECT_EQ(journal_->recovered_heads(), before.lane_heads);
    EXPECT_EQ(journal_->Status().last_offset, before.last_offset);
    EXPECT_EQ(journal_->LastSequence(ProducerId(7)), 2);
    EXPECT_THAT(journal_->Status().corruptions, IsEmpty());
    // A segment without events needs no retention.
    ReleaseAll();
  }
  Hold(MakeBatch(7, 1, {kMessage, kMessage, kMessage}));
  EXPECT_EQ(listener_->durable()[0].first_new_item, 2);
  EXPECT_EQ(listener_->durable()[0].ordinals[2], 3);
}

TEST_F(RoomTest, AFailedDeletionIsTriedAgain) {
  Open();
  FillSegments(3);
  disk_.FailNth(ForgetfulDisk::Call::kRemove, 1, absl::UnavailableError("EIO"));
  disk_.FailNth(ForgetfulDisk::Call::kSyncFolder, 1, absl::UnavailableError("EIO"));
  ReleaseAll();
  EXPECT_TRUE(Eventually([&] {
    clock_.Advance(absl::Seconds(1));
    return Segments().size() == 1;
  }));
}

TEST_F(RoomTest, AStopWhileFullDoesNotWaitForRoom) {
  Open();
  ASSERT_THAT(Fill(), StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("full")));
  journal_->Stop();
  EXPECT_EQ(listener_->failures(), 0);
}

TEST_F(RoomTest, AStartLeavesLittleBehind) {
  for (int i = 0; i < 3; ++i) Open();
  Close();
  for (const std::string& segment : Segments()) {
    EXPECT_LT(disk_.Contents(segment).size(), options_.segment_bytes);
  }
}

}  // namespace
}  // namespace holdfast::journal
