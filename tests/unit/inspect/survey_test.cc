// What is said of a folder: every byte, and the same as the daemon that starts on it says.

#include "server/inspect/survey.h"

#include <fstream>
#include <iterator>
#include <map>
#include <random>

#include "gmock/gmock.h"

#include "server/base/log.h"
#include "server/inspect/report.h"
#include "tests/unit/journal/fixture.h"

namespace holdfast::inspect {
namespace {

using journal::FrameHeader;
using journal::MakeBatch;
using journal::MakeLargeBatch;
using test::ForgetfulDisk;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

constexpr event::Lane kUsage = 16;
constexpr event::Lane kMessage = 32;

void NoProgress(uint64_t /*done*/, uint64_t /*all*/) {}

absl::StatusOr<bool> NotInUse() { return false; }
absl::StatusOr<bool> InUse() { return true; }

auto Damage(const std::string& segment, uint64_t first_byte, uint64_t end_byte,
            uint64_t first_offset, uint64_t end_offset) {
  using journal::Corruption;
  return AllOf(Field("segment", &Corruption::segment, segment),
               Field("first_byte", &Corruption::first_byte, first_byte),
               Field("end_byte", &Corruption::end_byte, end_byte),
               Field("first_offset", &Corruption::first_offset, first_offset),
               Field("end_offset", &Corruption::end_offset, end_offset));
}

// Every byte of every file is of one kind.
void ExpectEveryByteIsAccountedFor(const Survey& survey, const ForgetfulDisk& disk) {
  for (const SegmentSurvey& segment : survey.segments) {
    SCOPED_TRACE(segment.name);
    EXPECT_EQ(segment.bytes, disk.Contents(segment.name).size());
    EXPECT_EQ(segment.header_bytes + segment.frame_bytes + segment.corrupt_bytes +
                  segment.torn_bytes + segment.unused_bytes,
              segment.bytes);
    EXPECT_LE(segment.unused_bytes, segment.bytes);
  }
}

class SurveyTest : public journal::JournalTest {
 protected:
  SurveyTest() { base::SetLogLevel(base::LogLevel::kError); }

  // Five groups of two events each, all proven durable: frames 1 to 5 of the segment.
  void MakeFiveGroups() {
    Open();
    for (uint64_t i = 0; i < 5; ++i) Hold(MakeBatch(1, 1 + 2 * i, {kUsage, kMessage}));
    Close();
    segment_ = Segments().back();
    frames_ = Frames(segment_);
    ASSERT_THAT(frames_, SizeIs(7));  // With the state and, at the end, the marker.
  }

  // An event that was acknowledged, and a group that is torn.
  void MakeTornTail() {
    Open();
    Hold(MakeBatch(1, 1, {kUsage}));
    disk_.PowerOffAfter(2);  // The write goes through, its sync does not.
    ASSERT_OK(journal_->Append(MakeLargeBatch(1, 2, kUsage, 20, 300)));
    ASSERT_TRUE(listener_->WaitForFailure());
    Close();
    disk_.PowerOn(ForgetfulDisk::End::kKill);
    segment_ = Segments().back();
    frames_ = Frames(segment_);
    disk_.Overwrite(segment_, frames_.back().position + 1024, std::string(512, '\0'));
  }

  Survey LookNow() {
    absl::StatusOr<Survey> survey = Look(disk_, NotInUse, NoProgress);
    EXPECT_OK(survey);
    if (!survey.ok()) return {};
    ExpectEveryByteIsAccountedFor(*survey, disk_);
    return *std::move(survey);
  }

  std::map<std::string, std::string> Files() {
    std::map<std::string, std::string> files;
    for (const std::string& name : Names()) files[name] = disk_.Contents(name);
    return files;
  }

