// The journal while it runs, and from one run to the next.

#include "server/journal/journal.h"

#include <limits>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"

#include "tests/unit/journal/fixture.h"

namespace holdfast::journal {
namespace {

using test::ForgetfulDisk;
using test::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr event::Lane kUsage = 16;
constexpr event::Lane kMessage = 32;

TEST_F(JournalTest, AnAppendThatWasReportedDurableSurvivesAPowerCut) {
  Open();
  Hold(MakeBatch(1, 1, {kUsage, kUsage, kMessage}));
  disk_.PowerOff();
  Close();
  disk_.PowerOn(ForgetfulDisk::End::kPowerCut);

  Open();
  EXPECT_EQ(journal_->LastSequence(ProducerId(1)), 3);
  EXPECT_EQ(journal_->recovered_heads()[kUsage], 2);
  EXPECT_EQ(journal_->recovered_heads()[kMessage], 1);
  const std::vector<Held> usage = ReadAll(*journal_, kUsage);
  ASSERT_THAT(usage, SizeIs(2));
  EXPECT_EQ(usage[1].bytes, EventText(1, 2));
  EXPECT_EQ(usage[1].sequence, 2);
  EXPECT_EQ(usage[1].offset, 2);
  EXPECT_EQ(usage[1].producer, ProducerId(1));
  EXPECT_THAT(ReadAll(*journal_, kMessage), SizeIs(1));
  EXPECT_THAT(journal_->Status().corruptions, IsEmpty());
}

TEST_F(JournalTest, OffsetsCountAllEventsAndOrdinalsThoseOfTheirLane) {
  Open();
  Hold(MakeBatch(1, 1, {kUsage, kMessage}));
  Hold(MakeBatch(2, 1, {kMessage, kUsage, kMessage}));
  const Durable second = listener_->durable()[1];
  EXPECT_EQ(second.first_offset, 3);
  EXPECT_EQ(second.last_offset, 5);
  EXPECT_THAT(second.ordinals, ElementsAre(2, 2, 3));
  EXPECT_EQ(journal_->Status().last_offset, 5);
  EXPECT_EQ(journal_->Status().lane_heads[kMessage], 3);
}

TEST_F(JournalTest, WhatWaitsTogetherIsOneGroupAndOneSync) {
  const int batches = 20;
  auto journal = Journal::Open(options_, disk_, clock_, TestMetrics());
  ASSERT_OK(journal);
  RecordingListener listener;
  for (int i = 0; i < batches; ++i) {
    ASSERT_OK((*journal)->Append(MakeLargeBatch(static_cast<uint8_t>(i + 1), 1, kUsage, 1, 20)));
  }
  const int syncs_before = disk_.calls(ForgetfulDisk::Call::kSync);
  (*journal)->Start(&listener);
  ASSERT_TRUE(listener.WaitForBatches(batches));
  EXPECT_THAT(listener.groups(), ElementsAre(batches));
  (*journal)->Stop();
  // One for the group, one for the marker at the end, and 64 KiB of zeros for the next segment.
  EXPECT_LE(disk_.calls(ForgetfulDisk::Call::kSync) - syncs_before, 3);
}

TEST_F(JournalTest, AGroupStaysWithinItsLimit) {
  auto journal = Journal::Open(options_, disk_, clock_, TestMetrics());
  ASSERT_OK(journal);
  RecordingListener listener;
  for (uint8_t i = 1; i <= 6; ++i) {
    ASSERT_OK((*journal)->Append(MakeLargeBatch(i, 1, kUsage, 1, options_.group_bytes_max / 3)));
  }
  (*journal)->Start(&listener);
  ASSERT_TRUE(listener.WaitForBatches(6));
  EXPECT_THAT(listener.groups(), ElementsAre(2, 2, 2));
  (*journal)->Stop();
}

TEST_F(JournalTest, AResendIsAcknowledgedAndNotTakenTwice) {
  Open();
  Hold(MakeBatch(1, 1, {kUsage, kUsage}));
  Hold(MakeBatch(1, 1, {kUsage, kUsage}));
  EXPECT_EQ(journal_->Status().last_offset, 2);
  EXPECT_EQ(listener_->durable()[1].last_offset, 2);
  EXPECT_EQ(listener_->durable()[1].first_new_item, 2);
}

TEST_F(JournalTest, AResendAfterARestartIsNotTakenTwice) {
  Open();
  Hold(MakeBatch(1, 1, {kUsage, kUsage, kUsage}));
  Open();
  Hold(MakeBatch(1, 1, {kUsage, kUsage, kUsage}));
  EXPECT_EQ(journal_->Status().last_offset, 3);
  EXPECT_THAT(Ordinals(ReadAll(*journal_, kUsage)), ElementsAre(1, 2, 3));
}

TEST_F(JournalTest, OfAPartlyHeldBatchOnlyTheRestIsTaken) {
  Open();
  Hold(MakeBatch(1, 1, {kUsage, kUsage}));
  Hold(MakeBatch(1, 2, {kUsage, kMessage, kMessage}));
  const Durable second = listener_->durable()[1];
  EXPECT_EQ(second.first_new_item, 1);
  EXPECT_EQ(second.first_offset + 1, 3);
  EXPECT_EQ(second.last_offset, 4);
  EXPECT_THAT(second.ordinals, ElementsAre(0, 1, 2));
  const std::vector<Held> messages = ReadAll(*journal_, kMessage);
  ASSERT_THAT(messages, SizeIs(2));
  EXPECT_EQ(messages[0].sequence, 3);
  EXPECT_EQ(messages[0].bytes, EventText(1, 3));
}

TEST_F(JournalTest, AGapIsRefusedAndSaysWhatWasExpected) {
  Open();
  Hold(MakeBatch(1, 1, {kUsage, kUsage}));
  EXPECT_THAT(
      journal_->Append(MakeBatch(1, 4, {kUsage})),
      StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("expected sequence 3, got 4")));
  EXPECT_THAT(
      journal_->Append(MakeBatch(2, 2, {kUsage})),
      StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("expected sequence 1, got 2")));
  EXPECT_EQ(journal_->LastSequence(ProducerId(1)), 2);
}

