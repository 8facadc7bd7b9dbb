// A replay from quarantine counts once, whatever goes wrong with it, and moves the books with it.

#include "server/writer/replay.h"

#include "gmock/gmock.h"

#include "server/statement/quarantine_replay.h"
#include "server/writer/quarantine_list.h"
#include "tests/unit/writer/writer_fixture.h"

namespace holdfast::writer {
namespace {

using flow::Verdict;
using test::FakeCall;
using test::FakeFault;
using test::HitsOf;
using test::UsageOf;
using test::UuidOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class ReplayTest : public WriterTest {
 protected:
  void SetModelLength(size_t length) {
    test::FakeTable& table = database_.engine().table("usage_records");
    table.column(table.Index("model")).length_max = length;
  }
  static v1::Event Poison(uint64_t id) {
    v1::Event event = UsageOf(UuidOf(id));
    event.mutable_usage()->set_model("a model with a name that is too long");
    return event;
  }
  // One good event and one that was refused; the cause is mended afterwards.
  std::unique_ptr<LaneWriter> WriterWithOneInQuarantine() {
    SetModelLength(20);
    events_.Add(UsageOf(UuidOf(1)));
    events_.Add(Poison(2));
    auto writer = OpenWriter(kUsageLane);
    WriteAll(*writer, events_);
    EXPECT_EQ(Row().quarantined, 1u);
    SetModelLength(128);
    return writer;
  }
  std::vector<QuarantinedEvent> Listed(bool settled = false) {
    QuarantineQuery query;
    query.include_settled = settled;
    auto page = ListQuarantine(database_, clock_.Steady(), query);
    EXPECT_OK(page);
    return page.ok() ? page->events : std::vector<QuarantinedEvent>();
  }
  SettleRequest Request(uint64_t quarantine_id = 1) {
    SettleRequest request;
    request.quarantine_id = quarantine_id;
    request.by = "somebody";
    request.deadline = clock_.Steady() + absl::Minutes(1);
    return request;
  }
  absl::StatusOr<Settled> Replay(uint64_t quarantine_id = 1) {
    return ReplayQuarantined(DefaultOptions(), database_, clock_, Request(quarantine_id));
  }
  Settled::Kind ReplayedAs(uint64_t quarantine_id = 1) {
    const auto settled = Replay(quarantine_id);
    EXPECT_OK(settled);
    return settled.ok() ? settled->kind : Settled::Kind::kNotFound;
  }
  void ExpectReplayedOnce() {
    EXPECT_EQ(database_.Count("usage_records"), 2u);
    uint64_t requests = 0;
    for (const auto& row : database_.Read("usage_stats", {"requests"})) {
      requests += static_cast<uint64_t>(std::stoul(*row[0]));
    }
    EXPECT_EQ(requests, 2u);
    EXPECT_EQ(Row().committed, 2u);
    EXPECT_EQ(Row().quarantined, 0u);
    EXPECT_THAT(Listed(), IsEmpty());
  }
};

TEST_F(ReplayTest, AMendedEventIsInItsTableAndItsCountersAndTheBooksMove) {
  const auto writer = WriterWithOneInQuarantine();
  EXPECT_EQ(ReplayedAs(), Settled::Kind::kCommitted);
  ExpectReplayedOnce();
  const auto all = Listed(/*settled=*/true);
  ASSERT_THAT(all, SizeIs(1));
  EXPECT_EQ(all[0].outcome, statement::kReplayedCommitted);
  EXPECT_EQ(all[0].settled_by, "somebody");
}

TEST_F(ReplayTest, ASecondReplayChangesNothing) {
  const auto writer = WriterWithOneInQuarantine();
  EXPECT_EQ(ReplayedAs(), Settled::Kind::kCommitted);
  EXPECT_EQ(ReplayedAs(), Settled::Kind::kSettledBefore);
  ExpectReplayedOnce();
  EXPECT_EQ(ReplayedAs(17), Settled::Kind::kNotFound);
}

TEST_F(ReplayTest, AnEventThatIsRefusedAgainWaitsOnWithTheNewReason) {
  const auto writer = WriterWithOneInQuarantine();
  SetModelLength(10);
  clock_.Advance(absl::Minutes(5));
  const auto again = Replay();
  ASSERT_OK(again);
  EXPECT_EQ(again->kind, Settled::Kind::kRefusedAgain);
  EXPECT_EQ(again->rejection.error_number, 1406u);
  const auto waiting = Listed();
  ASSERT_THAT(waiting, SizeIs(1));
  EXPECT_EQ(waiting[0].attempts, 2u);
  EXPECT_GT(waiting[0].last_at, waiting[0].first_at);
  EXPECT_EQ(Row().quarantined, 1u);
  EXPECT_EQ(database_.Count("usage_records"), 1u);
}

TEST_F(ReplayTest, AnEventWhoseIdIsThereWithTheSameContentIsADuplicate) {
  const auto writer = WriterWithOneInQuarantine();
  // Another pod brings it in first.
  WriterOptions other = DefaultOptions();
  other.writer_id = "writer-2";
  const auto rival = OpenWriter(kUsageLane, other);
  test::AcceptedEvents same;
  same.Add(Poison(2));
  WriteAll(*rival, same);
  EXPECT_EQ(ReplayedAs(), Settled::Kind::kDuplicate);
  EXPECT_EQ(database_.Count("usage_records"), 2u);
  EXPECT_THAT(Listed(), IsEmpty());
  uint64_t duplicates = 0;
  for (const auto& row : database_.Read("holdfast_lanes", {"writer_id", "duplicate"})) {
    if (*row[0] == "writer-1") duplicates = std::stoul(*row[1]);
  }
  EXPECT_EQ(duplicates, 1u);
}

TEST_F(ReplayTest, AnEventWhoseIdIsTakenByOtherContentIsRefusedAsAConflict) {
  const auto writer = WriterWithOneInQuarantine();
  test::AcceptedEvents other;
  other.Add(UsageOf(UuidOf(2)));
  WriterOptions options = DefaultOptions();
  options.writer_id = "writer-2";
  WriteAll(*OpenWriter(kUsageLane, options), other);
  const auto settled = Replay();
  ASSERT_OK(settled);
  EXPECT_EQ(settled->kind, Settled::Kind::kRefusedAgain);
  EXPECT_THAT(settled->rejection.reason, HasSubstr("conflict"));
  EXPECT_THAT(Listed(), SizeIs(1));
}

TEST_F(ReplayTest, TheLaneWhoseBooksMovedGoesOnAndAgreesWithItsRow) {
  const auto writer = WriterWithOneInQuarantine();
  const double committed = Committed();
  EXPECT_EQ(ReplayedAs(), Settled::Kind::kCommitted);
  EXPECT_EQ(writer->seat().quarantined, 1u);
  events_.Add(UsageOf(UuidOf(3)));
  EXPECT_EQ(WriteAll(*writer, events_), 1);
  ExpectSame(writer->seat(), Row());
  EXPECT_EQ(Row().committed, 3u);
  // What was counted as quarantined stays so; only the new event is counted as committed.
  EXPECT_EQ(Committed(), committed + 1);
  SetModelLength(20);
  events_.Add(Poison(4));
  WriteAll(*writer, events_);
  ExpectSame(writer->seat(), Row());
  EXPECT_EQ(metrics_.events_quarantined[static_cast<size_t>(event::Kind::kUsage)]->Value(), 2);
}

TEST_F(ReplayTest, AnIdleLaneFindsOutWhenItLooks) {
  const auto writer = WriterWithOneInQuarantine();
  EXPECT_EQ(ReplayedAs(), Settled::Kind::kCommitted);
  const auto looked = writer->Look();
  ASSERT_OK(looked);
  EXPECT_EQ(looked->kind, Kind::kCommitted);
  ExpectSame(writer->seat(), Row());
  EXPECT_EQ(writer->seat().quarantined, 0u);
}

TEST_F(ReplayTest, ALostCommitOfALaneIsSettledThoughItsBooksMovedMeanwhile) {
  const auto writer = WriterWithOneInQuarantine();
  events_.Add(UsageOf(UuidOf(3)));
  FakeFault lost;
  lost.error_number = 2013;
  lost.took_effect = true;
  database_.FailNext(FakeCall::Kind::kCommit, lost);
  EXPECT_FALSE(writer->Write(events_.After(writer->seat().position)).ok());
  EXPECT_EQ(ReplayedAs(), Settled::Kind::kCommitted);
  WriteAll(*writer, events_);
  ExpectSame(writer->seat(), Row());
  EXPECT_EQ(Row().committed, 3u);
}

TEST_F(ReplayTest, WhateverCallFailsItCountsOnceInTheEnd) {
  for (const bool took_effect : {false, true}) {
    for (const unsigned error_number : {1213u, 2013u}) {
      for (uint64_t nth = 1; nth <= 24; ++nth) {
        if (took_effect && error_number == 1213) continue;
        test::FakeDatabase database;
        metrics::Metrics metrics("test");
        test::FakeTable& table = database.engine().table("usage_records");
        table.column(table.Index("model")).length_max = 20;
        LaneWriter writer(DefaultOptions(), kUsageLane, UINT64_MAX, database, clock_, metrics);
        ASSERT_OK(writer.Open());
        test::AcceptedEvents events;
        events.Add(Poison(1));
        ASSERT_OK(writer.Write(events.all()));
        table.column(table.Index("model")).length_max = 128;
        FakeFault fault;
        fault.error_number = error_number;
        fault.took_effect = took_effect;
        database.FailNthCall(nth, fault);
        const auto settled = ReplayQuarantined(DefaultOptions(), database, clock_, Request());
        ASSERT_OK(settled) << nth << " " << error_number << " " << took_effect;
        EXPECT_EQ(settled->kind, Settled::Kind::kCommitted) << nth;
        EXPECT_EQ(database.Count("usage_records"), 1u) << nth;
        const auto stats = database.Read("usage_stats", {"requests"});
        ASSERT_THAT(stats, SizeIs(1));
        EXPECT_EQ(*stats[0][0], "1") << nth;
        const auto books = database.Read("holdfast_lanes", {"committed", "quarantined"});
        EXPECT_EQ(*books[0][0], "1") << nth;
        EXPECT_EQ(*books[0][1], "0") << nth;
      }
    }
  }
}

TEST_F(ReplayTest, TheBooksOfItsOwnJournalMoveThoughAnotherHasTheLane) {
  { const auto writer = WriterWithOneInQuarantine(); }
  // The journal was lost: the lane begins again, and has something of its own in quarantine.
  WriterOptions fresh = DefaultOptions();
  fresh.journal_id = event::EventKey("journal-2");
  const auto writer = OpenWriter(kUsageLane, fresh);
  SetModelLength(20);
  test::AcceptedEvents events;
  events.Add(Poison(3));
  WriteAll(*writer, events);
  SetModelLength(128);
  EXPECT_EQ(ReplayedAs(1), Settled::Kind::kCommitted);
  for (const auto& row :
       database_.Read("holdfast_lanes", {"writer_id", "committed", "quarantined"})) {
    const bool is_newer = *row[0] == "writer-1";
    EXPECT_EQ(*row[1], is_newer ? "0" : "2");
    EXPECT_EQ(*row[2], is_newer ? "1" : "0");
  }
  EXPECT_EQ(database_.Count("holdfast_lanes"), 2u);
}

TEST_F(ReplayTest, HitsWithoutAnIdCountOnce) {
  test::FakeTable& table = database_.engine().table("rate_limit_records");
  table.column(table.Index("identifier")).length_max = 2;
  events_.Add(HitsOf("user:long", 3, ""));
  const auto writer = OpenWriter(kRateLane);
  WriteAll(*writer, events_);
  ASSERT_THAT(Listed(), SizeIs(1));
  table.column(table.Index("identifier")).length_max = 255;
  EXPECT_EQ(ReplayedAs(), Settled::Kind::kCommitted);
  EXPECT_EQ(ReplayedAs(), Settled::Kind::kSettledBefore);
  EXPECT_EQ(Number("rate_limit_records", "request_count"), 3u);
}

TEST_F(ReplayTest, ADiscardedEventStaysCountedAndIsNotReplayed) {
  const auto writer = WriterWithOneInQuarantine();
  SettleRequest request = Request();
  request.reason = "a test of ours";
  const auto discarded = DiscardQuarantined(database_, clock_, request);
  ASSERT_OK(discarded);
  EXPECT_EQ(discarded->kind, Settled::Kind::kDiscarded);
  EXPECT_EQ(ReplayedAs(), Settled::Kind::kSettledBefore);
  EXPECT_THAT(Listed(), IsEmpty());
  const auto all = Listed(/*settled=*/true);
  ASSERT_THAT(all, SizeIs(1));
  EXPECT_EQ(all[0].outcome, statement::kDiscarded);
  EXPECT_EQ(all[0].settled_reason, "a test of ours");
  EXPECT_EQ(Row().quarantined, 1u);
  EXPECT_EQ(database_.Count("usage_records"), 1u);
}

TEST_F(ReplayTest, AnEventThatIsMetAgainAfterItsEndWaitsAgain) {
  const auto writer = WriterWithOneInQuarantine();
  ASSERT_OK(DiscardQuarantined(database_, clock_, Request()));
  SetModelLength(20);
  events_.Add(Poison(2));
  WriteAll(*writer, events_);
  const auto waiting = Listed();
  ASSERT_THAT(waiting, SizeIs(1));
  EXPECT_EQ(waiting[0].attempts, 2u);
  EXPECT_EQ(Row().quarantined, 2u);
}

TEST_F(ReplayTest, WithTheDatabaseAwayItFailsAndTheEventWaits) {
  const auto writer = WriterWithOneInQuarantine();
  database_.SetDown(true);
  EXPECT_FALSE(Replay().ok());
  database_.SetDown(false);
  EXPECT_EQ(ReplayedAs(), Settled::Kind::kCommitted);
  ExpectReplayedOnce();
}

TEST_F(ReplayTest, AnotherOffsetOfTheStatisticsIsNotCountedInto) {
  const auto writer = WriterWithOneInQuarantine();
  WriterOptions elsewhere = DefaultOptions();
  elsewhere.stats_utc_offset = absl::Hours(8);
  const auto settled = ReplayQuarantined(elsewhere, database_, clock_, Request());
  EXPECT_THAT(settled, HasVerdict(Verdict::kOutage));
  EXPECT_THAT(Listed(), SizeIs(1));
}

}  // namespace
}  // namespace holdfast::writer