  std::string segment_;
  std::vector<FrameHeader> frames_;
};

TEST_F(SurveyTest, TheGoldenSegmentIsWholeToTheLastByte) {
  std::ifstream file(HOLDFAST_GOLDEN_SEGMENT, std::ios::binary);
  disk_.Put(journal::SegmentName(1),
            {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()});
  const Survey survey = LookNow();
  EXPECT_EQ(survey.finding(), Finding::kWhole);
  EXPECT_EQ(event::FormatUuid(survey.journal_id), "10111213-1415-1617-1819-1a1b1c1d1e1f");
  ASSERT_THAT(survey.segments, SizeIs(1));
  const SegmentSurvey& segment = survey.segments[0];
  EXPECT_EQ(segment.header_bytes, 8192);
  EXPECT_EQ(segment.frame_bytes, 3 * 4096);
  EXPECT_EQ(segment.unused_bytes, 4096);
  EXPECT_EQ(segment.events, 3);
  EXPECT_EQ(segment.first_offset, 1);
  EXPECT_EQ(segment.last_offset, 3);
  EXPECT_EQ(survey.lanes[kUsage].events, 2);
  EXPECT_EQ(survey.lanes[kUsage].last_ordinal, 2);
  EXPECT_EQ(survey.lanes[kMessage].events, 1);
  EXPECT_EQ(survey.next_offset, 4);
  ASSERT_THAT(survey.producers, SizeIs(1));
  EXPECT_EQ(survey.producers[0].first_sequence, 1);
  EXPECT_EQ(survey.producers[0].last_sequence, 4);
  EXPECT_THAT(VerifyReport("/journal", survey), HasSubstr("Whole: every event"));
  EXPECT_THAT(ListReport("/journal", survey, std::nullopt),
              AllOf(HasSubstr("usage-0"), HasSubstr("at most 2"), HasSubstr("1-3"),
                    HasSubstr("20212223-2425-2627-2829-2a2b2c2d2e2f")));
}

TEST_F(SurveyTest, AFlippedBitIsFoundWithItsRangeAndTheStartOfADaemonReportsTheSame) {
  MakeFiveGroups();
  const FrameHeader& third = frames_[3];
  disk_.FlipBit(segment_, third.position + journal::kFrameHeaderBytes + 40, 3);
  const Survey survey = LookNow();
  EXPECT_EQ(survey.finding(), Finding::kCorrupt);
  const auto damage =
      Damage(segment_, third.position, third.position + third.bytes_on_disk(), 5, 7);
  EXPECT_THAT(survey.corruptions, ElementsAre(damage));
  EXPECT_EQ(survey.segments[0].corrupt_bytes, third.bytes_on_disk());
  EXPECT_EQ(survey.events, 8);
  EXPECT_THAT(VerifyReport("/journal", survey),
              AllOf(HasSubstr("CORRUPT"), HasSubstr("offsets 5 to 6 (2)")));
  Open();
  EXPECT_THAT(journal_->Status().corruptions, ElementsAre(damage));
}

TEST_F(SurveyTest, ATornTailIsNoLoss) {
  MakeTornTail();
  const Survey survey = LookNow();
  EXPECT_EQ(survey.finding(), Finding::kTorn);
  EXPECT_THAT(survey.corruptions, IsEmpty());
  ASSERT_THAT(survey.torn, SizeIs(1));
  EXPECT_EQ(survey.torn[0].segment, segment_);
  EXPECT_EQ(survey.torn[0].bytes.begin, frames_.back().position);
  EXPECT_EQ(survey.events, 1);
  EXPECT_THAT(VerifyReport("/journal", survey), HasSubstr("nothing is lost"));
}

TEST_F(SurveyTest, WhateverBytesThereAreTheyAreAccountedForAndTheDaemonAgrees) {
  MakeFiveGroups();
  Open();  // A second segment.
  for (uint64_t i = 5; i < 8; ++i) Hold(MakeBatch(1, 1 + 2 * i, {kUsage, kMessage}));
  Close();
  const std::map<std::string, std::string> files = Files();
  std::mt19937_64 random(11);
  for (int round = 0; round < 150; ++round) {
    SCOPED_TRACE(round);
    ForgetfulDisk disk(1);
    for (const auto& [name, bytes] : files) disk.Put(name, bytes);
    for (uint64_t i = 0; i <= random() % 4; ++i) {
      const std::string name = Segments()[random() % 2];
      const uint64_t size = disk.Contents(name).size();
      const uint64_t at = random() % size;
      if (random() % 8 == 0) {
        disk.Truncate(name, at);
        if (at == 0) break;
      } else {
        disk.Overwrite(name, at,
                       std::string(std::min<uint64_t>(random() % 9000, size - at),
                                   random() % 2 == 0 ? '\0' : 'x'));
      }
    }
    const absl::StatusOr<Survey> survey = Look(disk, NotInUse, NoProgress);
    ASSERT_OK(survey);
    ExpectEveryByteIsAccountedFor(*survey, disk);
    auto journal = journal::Journal::Open(options_, disk, clock_, journal::TestMetrics());
    ASSERT_OK(journal);
    const std::vector<journal::Corruption> found = (*journal)->Status().corruptions;
    // The daemon keeps the first of them, and says a place within another once.
    for (const journal::Corruption& one : found) {
      EXPECT_THAT(survey->corruptions,
                  testing::Contains(Damage(one.segment, one.first_byte, one.end_byte,
                                           one.first_offset, one.end_offset)));
    }
    EXPECT_EQ(found.empty(), survey->corruptions.empty());
  }
}

TEST_F(SurveyTest, NothingInTheFolderIsChanged) {
  MakeTornTail();
  disk_.Put(journal::BlankName(77), std::string(4096, '\0'));  // A start would remove it,
  disk_.Put(journal::SegmentName(5), std::string(4096, 'x'));  // and set this one aside.
  const auto before = Files();
  const Survey survey = LookNow();
  EXPECT_EQ(survey.finding(), Finding::kCorrupt);
  EXPECT_EQ(Files(), before);
}

TEST_F(SurveyTest, ACopiedGroupIsCountedOnce) {
  Open();
  Hold(MakeBatch(1, 1, {kUsage, kMessage}));
  disk_.PowerOff();  // Without the marker that would prove it.
  Close();
  disk_.PowerOn(ForgetfulDisk::End::kKill);
  Open();  // Copies it into a new segment.
  Close();
  ASSERT_THAT(Segments(), SizeIs(2));
  const Survey survey = LookNow();
  EXPECT_EQ(survey.events, 2);
  EXPECT_EQ(survey.segments[0].events, 2);
  EXPECT_EQ(survey.segments[1].events, 0);
  EXPECT_EQ(survey.finding(), Finding::kWhole);
}

TEST_F(SurveyTest, BesideADaemonWhatIsHalfWrittenIsNotCorrupt) {
  MakeFiveGroups();
  const std::string whole = disk_.Contents(segment_);
  const FrameHeader& third = frames_[3];
  disk_.FlipBit(segment_, third.position + 10, 0);
  int asked = 0;
  const auto daemon_writes = [&]() -> absl::StatusOr<bool> {
    if (++asked == 3) disk_.Put(segment_, whole);  // Between the first look and the second.
    return true;
  };
  const absl::StatusOr<Survey> survey = Look(disk_, daemon_writes, NoProgress);
  ASSERT_OK(survey);
  EXPECT_TRUE(survey->in_use);
  EXPECT_EQ(survey->finding(), Finding::kWhole);
  EXPECT_THAT(VerifyReport("/journal", *survey), HasSubstr("may be in flight"));
}

TEST_F(SurveyTest, BesideADaemonDamageThatStaysIsCorrupt) {
  MakeFiveGroups();
  disk_.FlipBit(segment_, frames_[3].position + 10, 0);
  const absl::StatusOr<Survey> survey = Look(disk_, InUse, NoProgress);
  ASSERT_OK(survey);
  EXPECT_EQ(survey->finding(), Finding::kCorrupt);
}

TEST_F(SurveyTest, BesideADaemonASegmentMayGoMeanwhile) {
  MakeFiveGroups();
  Open();
  Close();
  disk_.FailNth(ForgetfulDisk::Call::kOpen, 2, absl::NotFoundError("gone"));
  EXPECT_OK(Look(disk_, InUse, NoProgress));
  disk_.FailNth(ForgetfulDisk::Call::kOpen, 2, absl::NotFoundError("gone"));
  EXPECT_THAT(Look(disk_, NotInUse, NoProgress),
              test::StatusIs(absl::StatusCode::kNotFound, HasSubstr("gone")));
}

TEST_F(SurveyTest, ProgressComesToTheEndAndNeverBeyond) {
  MakeFiveGroups();
  uint64_t last = 0;
  uint64_t all_bytes = 0;
  ASSERT_OK(Look(disk_, NotInUse, [&](uint64_t done, uint64_t all) {
    EXPECT_LE(last, done);
    EXPECT_LE(done, all);
    last = done;
    all_bytes = all;
  }));
  EXPECT_EQ(last, all_bytes);
  EXPECT_EQ(all_bytes, disk_.Contents(segment_).size());
}

TEST_F(SurveyTest, WithPositionsTheUndeliveredAreExact) {
  MakeFiveGroups();
  Positions positions;
  positions[kUsage] = 3;
  EXPECT_THAT(ListReport("/journal", LookNow(), positions),
              AllOf(HasSubstr("Undelivered  7, by the positions"), Not(HasSubstr("at most"))));
}

}  // namespace
}  // namespace holdfast::inspect