TEST_F(JournalTest, BatchesOfTheNilProducerAreAlwaysNew) {
  Open();
  Hold(MakeBatch(0, 1, {kUsage}));
  Hold(MakeBatch(0, 1, {kUsage}));
  Hold(MakeBatch(0, 9, {kUsage}));
  EXPECT_EQ(journal_->Status().last_offset, 3);
  EXPECT_THAT(journal_->producers(), IsEmpty());
  Open();
  EXPECT_THAT(journal_->producers(), IsEmpty());
  EXPECT_THAT(ReadAll(*journal_, kUsage), SizeIs(3));
}

TEST_F(JournalTest, TheSequenceOfABatchThatWasRefusedAltogetherIsRemembered) {
  auto refused = std::make_shared<event::Batch>();
  refused->producer = ProducerId(1);
  refused->first_sequence = 1;
  refused->last_sequence = 5;
  Open();
  Hold(refused);
  EXPECT_EQ(listener_->durable()[0].last_offset, 0);
  Open();
  EXPECT_EQ(journal_->LastSequence(ProducerId(1)), 5);
  EXPECT_EQ(journal_->Status().last_offset, 0);
}

TEST_F(JournalTest, TheLongestSilentProducersAreForgotten) {
  options_.producers_max = 3;
  Open();
  for (uint8_t producer = 1; producer <= 3; ++producer) Hold(MakeBatch(producer, 1, {kUsage}));
  Hold(MakeBatch(1, 2, {kUsage}));
  Hold(MakeBatch(4, 1, {kUsage}));
  for (int restarts = 0; restarts < 2; ++restarts) {
    EXPECT_EQ(journal_->LastSequence(ProducerId(1)), 2);
    EXPECT_EQ(journal_->LastSequence(ProducerId(2)), 0);
    EXPECT_EQ(journal_->LastSequence(ProducerId(3)), 1);
    EXPECT_EQ(journal_->LastSequence(ProducerId(4)), 1);
    Open();
  }
}

