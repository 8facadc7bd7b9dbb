// An event that the database rejects stops nothing and is not lost.

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"

#include "server/writer/quarantine_list.h"
#include "tests/unit/writer/writer_fixture.h"

namespace holdfast::writer {
namespace {

using flow::Verdict;
using test::FakeCall;
using test::FakeFault;
using test::UsageOf;
using test::UuidOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr int kBatch = 4096;

class QuarantineTest : public WriterTest {
 protected:
  // Fits the proto and not the column, once the column is made shorter.
  void MakeModelColumnShort() {
    test::FakeTable& table = database_.engine().table("usage_records");
    table.column(table.Index("model")).length_max = 20;
  }
  static v1::Event Poison(uint64_t id) {
    v1::Event event = UsageOf(UuidOf(id));
    event.mutable_usage()->set_model("a model with a name that is too long");
    return event;
  }
  void AddAround(const std::vector<int>& poison, int count = kBatch) {
    for (int i = 0; i < count; ++i) {
      const auto id = static_cast<uint64_t>(i + 1);
      const bool is_poison = std::find(poison.begin(), poison.end(), i) != poison.end();
      events_.Add(is_poison ? Poison(id) : UsageOf(UuidOf(id)));
    }
  }
};

class PoisonTest : public QuarantineTest, public ::testing::WithParamInterface<int> {};

TEST_P(PoisonTest, CostsAtMostFourteenStatementsAndTheOthersLand) {
  MakeModelColumnShort();
  AddAround({GetParam()});
  const auto writer = OpenWriter(kUsageLane);
  const auto written = writer->Write(events_.all());
  ASSERT_OK(written);
  EXPECT_EQ(written->done, static_cast<size_t>(kBatch));
  ASSERT_THAT(written->rejections, SizeIs(1));
  EXPECT_EQ(written->rejections[0].error_number, 1406u);
  EXPECT_EQ(written->rejections[0].column, "model");
  EXPECT_EQ(written->rejections[0].sequence, static_cast<uint64_t>(GetParam()) + 1);
  // One for the batch as a whole; the rest is what the poison costs.
  EXPECT_LE(database_.statements("usage_records"), 1 + 14u);
  // Where every left half goes in, no right half is tried whole, but for the row itself.
  if (GetParam() == kBatch - 1) {
    EXPECT_EQ(database_.statements("usage_records"), 1 + 13u);
  }
  EXPECT_EQ(database_.Count("usage_records"), kBatch - 1u);
  EXPECT_EQ(Requests(), kBatch - 1u);
  EXPECT_EQ(Row().committed, kBatch - 1u);
  EXPECT_EQ(Row().quarantined, 1u);
  ExpectSame(writer->seat(), Row());
}

INSTANTIATE_TEST_SUITE_P(Places, PoisonTest, ::testing::Values(0, 1, 2047, 2048, 2731, 4094, 4095));

TEST_F(QuarantineTest, TwoPoisonEventsAreBothFound) {
  MakeModelColumnShort();
  AddAround({100, 3000});
  const auto writer = OpenWriter(kUsageLane);
  const auto written = writer->Write(events_.all());
  ASSERT_OK(written);
  ASSERT_THAT(written->rejections, SizeIs(2));
  EXPECT_EQ(written->rejections[0].sequence, 101u) << "in the order of the events";
  EXPECT_EQ(written->rejections[1].sequence, 3001u);
  EXPECT_EQ(Requests(), kBatch - 2u);
  EXPECT_EQ(database_.Count("holdfast_quarantine"), 2u);
}

// As with a foreign key whose row another session inserts meanwhile.
TEST_F(QuarantineTest, WhereTheFaultIsGoneBeforeItsRowIsFoundNoneIsCondemnedForIt) {
  AddAround({}, 8);
  database_.SetFaults([](const FakeCall& call) {
    const bool is_first =
        call.kind == FakeCall::Kind::kExecute && call.table == "usage_records" && call.rows == 8;
    return FakeFault{is_first ? 1452u : 0u};
  });
  const auto writer = OpenWriter(kUsageLane);
  const auto written = writer->Write(events_.all());
  ASSERT_OK(written);
  EXPECT_EQ(written->done, 8u);
  EXPECT_THAT(written->rejections, IsEmpty());
  EXPECT_EQ(database_.Count("usage_records"), 8u);
  EXPECT_EQ(Requests(), 8u);
  EXPECT_EQ(Row().quarantined, 0u);
}

TEST_F(QuarantineTest, ABatchOfNothingButPoisonGoesToQuarantineWhole) {
  MakeModelColumnShort();
  for (uint64_t id = 1; id <= 300; ++id) events_.Add(Poison(id));
  const auto writer = OpenWriter(kUsageLane);
  const auto written = writer->Write(events_.all());
  ASSERT_OK(written);
  EXPECT_EQ(written->done, 300u);
  EXPECT_THAT(written->rejections, SizeIs(300));
  EXPECT_EQ(database_.Count("usage_records"), 0u);
  EXPECT_EQ(database_.Count("usage_stats"), 0u);
  // Halving finds the first, and from there on each takes two.
  EXPECT_LE(database_.statements("usage_records"), 1 + 8 + 2 * 300u);
  EXPECT_EQ(Row().quarantined, 300u);
  EXPECT_EQ(metrics_.events_quarantined[1]->Value(), 300);
}

TEST_F(QuarantineTest, APoisonEventThatIsInTheBatchTwiceIsRefusedTwiceAndKeptOnce) {
  MakeModelColumnShort();
  events_.Add(Poison(1));
  events_.Add(UsageOf(UuidOf(2)));
  events_.Add(Poison(1));
  const auto writer = OpenWriter(kUsageLane);
  const auto written = writer->Write(events_.all());
  ASSERT_OK(written);
  EXPECT_THAT(written->rejections, SizeIs(2));
  EXPECT_EQ(database_.Count("holdfast_quarantine"), 1u);
  EXPECT_EQ(Number("holdfast_quarantine", "attempts"), 2u);
  EXPECT_EQ(Row().quarantined, 2u);
}

TEST_F(QuarantineTest, TheSameIdWithOtherContentIsAConflictAndTheFirstStays) {
  const auto writer = OpenWriter(kUsageLane);
  events_.Add(UsageOf(UuidOf(1), "the-first"));
  ASSERT_OK(writer->Write(events_.all()));
  events_.Add(UsageOf(UuidOf(1), "the-second"));
  events_.Add(UsageOf(UuidOf(2), "the-third"));
  events_.Add(UsageOf(UuidOf(1), "the-first"));
  const auto written = writer->Write(events_.After(1));
  ASSERT_OK(written);
  ASSERT_THAT(written->rejections, SizeIs(1));
  EXPECT_EQ(written->rejections[0].sequence, 2u);
  EXPECT_EQ(written->rejections[0].error_number, 0u);
  EXPECT_THAT(written->rejections[0].reason, HasSubstr("conflict"));
  EXPECT_EQ(database_.Read("usage_records", {"api_key_id"})[0][0], "the-first");
  EXPECT_EQ(database_.Count("usage_records"), 2u);
  EXPECT_EQ(database_.Count("usage_stats"), 2u) << "nothing was counted for the second";
  EXPECT_EQ(Row().committed, 2u);
  EXPECT_EQ(Row().duplicate, 1u);
  EXPECT_EQ(Row().quarantined, 1u);
}

TEST_F(QuarantineTest, AConflictWithinABatchIsDecidedByTheOrderOfTheEvents) {
  const auto writer = OpenWriter(kUsageLane);
  events_.Add(UsageOf(UuidOf(1), "the-first"));
  events_.Add(UsageOf(UuidOf(1), "the-second"));
  events_.Add(UsageOf(UuidOf(1), "the-first"));
  const auto written = writer->Write(events_.all());
  ASSERT_OK(written);
  ASSERT_THAT(written->rejections, SizeIs(1));
  EXPECT_EQ(written->rejections[0].sequence, 2u);
  EXPECT_EQ(database_.Read("usage_records", {"api_key_id"})[0][0], "the-first");
  EXPECT_EQ(Row().duplicate, 1u);
}

// The database already has the second one's content, so that is the duplicate and the first one
// conflicts.
TEST_F(QuarantineTest, WithinABatchTheDatabaseDecidesWhatIsAConflict) {
  const auto writer = OpenWriter(kUsageLane);
  events_.Add(UsageOf(UuidOf(1), "stored"));
  ASSERT_OK(writer->Write(events_.all()));
  events_.Add(UsageOf(UuidOf(1), "other"));
  events_.Add(UsageOf(UuidOf(1), "stored"));
  const auto written = writer->Write(events_.After(1));
  ASSERT_OK(written);
  ASSERT_THAT(written->rejections, SizeIs(1));
  EXPECT_EQ(written->rejections[0].sequence, 2u);
  EXPECT_EQ(Row().duplicate, 1u);
}

TEST_F(QuarantineTest, TheQuarantineKeepsTheEventAndWhyItIsThere) {
  MakeModelColumnShort();
  const auto writer = OpenWriter(kUsageLane);
  const event::Accepted poison = events_.Add(Poison(7));
  ASSERT_OK(writer->Write(events_.all()));
  const auto rows = database_.Read(
      "holdfast_quarantine", {"kind", "writer_id", "lane", "sequence", "event_id", "error_number",
                              "column_name", "reason", "event_protobuf", "event_json", "attempts"});
  ASSERT_THAT(rows, SizeIs(1));
  EXPECT_EQ(*rows[0][0], "usage");
  EXPECT_EQ(*rows[0][1], "writer-1");
  EXPECT_EQ(*rows[0][2], "usage-0");
  EXPECT_EQ(*rows[0][3], "1");
  EXPECT_EQ(*rows[0][4], UuidOf(7));
  EXPECT_EQ(*rows[0][5], "1406");
  EXPECT_EQ(*rows[0][6], "model");
  EXPECT_THAT(*rows[0][7], HasSubstr("1406"));
  EXPECT_FALSE(absl::StrContains(*rows[0][7], test::Parsed(poison.bytes).usage().model()))
      << "no values";
  EXPECT_EQ(*rows[0][8], poison.bytes);
  EXPECT_THAT(*rows[0][9], HasSubstr("\"api_key_id\":\"key-1\""));
  EXPECT_EQ(*rows[0][10], "1");
}

TEST_F(QuarantineTest, AnOverflowOfACounterIsolatesTheEventThatOverflows) {
  const auto writer = OpenWriter(kRateLane);
  events_.Add(test::HitsOf("user:1", 1));
  ASSERT_OK(writer->Write(events_.all()));
  // Two more hits fit.
  test::FakeTable& table = database_.engine().table("rate_limit_records");
  (*table.slots.begin()->second.committed)[table.Index("request_count")] = UINT64_MAX - 2;
  for (int i = 0; i < 20; ++i) {
    events_.Add(test::HitsOf(i == 13 ? "user:1" : absl::StrCat("user:", i + 100), 3));
  }
  std::vector<Rejection> rejections;
  WriteAll(*writer, events_, &rejections);
  ASSERT_THAT(rejections, SizeIs(1));
  EXPECT_EQ(rejections[0].sequence, 15u);
  EXPECT_EQ(rejections[0].error_number, 1690u);
  EXPECT_EQ(database_.Count("rate_limit_records"), 20u);
  EXPECT_EQ(Row("rate_limit-0").committed, 20u);
  EXPECT_EQ(Row("rate_limit-0").quarantined, 1u);
}

TEST_F(QuarantineTest, ACounterThatRejectsEveryEventStopsNothing) {
  test::FakeTable& table = database_.engine().table("rate_limit_records");
  table.column(table.Index("identifier")).length_max = 3;
  const auto writer = OpenWriter(kRateLane);
  for (int i = 0; i < 50; ++i) events_.Add(test::HitsOf(absl::StrCat("user:", i), 1));
  std::vector<Rejection> rejections;
  WriteAll(*writer, events_, &rejections);
  EXPECT_THAT(rejections, SizeIs(50));
  EXPECT_EQ(Row("rate_limit-0").quarantined, 50u);
}

// Two equal hits without an id are two facts; an attempt that is made again brings no third.
TEST_F(QuarantineTest, HitsWithoutAnIdAreKeptEachForItself) {
  test::FakeTable& table = database_.engine().table("rate_limit_records");
  table.column(table.Index("identifier")).length_max = 3;
  for (int i = 0; i < 2; ++i) events_.Add(test::HitsOf("user:1", 1));
  for (int i = 0; i < 2; ++i) events_.Add(test::HitsOf("user:1", 1, UuidOf(1)));
  for (int i = 0; i < 2; ++i) events_.Add(test::ObservedOf("user:1", 7));
  const auto writer = OpenWriter(kRateLane);
  WriteAll(*writer, events_);
  EXPECT_EQ(Row("rate_limit-0").quarantined, 6u);
  EXPECT_EQ(database_.Count("holdfast_quarantine"), 4u);
  database_.engine().table("holdfast_lanes").slots.clear();
  const auto again = OpenWriter(kRateLane);
  WriteAll(*again, events_);
  EXPECT_EQ(database_.Count("holdfast_quarantine"), 4u);
}

TEST_F(QuarantineTest, AnUnknownCommitWhileAnEventIsBeingIsolatedIsSettledToo) {
  test::FakeTable& table = database_.engine().table("rate_limit_records");
  table.column(table.Index("identifier")).length_max = 8;
  for (const bool took_effect : {false, true}) {
    for (int nth = 1; nth <= 5; ++nth) {
      const auto writer = OpenWriter(kRateLane);
      const uint64_t start = writer->seat().position;
      for (int i = 0; i < 8; ++i) {
        events_.Add(test::HitsOf(i == 3 ? "user:too-long" : "user:1", 1));
      }
      int commits = 0;
      database_.SetFaults([&](const FakeCall& call) {
        const bool fail = call.kind == FakeCall::Kind::kCommit && ++commits == nth;
        return fail ? FakeFault{2013, took_effect, false} : FakeFault();
      });
      std::vector<Rejection> rejections;
      WriteAll(*writer, events_, &rejections);
      ASSERT_THAT(rejections, SizeIs(1)) << nth;
      EXPECT_EQ(rejections[0].sequence, start + 4);
      database_.SetFaults(nullptr);
      ExpectSame(writer->seat(), Row("rate_limit-0"));
    }
  }
  EXPECT_EQ(Number("rate_limit_records", "request_count"), 70u);
  EXPECT_EQ(metrics_.lane_reseats->Value(), 0);
}

TEST_F(QuarantineTest, AnEventWhoseJsonTheQuarantineRejectsIsKeptWithoutIt) {
  MakeModelColumnShort();
  test::FakeTable& table = database_.engine().table("holdfast_quarantine");
  table.column(table.Index("event_json")).length_max = 480;
  events_.Add(Poison(1));
  v1::Event large = Poison(2);
  large.mutable_usage()->set_request_id(std::string(128, 'r'));
  const event::Accepted accepted = events_.Add(large);
  events_.Add(UsageOf(UuidOf(3)));
  const auto writer = OpenWriter(kUsageLane);
  const auto written = writer->Write(events_.all());
  ASSERT_OK(written);
  EXPECT_EQ(written->done, 3u);
  EXPECT_EQ(Row().quarantined, 2u);
  std::vector<std::string> json;
  for (const auto& row : database_.Read("holdfast_quarantine", {"event_json", "event_protobuf"})) {
    json.push_back(*row[0]);
    if (row[0]->empty()) {
      EXPECT_EQ(*row[1], accepted.bytes);
    }
  }
  EXPECT_THAT(json, testing::UnorderedElementsAre(HasSubstr("api_key_id"), IsEmpty()));
}

TEST_F(QuarantineTest, AnEventThatFitsNowhereIsAnOutageAndNotLost) {
  MakeModelColumnShort();
  test::FakeTable& table = database_.engine().table("holdfast_quarantine");
  table.column(table.Index("event_protobuf")).length_max = 10;
  events_.Add(Poison(1));
  const auto writer = OpenWriter(kUsageLane);
  const absl::Status status = writer->Write(events_.all()).status();
  EXPECT_THAT(status, HasVerdict(Verdict::kOutage));
  EXPECT_THAT(std::string(status.message()), HasSubstr("holdfast_quarantine"));
  EXPECT_EQ(Row().position, 0u);
  table.column(table.Index("event_protobuf")).length_max = 1000;
  ASSERT_OK(writer->Write(events_.all()));
}

// A limit of the server that was too low and is raised while the event is being tried.
TEST_F(QuarantineTest, AnEventThatTheQuarantineRejectsTooIsTriedAgainInItsTable) {
  events_.Add(UsageOf(UuidOf(1)));
  const auto writer = OpenWriter(kUsageLane);
  int tries = 0;
  database_.SetFaults([&](const FakeCall& call) {
    if (call.table == "holdfast_quarantine") ++tries;
    const bool refuses = call.table == "usage_records" || call.table == "holdfast_quarantine";
    return refuses && tries <= 3 ? FakeFault{1153, false, false} : FakeFault();
  });
  EXPECT_THAT(writer->Write(events_.all()), HasVerdict(Verdict::kOutage));
  EXPECT_EQ(tries, 3);
  database_.SetFaults(nullptr);
  ASSERT_OK(writer->Write(events_.all()));
  EXPECT_EQ(Row().committed, 1u);
  EXPECT_EQ(database_.Count("holdfast_quarantine"), 0u);
}

TEST_F(QuarantineTest, AMissingTableOrColumnSendsNothingToQuarantine) {
  for (int id = 1; id <= 8; ++id) events_.Add(UsageOf(UuidOf(static_cast<uint64_t>(id))));
  const auto writer = OpenWriter(kUsageLane);
  for (const unsigned missing : {1146u, 1054u}) {
    database_.SetFaults([&](const FakeCall& call) {
      return call.table == "usage_records" ? FakeFault{missing, false, false} : FakeFault();
    });
    EXPECT_THAT(writer->Write(events_.all()), HasVerdict(Verdict::kOutage)) << missing;
    database_.SetFaults(nullptr);
    EXPECT_EQ(database_.Count("holdfast_quarantine"), 0u) << missing;
    EXPECT_EQ(Row().position, 0u) << missing;
  }
  ASSERT_OK(writer->Write(events_.all()));
  EXPECT_EQ(Row().committed, 8u);
}

TEST_F(QuarantineTest, AnEventLargerThanAStatementMayBeIsQuarantined) {
  const auto writer = OpenWriter(kMessageLane);
  v1::Event large = test::MessageOf("m-1");
  large.mutable_message()->set_raw_json(std::string(6000, '"'));
  large.mutable_message()->set_attachments_json(std::string(3000, 'a'));
  database_.set_statement_bytes_max(11000);
  events_.Add(large);
  events_.Add(test::MessageOf("m-2"));
  ASSERT_OK(writer->Write(events_.all()));
  database_.set_statement_bytes_max(10000);
  large.mutable_message()->set_ig_message_id("m-3");
  large.mutable_message()->set_text(std::string(1000, 'b'));
  events_.Add(large);
  std::vector<Rejection> rejections;
  EXPECT_THAT(writer->Write(events_.After(2)), HasVerdict(Verdict::kOutage))
      << "not even the quarantine can take it";
  database_.set_statement_bytes_max(11000);
  WriteAll(*writer, events_, &rejections);
  EXPECT_EQ(database_.Count("message"), 3u);
}

TEST_F(QuarantineTest, TheListIsInPagesNewestFirst) {
  MakeModelColumnShort();
  const auto writer = OpenWriter(kUsageLane);
  for (uint64_t id = 1; id <= 25; ++id) {
    events_.Add(Poison(id));
    ASSERT_OK(writer->Write(events_.After(id - 1)));
  }
  QuarantineQuery query;
  query.rows_max = 10;
  std::vector<uint64_t> sequences;
  int pages = 0;
  do {
    const auto page = ListQuarantine(database_, clock_.Steady(), query);
    ASSERT_OK(page);
    ++pages;
    for (const QuarantinedEvent& event : page->events) {
      sequences.push_back(event.sequence);
      EXPECT_EQ(event.kind, "usage");
      EXPECT_EQ(event.error_number, 1406u);
      EXPECT_EQ(event.column, "model");
      EXPECT_EQ(event.attempts, 1u);
      EXPECT_EQ(event.producer, event::EventKey("producer"));
      EXPECT_EQ(event.event_json, "");
      EXPECT_EQ(event.first_at, event.last_at);
      EXPECT_LE(event.first_at, clock_.Now());
      EXPECT_GT(event.first_at, clock_.Now() - absl::Minutes(1));
    }
    query.below = page->next;
  } while (query.below != 0);
  EXPECT_EQ(pages, 3);
  ASSERT_THAT(sequences, SizeIs(25));
  EXPECT_TRUE(std::is_sorted(sequences.rbegin(), sequences.rend()));
}

TEST_F(QuarantineTest, TheListShowsContentOnlyIfAskedAndEndsAPageEarlyForIt) {
  test::FakeTable& table = database_.engine().table("message");
  table.column(table.Index("text")).length_max = 1;
  const auto writer = OpenWriter(kMessageLane);
  for (int i = 0; i < 5; ++i) {
    events_.Add(test::MessageOf(absl::StrCat("m-", i), std::string(900000, 'x')));
  }
  ASSERT_OK(writer->Write(events_.all()));
  QuarantineQuery query;
  query.include_content = true;
  auto page = ListQuarantine(database_, clock_.Steady(), query);
  ASSERT_OK(page);
  EXPECT_THAT(page->events, SizeIs(3)) << "the page is full after two MiB";
  EXPECT_THAT(page->events[0].event_json, HasSubstr("ig_message_id"));
  query.below = page->next;
  page = ListQuarantine(database_, clock_.Steady(), query);
  ASSERT_OK(page);
  EXPECT_THAT(page->events, SizeIs(2));
  EXPECT_EQ(page->next, 0u);
}

TEST_F(QuarantineTest, AListThatCannotBeReadIsAnErrorAndNotEmpty) {
  database_.SetDown(true);
  EXPECT_THAT(ListQuarantine(database_, clock_.Steady(), {}), HasVerdict(Verdict::kReconnect));
}

}  // namespace
}  // namespace holdfast::writer
