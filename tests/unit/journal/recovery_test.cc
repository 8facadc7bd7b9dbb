// Damage of every kind: what is told apart, what is reported, what is still delivered.

#include <random>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"

#include "server/base/log.h"
#include "tests/unit/journal/fixture.h"

namespace holdfast::journal {
namespace {

using test::ForgetfulDisk;
using test::StatusIs;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::IsSupersetOf;
using ::testing::Not;
using ::testing::SizeIs;

constexpr event::Lane kUsage = 16;
constexpr event::Lane kMessage = 32;

class RecoveryTest : public JournalTest {
 protected:
  // Five groups of two events each, all proven durable: frames 1 to 5 of the segment.
  void MakeFiveGroups() {
    Open();
    for (uint64_t i = 0; i < 5; ++i) Hold(MakeBatch(1, 1 + 2 * i, {kUsage, kMessage}));
    Close();
    segment_ = Segments().back();
    frames_ = Frames(segment_);
    ASSERT_THAT(frames_, SizeIs(7));  // With the state and, at the end, the marker.
  }

  std::vector<Corruption> Corruptions() { return journal_->Status().corruptions; }

  std::string segment_;
  std::vector<FrameHeader> frames_;
};

auto Lost(const std::string& segment, uint64_t first_byte, uint64_t end_byte, uint64_t first_offset,
          uint64_t end_offset) {
  return AllOf(Field("segment", &Corruption::segment, segment),
               Field("first_byte", &Corruption::first_byte, first_byte),
               Field("end_byte", &Corruption::end_byte, end_byte),
               Field("first_offset", &Corruption::first_offset, first_offset),
               Field("end_offset", &Corruption::end_offset, end_offset));
}

TEST_F(RecoveryTest,
       AFlippedBitInAnAcknowledgedFrameIsReportedWithItsRangeAndTheOthersAreDelivered) {
  MakeFiveGroups();
  const FrameHeader& third = frames_[3];
  disk_.FlipBit(segment_, third.position + kFrameHeaderBytes + 40, 3);
  Open();
  EXPECT_THAT(Corruptions(), ElementsAre(Lost(segment_, third.position,
                                              third.position + third.bytes_on_disk(), 5, 7)));
  EXPECT_THAT(Corruptions()[0].reason, HasSubstr("payload"));
  EXPECT_THAT(Ordinals(ReadAll(*journal_, kUsage)), ElementsAre(1, 2, 4, 5));
  EXPECT_THAT(Ordinals(ReadAll(*journal_, kMessage)), ElementsAre(1, 2, 4, 5));
  EXPECT_EQ(journal_->LastSequence(ProducerId(1)), 10);
  EXPECT_EQ(journal_->Status().last_offset, 10);
}

TEST_F(RecoveryTest, ADamagedFrameHeaderCostsThatFrameOnly) {
  MakeFiveGroups();
  disk_.FlipBit(segment_, frames_[1].position + 20, 0);
  Open();
  EXPECT_THAT(Corruptions(),
              ElementsAre(Lost(segment_, frames_[1].position, frames_[2].position, 1, 3)));
  EXPECT_THAT(Ordinals(ReadAll(*journal_, kUsage)), ElementsAre(2, 3, 4, 5));
}

TEST_F(RecoveryTest, EveryFlippedBitIsFoundAndCostsNoMoreThanItsFrame) {
  MakeFiveGroups();
  base::SetLogLevel(base::LogLevel::kError);
  const std::string whole = disk_.Contents(segment_);
  std::mt19937_64 random(7);
  for (int i = 0; i < 200; ++i) {
    ForgetfulDisk disk(1);
    disk.Put(segment_, whole);
    const FrameHeader& frame = frames_[1 + random() % 5];
    const uint64_t byte = frame.position + random() % (kFrameHeaderBytes + frame.payload_bytes);
    SCOPED_TRACE(absl::StrCat("byte ", byte));
    disk.FlipBit(segment_, byte, static_cast<int>(random() % 8));
    auto journal = Journal::Open(options_, disk, clock_, TestMetrics());
    ASSERT_OK(journal);
    EXPECT_THAT((*journal)->Status().corruptions,
                ElementsAre(Lost(segment_, frame.position, frame.position + frame.bytes_on_disk(),
                                 frame.first_offset, frame.end_offset())));
    EXPECT_THAT(ReadAll(**journal, kUsage), SizeIs(4));
  }
  base::SetLogLevel(base::LogLevel::kInfo);
}

TEST_F(RecoveryTest, ALostLastGroupIsReportedIfAMarkerProvesIt) {
  MakeFiveGroups();
  disk_.Overwrite(segment_, frames_[5].position, std::string(512, '\0'));
  Open();
  EXPECT_THAT(Corruptions(),
              ElementsAre(Lost(segment_, frames_[5].position, frames_[6].position, 9, 11)));
  // Neither its offsets nor its ordinals are used again.
  Hold(MakeBatch(2, 1, {kUsage, kMessage}));
  EXPECT_EQ(listener_->durable()[0].first_offset, 11);
  EXPECT_THAT(listener_->durable()[0].ordinals, ElementsAre(6, 6));
}

TEST_F(RecoveryTest, ATornTailIsDroppedSilently) {
  Open();
  Hold(MakeBatch(1, 1, {kUsage}));
  disk_.PowerOffAfter(2);  // The write goes through, its sync does not.
  ASSERT_OK(journal_->Append(MakeLargeBatch(1, 2, kUsage, 20, 300)));
  ASSERT_TRUE(listener_->WaitForFailure());
  Close();
  disk_.PowerOn(ForgetfulDisk::End::kKill);
  segment_ = Segments().back();
  const FrameHeader torn = Frames(segment_).back();
  disk_.Overwrite(segment_, torn.position + 1024, std::string(512, '\0'));

  Open();
  EXPECT_THAT(Corruptions(), IsEmpty());
  EXPECT_EQ(journal_->LastSequence(ProducerId(1)), 1);
  Hold(MakeBatch(1, 2, {kUsage}));
  // And it stays dropped, for its offsets are given to others now.
  Open();
  EXPECT_THAT(Corruptions(), IsEmpty());
  EXPECT_EQ(journal_->LastSequence(ProducerId(1)), 2);
  EXPECT_EQ(ReadAll(*journal_, kUsage)[1].bytes, EventText(1, 2));
}

TEST_F(RecoveryTest, ATornTailThatBecomesWholeAgainStaysDropped) {
  Open();
  Hold(MakeBatch(1, 1, {kUsage}));
  disk_.PowerOffAfter(2);
  ASSERT_OK(journal_->Append(MakeBatch(1, 2, {kUsage, kUsage})));
  ASSERT_TRUE(listener_->WaitForFailure());
  Close();
  disk_.PowerOn(ForgetfulDisk::End::kKill);
  segment_ = Segments().back();
  const FrameHeader torn = Frames(segment_).back();
  const std::string whole = disk_.Contents(segment_);
  disk_.FlipBit(segment_, torn.position + 100, 1);
  Open();
  ASSERT_EQ(journal_->LastSequence(ProducerId(1)), 1);
  Hold(MakeBatch(2, 1, {kUsage, kUsage}));
  Close();
  disk_.Overwrite(segment_, 0, whole);

  Open();
  EXPECT_EQ(journal_->LastSequence(ProducerId(1)), 1);
  EXPECT_EQ(journal_->LastSequence(ProducerId(2)), 2);
  const std::vector<Held> records = ReadAll(*journal_, kUsage);
  ASSERT_THAT(Ordinals(records), ElementsAre(1, 2, 3));
  EXPECT_EQ(records[1].producer, ProducerId(2));
  EXPECT_THAT(Corruptions(), IsEmpty());
}

TEST_F(RecoveryTest, ADamagedHeaderCopyIsReportedAndTheOtherUsed) {
  for (const uint64_t copy : {uint64_t{0}, kBlockBytes}) {
    MakeFiveGroups();
    disk_.FlipBit(segment_, copy + 50, 2);
    Open();
    EXPECT_THAT(Corruptions(), ElementsAre(Lost(segment_, copy, copy + kBlockBytes, 1, 1)));
    EXPECT_THAT(ReadAll(*journal_, kUsage), SizeIs(5));
    Close();
    for (const std::string& name : Names()) disk_.Erase(name);
  }
}

TEST_F(RecoveryTest, AHeaderThatWasWrittenToTheWrongFileHidesNoSegment) {
  for (const uint64_t blocks : {1, 2}) {
    MakeFiveGroups();
    Open();
    Hold(MakeBatch(1, 11, {kUsage}));
    Close();
    const std::string other = disk_.Contents(Segments().back());
    for (uint64_t block = 0; block < blocks; ++block) {
      disk_.Overwrite(segment_, (1 - block) * kBlockBytes, other.substr(0, kBlockBytes));
    }
    Open();
    EXPECT_THAT(Corruptions(), SizeIs(blocks));
    EXPECT_THAT(Ordinals(ReadAll(*journal_, kUsage)), ElementsAre(1, 2, 3, 4, 5, 6));
    Close();
    for (const std::string& name : Names()) disk_.Erase(name);
  }
}

TEST_F(RecoveryTest, WithoutAnyHeaderTheFramesAreDeliveredAllTheSame) {
  MakeFiveGroups();
  disk_.Overwrite(segment_, 0, std::string(kFramesBegin, '\0'));
  Open();
  EXPECT_THAT(Corruptions(), SizeIs(2));
  EXPECT_THAT(Ordinals(ReadAll(*journal_, kUsage)), ElementsAre(1, 2, 3, 4, 5));
  EXPECT_EQ(journal_->LastSequence(ProducerId(1)), 10);
  EXPECT_EQ(journal_->Status().last_offset, 10);
}

TEST_F(RecoveryTest, ASegmentInWhichNothingIsWholeIsSetAsideReportedAndKept) {
  MakeFiveGroups();
  Open();
  Hold(MakeBatch(1, 11, {kUsage}));
  Close();
  const std::string garbage(disk_.Contents(segment_).size(), 'x');
  disk_.Overwrite(segment_, 0, garbage);
  Open();
  const std::string aside = absl::StrCat(segment_.substr(0, 16), ".corrupt");
  EXPECT_EQ(disk_.Contents(aside), garbage);
  EXPECT_THAT(Segments(), Not(Contains(segment_)));
  ASSERT_THAT(Corruptions(), SizeIs(1));
  EXPECT_EQ(Corruptions()[0].segment, segment_);
  EXPECT_EQ(Corruptions()[0].end_byte, garbage.size());
  EXPECT_THAT(Ordinals(ReadAll(*journal_, kUsage)), ElementsAre(6));
  EXPECT_EQ(journal_->LastSequence(ProducerId(1)), 11);
}

TEST_F(RecoveryTest, ASegmentThatIsMissingInTheMiddleIsReportedWithItsRange) {
  for (uint64_t i = 0; i < 3; ++i) {
    Open();
    Hold(MakeBatch(1, 1 + 2 * i, {kUsage, kMessage}));
  }
  Close();
  const std::string middle = Segments()[1];
  disk_.Erase(middle);
  Open();
  EXPECT_THAT(Corruptions(), ElementsAre(Lost(middle, 0, 0, 3, 5)));
  EXPECT_THAT(Ordinals(ReadAll(*journal_, kUsage)), ElementsAre(1, 3));
}

TEST_F(RecoveryTest, ATruncatedSegmentIsReportedAsFarAsItIsProven) {
  MakeFiveGroups();
  Open();
  Close();
  disk_.Truncate(segment_, frames_[3].position + 100);
  Open();
  EXPECT_THAT(Corruptions(), ElementsAre(Lost(segment_, frames_[3].position,
                                              frames_[6].position + kBlockBytes, 5, 11)));
  EXPECT_THAT(Ordinals(ReadAll(*journal_, kUsage)), ElementsAre(1, 2));
  EXPECT_EQ(journal_->recovered_heads()[kUsage], 5);
}

TEST_F(RecoveryTest, ALastSegmentThatWasCutShortIsReportedThoughNothingBehindProvesIt) {
  MakeFiveGroups();
  disk_.Truncate(segment_, frames_[3].position + 100);
  Open();
  EXPECT_THAT(Corruptions(), Not(IsEmpty()));
  EXPECT_THAT(Ordinals(ReadAll(*journal_, kUsage)), ElementsAre(1, 2));
}

TEST_F(RecoveryTest, WhatCannotBeReadIsDamageAndNoEndOfTheLog) {
  MakeFiveGroups();
  disk_.MakeUnreadable(segment_, frames_[2].position + 10, frames_[2].position + 20);
  Open();
  EXPECT_THAT(Corruptions(),
              ElementsAre(Lost(segment_, frames_[2].position, frames_[3].position, 3, 5)));
  EXPECT_THAT(Corruptions()[0].reason, HasSubstr("Input/output error"));
  // Readers step over it instead of waiting for it for ever.
  EXPECT_THAT(Ordinals(ReadAll(*journal_, kUsage)), ElementsAre(1, 3, 4, 5));
}

TEST_F(RecoveryTest, ASegmentOfANewerVersionIsNoDamageAndRefused) {
  MakeFiveGroups();
  std::string header = disk_.Contents(segment_).substr(0, kBlockBytes);
  header[8] = 2;
  const uint64_t salt = DecodeSegmentHeader(disk_.Contents(segment_))->salt;
  const uint64_t checksum = Checksum(absl::string_view(header).substr(0, 112), salt);
  for (size_t i = 0; i < 8; ++i) header[112 + i] = static_cast<char>(checksum >> (8 * i));
  disk_.Overwrite(segment_, 0, header + header);
  EXPECT_THAT(Journal::Open(options_, disk_, clock_, TestMetrics()),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr(segment_), HasSubstr("version 2"))));
  EXPECT_THAT(Segments(), ElementsAre(segment_));
}