TEST_F(JournalTest, TheJournalKeepsItsIdAndAnotherFolderHasAnother) {
  Open();
  const event::Id id = journal_->journal_id();
  EXPECT_FALSE(id.is_nil());
  Open();
  EXPECT_EQ(journal_->journal_id(), id);
  ForgetfulDisk other_disk;
  auto other = Journal::Open(options_, other_disk, clock_, TestMetrics());
  ASSERT_OK(other);
  EXPECT_NE((*other)->journal_id(), id);
}

TEST_F(JournalTest, EveryStartOpensANewSegmentAndLeavesTheOldOnesAsTheyAre) {
  Open();
  Hold(MakeBatch(1, 1, {kUsage}));
  Close();
  const std::vector<std::string> before = Segments();
  const std::string bytes = disk_.Contents(before.back());
  Open();
  Hold(MakeBatch(1, 2, {kUsage}));
  EXPECT_THAT(Segments(), SizeIs(before.size() + 1));
  EXPECT_EQ(disk_.Contents(before.back()), bytes);
}

TEST_F(JournalTest, AFailedSyncPoisonsForEverAndIsNeverRetried) {
  Open();
  Hold(MakeBatch(1, 1, {kUsage}));
  // Let the next segment be ready, so that every further sync would be the writing thread's.
  ASSERT_TRUE(Eventually([&] { return disk_.calls(ForgetfulDisk::Call::kCreate) >= 2; }));
  Close();
  Open();
  ASSERT_TRUE(Eventually([&] { return Names().size() == Segments().size() + 1; }));
  const std::string blank = Names().back();
  ASSERT_TRUE(Eventually([&] { return disk_.Contents(blank).size() == options_.segment_bytes; }));
  ASSERT_TRUE(Eventually([&] {
    const int syncs = disk_.calls(ForgetfulDisk::Call::kSync);
    base::SystemClock().Sleep(absl::Milliseconds(2));
    return syncs == disk_.calls(ForgetfulDisk::Call::kSync);
  }));

  disk_.FailNth(ForgetfulDisk::Call::kSync, 1, absl::UnavailableError("fdatasync: EIO"));
  ASSERT_OK(journal_->Append(MakeBatch(1, 2, {kUsage})));
  ASSERT_TRUE(listener_->WaitForFailure());
  const int syncs = disk_.calls(ForgetfulDisk::Call::kSync);
  const int writes = disk_.calls(ForgetfulDisk::Call::kWrite);

  EXPECT_THAT(journal_->Append(MakeBatch(1, 3, {kUsage})),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("fdatasync: EIO")));
  EXPECT_THAT(journal_->Append(MakeBatch(1, 1, {kUsage})),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("restart")));
  // What was durable before can still be read, and nothing else.
  EXPECT_THAT(Ordinals(ReadAll(*journal_, kUsage)), ElementsAre(1));
  journal_->Stop();
  EXPECT_EQ(disk_.calls(ForgetfulDisk::Call::kSync), syncs);
  EXPECT_EQ(disk_.calls(ForgetfulDisk::Call::kWrite), writes);
  EXPECT_EQ(listener_->failures(), 1);
  EXPECT_THAT(listener_->durable(), IsEmpty());
  EXPECT_THAT(journal_->Status().failure, StatusIs(absl::StatusCode::kDataLoss, HasSubstr("EIO")));
}

TEST_F(JournalTest, AFailedWritePoisonsEvenWhenTheDiskIsFull) {
  Open();
  ASSERT_TRUE(Eventually([&] { return Names().size() == 2; }));
  ASSERT_TRUE(
      Eventually([&] { return disk_.Contents(Names().back()).size() == options_.segment_bytes; }));
  disk_.FailNth(ForgetfulDisk::Call::kWrite, 1, absl::ResourceExhaustedError("write: ENOSPC"));
  ASSERT_OK(journal_->Append(MakeBatch(1, 1, {kUsage})));
  ASSERT_TRUE(listener_->WaitForFailure());
  EXPECT_THAT(journal_->Append(MakeBatch(1, 2, {kUsage})),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("ENOSPC")));
}

