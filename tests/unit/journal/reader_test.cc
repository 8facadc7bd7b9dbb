// Reading lanes back.

#include <map>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"

#include "tests/support/accepted_events.h"
#include "tests/unit/journal/fixture.h"

namespace holdfast::journal {
namespace {

using test::ForgetfulDisk;
using test::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class ReaderTest : public JournalTest {};

std::vector<uint64_t> Range(uint64_t first, uint64_t last) {
  std::vector<uint64_t> numbers;
  for (uint64_t number = first; number <= last; ++number) numbers.push_back(number);
  return numbers;
}

TEST_F(ReaderTest, ReadersOfSeveralLanesSeeExactlyTheirOrdinalsInOrder) {
  options_.bytes_max = 64 * options_.segment_bytes;
  Open();
  std::map<event::Lane, uint64_t> events;
  for (uint64_t first = 1; first <= 500; first += 5) {
    std::vector<event::Lane> lanes;
    for (uint64_t i = 0; i < 5; ++i) {
      lanes.push_back(static_cast<event::Lane>((first + i) * 7 % event::kLaneCount));
      ++events[lanes.back()];
    }
    Hold(MakeBatch(1, first, lanes));
    if (first % 100 == 1) Open();
  }
  ASSERT_GT(Segments().size(), 5);
  for (event::Lane lane = 0; lane < event::kLaneCount; ++lane) {
    for (const size_t bytes_max : {size_t{1}, size_t{700}, size_t{1} << 20}) {
      EXPECT_EQ(Ordinals(ReadAll(*journal_, lane, 0, bytes_max)), Range(1, events[lane]));
    }
    for (const Held& held : ReadAll(*journal_, lane)) {
      EXPECT_EQ(held.bytes, EventText(1, held.sequence));
      EXPECT_EQ(held.sequence * 7 % event::kLaneCount, lane);
      EXPECT_EQ(held.offset, held.sequence);
    }
    EXPECT_EQ(Ordinals(ReadAll(*journal_, lane, 4)), Range(5, events[lane]));
  }
}

TEST_F(ReaderTest, AReaderGoesOnWhereTheJournalGoesOn) {
  Open();
  const std::unique_ptr<Reader> reader = journal_->Read(16, 0);
  EXPECT_THAT(*reader->Next(1000), IsEmpty());
  EXPECT_EQ(reader->read_through(), 0);
  for (uint64_t i = 1; i <= 60; ++i) {
    Hold(MakeLargeBatch(1, i, i % 2 == 0 ? 16 : 17, 1, 3000));
    const auto records = reader->Next(1000);
    ASSERT_OK(records);
    ASSERT_THAT(*records, SizeIs(i % 2 == 0 ? 1 : 0));
    EXPECT_EQ(reader->read_through(), i);
    if (!records->empty()) {
      EXPECT_EQ(records->front().ordinal, i / 2);
    }
    EXPECT_THAT(*reader->Next(1000), IsEmpty());
    if (Segments().size() == 3)
      journal_->Release(journal_->Status().lane_heads, absl::InfiniteFuture());
  }
}

TEST_F(ReaderTest, NextReturnsAtLeastOneAndNotMuchMoreThanAsked) {
  Open();
  Hold(MakeLargeBatch(1, 1, 16, 10, 1000));
  const std::unique_ptr<Reader> reader = journal_->Read(16, 0);
  EXPECT_THAT(*reader->Next(1), SizeIs(1));
  EXPECT_EQ(reader->read_through(), 1);
  EXPECT_THAT(*reader->Next(2500), SizeIs(3));
  EXPECT_EQ(reader->read_through(), 4);
  EXPECT_THAT(*reader->Next(100000), SizeIs(6));
  EXPECT_EQ(reader->read_through(), 10);
}

TEST_F(ReaderTest, NextUpToEndsWithTheLastOne) {
  Open();
  Hold(MakeLargeBatch(1, 1, 16, 10, 1000));
  const std::unique_ptr<Reader> reader = journal_->Read(16, 0);
  EXPECT_THAT(*reader->NextUpTo(4, 100000), SizeIs(4));
  EXPECT_EQ(reader->read_through(), 4);
  EXPECT_THAT(*reader->Next(100000), SizeIs(6));
}

TEST_F(ReaderTest, WhatIsFarBehindTheFirstOneIsNotReadToFindIt) {
  Open();
  for (uint64_t i = 1; i <= 4; ++i) Hold(MakeLargeBatch(1, i, 16, 1, 3000));
  ASSERT_THAT(Segments(), SizeIs(1));
  const std::unique_ptr<Reader> reader = journal_->Read(16, 3);
  const int before = disk_.calls(test::ForgetfulDisk::Call::kRead);
  EXPECT_THAT(*reader->Next(100000), SizeIs(1));
  EXPECT_EQ(reader->read_through(), 4);
  EXPECT_EQ(disk_.calls(test::ForgetfulDisk::Call::kRead) - before, 1);
}

TEST_F(ReaderTest, AReadErrorIsReturnedAndNothingIsSkippedForIt) {
  Open();
  Hold(MakeBatch(1, 1, {16}));
  Hold(MakeBatch(1, 2, {16}));
  const std::string segment = Segments().back();
  const std::unique_ptr<Reader> reader = journal_->Read(16, 0);
  disk_.MakeUnreadable(segment, Frames(segment)[2].position, Frames(segment)[2].position + 1);
  EXPECT_EQ(reader->Next(1)->front().ordinal, 1);
  EXPECT_THAT(reader->Next(1), StatusIs(absl::StatusCode::kUnavailable, HasSubstr("error")));
  EXPECT_THAT(reader->Next(1), StatusIs(absl::StatusCode::kUnavailable, HasSubstr("error")));
  disk_.MakeReadable(segment);
  EXPECT_EQ(reader->Next(1)->front().ordinal, 2);
  EXPECT_THAT(journal_->Status().corruptions, IsEmpty());
}

TEST_F(ReaderTest, AnOpenThatFailsIsReturnedToo) {
  Open();
  Hold(MakeBatch(1, 1, {16}));
  disk_.FailNth(ForgetfulDisk::Call::kOpen, 1, absl::ResourceExhaustedError("EMFILE"));
  const std::unique_ptr<Reader> reader = journal_->Read(16, 0);
  EXPECT_THAT(reader->Next(1), StatusIs(absl::StatusCode::kUnavailable, HasSubstr("EMFILE")));
  EXPECT_THAT(*reader->Next(1), SizeIs(1));
}

TEST_F(ReaderTest, WhatRotsWhileTheJournalRunsIsReportedOnceAndSteppedOver) {
  Open();
  for (uint64_t i = 1; i <= 4; ++i) Hold(MakeBatch(1, 2 * i - 1, {16, 32}));
  const std::string segment = Segments().back();
  const FrameHeader second = Frames(segment)[2];
  disk_.FlipBit(segment, second.position + 120, 5);
  EXPECT_THAT(Ordinals(ReadAll(*journal_, 16)), ElementsAre(1, 3, 4));
  EXPECT_THAT(Ordinals(ReadAll(*journal_, 32)), ElementsAre(1, 3, 4));
  const std::vector<Corruption> corruptions = journal_->Status().corruptions;
  ASSERT_THAT(corruptions, SizeIs(1));
  EXPECT_EQ(corruptions[0].segment, segment);
  EXPECT_EQ(corruptions[0].first_byte, second.position);
  EXPECT_EQ(corruptions[0].first_offset, 3);
  EXPECT_EQ(corruptions[0].end_offset, 5);
}

TEST_F(ReaderTest, WhatRecoveryReportedAReaderDoesNotReportAgain) {
  Open();
  for (uint64_t i = 1; i <= 4; ++i) Hold(MakeBatch(1, 2 * i - 1, {16, 32}));
  Close();
  disk_.FlipBit(Segments().back(), Frames(Segments().back())[2].position + 120, 5);
  Open();
  ASSERT_THAT(journal_->Status().corruptions, SizeIs(1));
  EXPECT_THAT(ReadAll(*journal_, 16), SizeIs(3));
  EXPECT_THAT(journal_->Status().corruptions, SizeIs(1));
}

TEST_F(ReaderTest, AFileThatSomebodyDeletedIsReported) {
  Open();
  Hold(MakeBatch(1, 1, {16, 16}));
  Open();
  Hold(MakeBatch(1, 3, {16}));
  const std::string first = Segments().front();
  disk_.Erase(first);
  EXPECT_THAT(Ordinals(ReadAll(*journal_, 16)), ElementsAre(3));
  ASSERT_THAT(journal_->Status().corruptions, SizeIs(1));
  EXPECT_EQ(journal_->Status().corruptions[0].segment, first);
  EXPECT_EQ(journal_->Status().corruptions[0].first_offset, 1);
  EXPECT_EQ(journal_->Status().corruptions[0].end_offset, 3);
}

TEST_F(ReaderTest, SegmentsWithoutTheLaneAreNotOpened) {
  options_.bytes_max = 64 * options_.segment_bytes;
  Open();
  while (Segments().size() < 6) {
    Hold(MakeLargeBatch(1, journal_->LastSequence(ProducerId(1)) + 1, 16, 2, 3000));
  }
  Hold(MakeBatch(2, 1, {32}));
  const int opened = disk_.calls(ForgetfulDisk::Call::kOpen);
  EXPECT_THAT(ReadAll(*journal_, 32), SizeIs(1));
  EXPECT_EQ(disk_.calls(ForgetfulDisk::Call::kOpen) - opened, 1);
}

// A batch of one usage event in each of `lanes`.
std::shared_ptr<event::Batch> RealBatch(uint64_t first_sequence,
                                        const std::vector<event::Lane>& lanes,
                                        absl::string_view suffix = "") {
  auto batch = std::make_shared<event::Batch>();
  batch->producer = ProducerId(1);
  batch->first_sequence = first_sequence;
  for (const event::Lane lane : lanes) {
    const uint64_t sequence = first_sequence + batch->items.size();
    std::string bytes = test::UsageOf(test::UuidOf(sequence)).SerializeAsString();
    absl::StrAppend(&bytes, suffix);
    EXPECT_OK(batch->Add(sequence, lane, bytes));
  }
  batch->last_sequence = first_sequence + lanes.size() - 1;
  return batch;
}

std::vector<event::Trace> TracesOf(Journal& journal, event::Lane lane) {
  std::vector<event::Trace> traces;
  const std::unique_ptr<Reader> reader = journal.Read(lane, 0);
  while (true) {
    const auto records = reader->Next(64);
    EXPECT_OK(records);
    if (!records.ok() || records->empty()) return traces;
    for (const Reader::Record& record : *records) {
      EXPECT_EQ(record.bytes, test::UsageOf(test::UuidOf(record.sequence)).SerializeAsString());
      traces.push_back(record.trace);
    }
  }
}

TEST_F(ReaderTest, EveryEventOfACallHasItsTraceInWhicheverLaneAndAfterARestart) {
  const event::Trace none;
  const event::Trace first =
      *event::ParseTraceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  const event::Trace second =
      *event::ParseTraceparent("00-11111111111111111111111111111111-2222222222222222-00");
  Open();
  const auto traced = RealBatch(1, {16, 17, 16});
  traced->trace = first;
  Hold(traced);
  Hold(RealBatch(4, {16, 17}));
  // What is held already is dropped: the trace stands behind the first that is new.
  const auto resent = RealBatch(5, {17, 16, 17});
  resent->trace = second;
  Hold(resent);
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT(TracesOf(*journal_, 16), ElementsAre(first, first, none, second));
    EXPECT_THAT(TracesOf(*journal_, 17), ElementsAre(first, none, second));
    Open();
  }
  EXPECT_THAT(journal_->Status().corruptions, IsEmpty());
}

TEST_F(ReaderTest, AGatewayCannotPutATraceWhereTheJournalsStands) {
  const std::string forged = EncodeTraceField(
      *event::ParseTraceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
  Open();
  Hold(RealBatch(1, {16}, forged));
  const std::unique_ptr<Reader> reader = journal_->Read(16, 0);
  const auto records = reader->Next(1000);
  ASSERT_OK(records);
  ASSERT_THAT(*records, SizeIs(1));
  EXPECT_FALSE(records->front().trace.is_set());
  EXPECT_EQ(records->front().bytes, test::UsageOf(test::UuidOf(1)).SerializeAsString() + forged);
}

// At the limit a batch is taken without its trace rather than refused.
TEST_F(ReaderTest, ATraceMakesNoBatchTooLarge) {
  Open();
  size_t low = 1000;
  size_t high = 2 * options_.segment_bytes;
  uint64_t sequence = 1;
  // The most bytes that are taken without a trace.
  while (low + 1 < high) {
    const size_t middle = (low + high) / 2;
    const absl::Status taken = journal_->Append(MakeLargeBatch(2, sequence, 16, 1, middle));
    const bool fits = taken.code() != absl::StatusCode::kInvalidArgument;
    if (taken.ok()) ++sequence;
    (fits ? low : high) = middle;
  }
  auto batch = std::make_shared<event::Batch>();
  batch->producer = ProducerId(3);
  batch->first_sequence = batch->last_sequence = 1;
  v1::Event event = test::MessageOf("id");
  event.mutable_message()->set_raw_json(std::string(low, 'x'));
  event.mutable_message()->set_raw_json(std::string(2 * low - event.ByteSizeLong(), 'x'));
  ASSERT_OK(batch->Add(1, 32, event.SerializeAsString()));
  ASSERT_EQ(batch->items[0].bytes.size(), low);
  batch->trace =
      *event::ParseTraceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  EXPECT_NE(journal_->Append(batch).code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace holdfast::journal