TEST_F(RecoveryTest, AForeignSegmentIsSetAside) {
  MakeFiveGroups();
  Open();
  Close();
  ForgetfulDisk other(2);
  {
    auto journal = Journal::Open(options_, other, clock_, TestMetrics());
    ASSERT_OK(journal);
  }
  disk_.Put("00000000000000ff.jnl", other.Contents("0000000000000001.jnl"));
  Open();
  EXPECT_THAT(Names(), Contains("00000000000000ff.corrupt"));
  EXPECT_THAT(ReadAll(*journal_, kUsage), SizeIs(5));
  Hold(MakeBatch(1, 11, {kUsage}));
}

TEST_F(RecoveryTest, AFrameOfAnotherPlaceIsNotTaken) {
  MakeFiveGroups();
  const std::string second = disk_.Contents(segment_).substr(
      frames_[2].position, frames_[3].position - frames_[2].position);
  disk_.Overwrite(segment_, frames_[4].position, second);
  Open();
  EXPECT_THAT(Corruptions(),
              ElementsAre(Lost(segment_, frames_[4].position, frames_[5].position, 7, 9)));
  EXPECT_THAT(Ordinals(ReadAll(*journal_, kUsage)), ElementsAre(1, 2, 3, 5));
}

TEST_F(RecoveryTest, RecoveryOfRecoveredIsTheSame) {
  MakeFiveGroups();
  disk_.FlipBit(segment_, frames_[2].position + 200, 1);
  Open();
  const std::vector<Corruption> first = Corruptions();
  const LanePositions heads = journal_->recovered_heads();
  for (int i = 0; i < 2; ++i) {
    Open();
    ASSERT_THAT(Corruptions(), SizeIs(first.size()));
    EXPECT_EQ(Corruptions()[0].first_offset, first[0].first_offset);
    EXPECT_EQ(Corruptions()[0].end_offset, first[0].end_offset);
    EXPECT_EQ(journal_->recovered_heads(), heads);
  }
}