// The frame can be read after the failed sync, from a page cache that will never write it again.
// Once the next run has reported it as held, it must be on the disk all the same.
TEST_F(JournalTest, AFrameThatLivesInThePageCacheAloneIsCopiedBeforeItCounts) {
  Open();
  ASSERT_TRUE(Eventually([&] { return Names().size() == 2; }));
  ASSERT_TRUE(Eventually([&] {
    return disk_.Contents(Names().back()).size() == options_.segment_bytes &&
           disk_.calls(ForgetfulDisk::Call::kSync) == 3;
  }));
  disk_.FailNth(ForgetfulDisk::Call::kSync, 1, absl::UnavailableError("EIO"));
  ASSERT_OK(journal_->Append(MakeBatch(1, 1, {kUsage, kMessage})));
  ASSERT_TRUE(listener_->WaitForFailure());
  Close();
  disk_.PowerOn(ForgetfulDisk::End::kKill);

  Open();
  ASSERT_EQ(journal_->LastSequence(ProducerId(1)), 2);
  Close();
  disk_.PowerOff();
  disk_.PowerOn(ForgetfulDisk::End::kPowerCut);

  Open();
  EXPECT_EQ(journal_->LastSequence(ProducerId(1)), 2);
  EXPECT_THAT(Ordinals(ReadAll(*journal_, kUsage)), ElementsAre(1));
  EXPECT_THAT(Ordinals(ReadAll(*journal_, kMessage)), ElementsAre(1));
  EXPECT_THAT(journal_->Status().corruptions, IsEmpty());
}

TEST_F(JournalTest, AfterAQuietTimeAMarkerProvesTheLastGroup) {
  Open();
  Hold(MakeBatch(1, 1, {kUsage}));
  const std::string segment = Segments().back();
  EXPECT_EQ(Frames(segment).back().kind, FrameKind::kGroup);
  // Again and again: the writing thread may not have begun to wait yet when the time passes.
  ASSERT_TRUE(Eventually([&] {
    clock_.Advance(options_.idle_marker_after);
    return Frames(segment).back().kind == FrameKind::kMarker;
  }));
  EXPECT_EQ(Frames(segment).back().durable_offset, 1);
  EXPECT_THAT(Frames(segment), SizeIs(3));
  // Once is enough.
  clock_.Advance(absl::Hours(1));
  Close();
  EXPECT_THAT(Frames(segment), SizeIs(3));
}

TEST_F(JournalTest, ASegmentKeepsRoomForTheProofOfItsLastGroup) {
  Open();
  // Groups of one block each, until one needs the next segment.
  for (uint64_t sequence = 1; Segments().size() < 2; ++sequence) {
    Hold(MakeBatch(1, sequence, {kUsage}));
  }
  const std::string segment = Segments().front();
  const FrameHeader last = Frames(segment).back();
  ASSERT_EQ(last.kind, FrameKind::kGroup);
  EXPECT_EQ(last.position + last.bytes_on_disk() + kBlockBytes, disk_.Contents(segment).size());
}

TEST_F(JournalTest, StopWritesWhatWaits) {
  auto journal = Journal::Open(options_, disk_, clock_, TestMetrics());
  ASSERT_OK(journal);
  RecordingListener listener;
  for (uint8_t i = 1; i <= 10; ++i) ASSERT_OK((*journal)->Append(MakeBatch(i, 1, {kUsage})));
  (*journal)->Start(&listener);
  (*journal)->Stop();
  EXPECT_THAT(listener.durable(), SizeIs(10));
  EXPECT_THAT((*journal)->Append(MakeBatch(1, 2, {kUsage})),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("stopped")));
  (*journal)->Stop();
}