TEST_F(RecoveryTest, AFileThatLeavesNoNumberForNewSegmentsIsRefusedAndNotDeleted) {
  for (const char* const ending : {"jnl", "tmp", "corrupt"}) {
    const std::string name = absl::StrCat("1000000000000000.", ending);
    disk_.Put(name, "");
    EXPECT_THAT(Journal::Open(options_, disk_, clock_, TestMetrics()).status(),
                StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr(name)));
    EXPECT_THAT(Names(), ElementsAre(name));
    disk_.Erase(name);
  }
}

TEST_F(RecoveryTest, FilesThatAreNotOursAreLeftAlone) {
  disk_.Put("writer_id", "w");
  disk_.Put("1.jnl", "x");
  disk_.Put("fffffffffffffff0.jnl", "x");
  disk_.Put("000000000000000A.jnl", "x");
  Open();
  EXPECT_THAT(Names(),
              IsSupersetOf({"writer_id", "1.jnl", "fffffffffffffff0.jnl", "000000000000000A.jnl"}));
  EXPECT_THAT(Corruptions(), IsEmpty());
}

// Bytes of a real segment with random damage, and bytes that never were one.
std::string Garbage(std::mt19937_64& random, const std::string& whole) {
  std::string bytes = whole;
  switch (random() % 4) {
    case 0:
      for (char& byte : bytes) byte = static_cast<char>(random());
      break;
    case 1:
      bytes.resize(random() % bytes.size());
      break;
    case 2:
      for (int i = 0; i < 40; ++i) bytes[random() % bytes.size()] = static_cast<char>(random());
      break;
    default: {  // Blocks in another order.
      for (int i = 0; i < 20; ++i) {
        const uint64_t from = random() % (bytes.size() / kBlockBytes) * kBlockBytes;
        const uint64_t to = random() % (bytes.size() / kBlockBytes) * kBlockBytes;
        bytes.replace(to, kBlockBytes, bytes.substr(from, kBlockBytes));
      }
    }
  }
  return bytes;
}

TEST_F(RecoveryTest, AnyBytesLeadToAnOpenJournalThatTakesEvents) {
  MakeFiveGroups();
  base::SetLogLevel(base::LogLevel::kError);
  const std::string whole = disk_.Contents(segment_);
  options_.bytes_max = 16 * options_.segment_bytes;
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    std::mt19937_64 random(seed);
    ForgetfulDisk disk(seed);
    for (uint64_t id = 1; id <= 1 + random() % 3; ++id) {
      disk.Put(absl::StrCat("000000000000000", id, ".jnl"), Garbage(random, whole));
    }
    for (int start = 0; start < 2; ++start) {
      auto journal = Journal::Open(options_, disk, clock_, TestMetrics());
      ASSERT_OK(journal);
      ReadAll(**journal, kUsage);
      ReadAll(**journal, kMessage);
      RecordingListener listener;
      (*journal)->Start(&listener);
      ASSERT_OK((*journal)->Append(MakeBatch(static_cast<uint8_t>(100 + start), 1, {kUsage})));
      ASSERT_TRUE(listener.WaitForBatches(1));
      ASSERT_EQ(listener.failures(), 0);
      (*journal)->Stop();
      const std::vector<Held> usage = ReadAll(**journal, kUsage);
      ASSERT_FALSE(usage.empty());
      EXPECT_EQ(usage.back().producer, ProducerId(static_cast<uint8_t>(100 + start)));
    }
  }
  base::SetLogLevel(base::LogLevel::kInfo);
}

TEST_F(RecoveryTest, AFolderThatCannotBeReadIsAnError) {
  disk_.PowerOff();
  EXPECT_THAT(Journal::Open(options_, disk_, clock_, TestMetrics()),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("power")));
}

}  // namespace
}  // namespace holdfast::journal