TEST_F(JournalTest, ABatchThatFitsNoFrameIsRefused) {
  Open();
  EXPECT_THAT(journal_->Append(MakeLargeBatch(1, 1, kUsage, 1, options_.segment_bytes)),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("smaller batches")));
  Hold(MakeLargeBatch(1, 1, kUsage, 1, 20000));
}

TEST_F(JournalTest, HasRoomSaysWhenTooMuchWaits) {
  auto journal = Journal::Open(options_, disk_, clock_, TestMetrics());
  ASSERT_OK(journal);
  EXPECT_TRUE((*journal)->HasRoom());
  ASSERT_OK((*journal)->Append(MakeLargeBatch(1, 1, kUsage, 2, 8000)));
  EXPECT_TRUE((*journal)->HasRoom());
  ASSERT_OK((*journal)->Append(MakeLargeBatch(1, 3, kUsage, 2, 8000)));
  ASSERT_OK((*journal)->Append(MakeLargeBatch(1, 5, kUsage, 2, 8000)));
  EXPECT_FALSE((*journal)->HasRoom());
  // Those who do not ask are refused some time later, so that memory stays bounded.
  absl::Status status;
  uint64_t sequence = 7;
  for (int i = 0; i < 10 && status.ok(); ++i, sequence += 2) {
    status = (*journal)->Append(MakeLargeBatch(1, sequence, kUsage, 2, 8000));
  }
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("waits")));
  RecordingListener listener;
  (*journal)->Start(&listener);
  EXPECT_TRUE(Eventually([&] { return (*journal)->HasRoom(); }));
  (*journal)->Stop();
}

TEST_F(JournalTest, OptionsThatCannotWorkNameTheField) {
  struct Case {
    void (*change)(JournalOptions&);
    std::string field;
  };
  const Case cases[] = {
      {[](JournalOptions& o) { o.segment_bytes = 4096; }, "segment_bytes"},
      {[](JournalOptions& o) { o.segment_bytes = 100001; }, "segment_bytes"},
      {[](JournalOptions& o) { o.bytes_max = o.segment_bytes; }, "bytes_max"},
      {[](JournalOptions& o) { o.group_bytes_max = 0; }, "group_bytes_max"},
      {[](JournalOptions& o) { o.queue_bytes_max = 0; }, "queue_bytes_max"},
      {[](JournalOptions& o) { o.producers_max = 0; }, "producers_max"},
      {[](JournalOptions& o) { o.producers_max = 90000; }, "producers_max"},
      {[](JournalOptions& o) { o.retention = -absl::Seconds(1); }, "retention"},
      {[](JournalOptions& o) { o.idle_marker_after = absl::ZeroDuration(); }, "idle_marker_after"},
  };
  for (const Case& c : cases) {
    JournalOptions options = SmallOptions();
    c.change(options);
    EXPECT_THAT(options.Validate(),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(c.field)));
    EXPECT_THAT(Journal::Open(options, disk_, clock_, TestMetrics()),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(c.field)));
  }
  EXPECT_OK(SmallOptions().Validate());
  EXPECT_OK(JournalOptions().Validate());
}

TEST_F(JournalTest, EventsAreCountedByKindWhenTheyAreDurable) {
  const double usage = TestMetrics().events_accepted[1]->Value();
  const double message = TestMetrics().events_accepted[2]->Value();
  const double resent = TestMetrics().events_resent->Value();
  Open();
  Hold(MakeBatch(1, 1, {kUsage, kUsage, kMessage}));
  Hold(MakeBatch(1, 2, {kUsage, kMessage, kMessage}));
  EXPECT_EQ(TestMetrics().events_accepted[1]->Value() - usage, 2);
  EXPECT_EQ(TestMetrics().events_accepted[2]->Value() - message, 2);
  EXPECT_EQ(TestMetrics().events_resent->Value() - resent, 2);
}

}  // namespace
}  // namespace holdfast::journal
