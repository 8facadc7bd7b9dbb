// Events out of a folder, as lines that can be sent again.

#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/time_util.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"

#include "holdfast/v1/ingest.pb.h"
#include "server/base/log.h"
#include "server/inspect/exporter.h"
#include "server/inspect/positions.h"
#include "tests/unit/inspect/scripted_session.h"
#include "tests/unit/journal/fixture.h"

namespace holdfast::inspect {
namespace {

using google::protobuf::util::TimeUtil;
using test::ForgetfulDisk;
using test::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr event::Lane kRateLimit = 0;
constexpr event::Lane kUsage = 16;

void NoProgress(uint64_t /*done*/, uint64_t /*all*/) {}

const absl::Time kNow = absl::FromUnixSeconds(1767225600);

v1::Event Usage(int number) {
  v1::Event event;
  *event.mutable_occurred_at() = TimeUtil::SecondsToTimestamp(absl::ToUnixSeconds(kNow));
  event.mutable_usage()->set_event_id(absl::StrCat("usage-", number));
  event.mutable_usage()->set_api_key_id("key");
  event.mutable_usage()->set_model("m");
  return event;
}

v1::Event Hits(int number, absl::string_view event_id = "") {
  v1::Event event;
  *event.mutable_occurred_at() = TimeUtil::SecondsToTimestamp(absl::ToUnixSeconds(kNow));
  event.mutable_rate_limit()->set_event_id(std::string(event_id));
  event.mutable_rate_limit()->set_identifier(absl::StrCat("user:", number));
  event.mutable_rate_limit()->set_window_type(v1::WINDOW_TYPE_MINUTE);
  event.mutable_rate_limit()->set_hits(3);
  return event;
}

class ExportTest : public journal::JournalTest {
 protected:
  ExportTest() {
    base::SetLogLevel(base::LogLevel::kError);
    context_.now = kNow + absl::Hours(1);
  }

  void HoldEvents(const event::Id& producer, uint64_t first_sequence,
                  const std::vector<v1::Event>& events) {
    v1::EventBatch batch;
    batch.set_first_sequence(first_sequence);
    for (const v1::Event& event : events) *batch.add_events() = event;
    auto read = event::Batch::Read(batch.SerializeAsString(), producer, 1, kNow);
    ASSERT_OK(read);
    ASSERT_THAT((*read)->refusals, IsEmpty());
    Hold(*std::move(read));
  }

  // Two usage events, hits without an id, hits with one: offsets 1 to 4.
  void MakeFolder() {
    Open();
    HoldEvents(journal::ProducerId(1), 1, {Usage(1), Usage(2), Hits(1)});
    HoldEvents(journal::ProducerId(2), 1, {Hits(2, "hits-2")});
    Close();
    context_.journal_id = *JournalIn(disk_);
  }

  Exported ExportNow(const Selection& selection) {
    lines_.clear();
    const auto print = [this](absl::string_view line) {
      v1::JournaledEvent event;
      EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(std::string(line), &event).ok());
      EXPECT_EQ(line.back(), '\n');
      lines_.push_back(event);
      return absl::OkStatus();
    };
    absl::StatusOr<Exported> exported = Export(disk_, selection, context_, print, NoProgress);
    EXPECT_OK(exported);
    return exported.ok() ? *std::move(exported) : Exported();
  }

  std::vector<uint64_t> Offsets() const {
    std::vector<uint64_t> offsets;
    for (const v1::JournaledEvent& line : lines_) offsets.push_back(line.offset());
    return offsets;
  }

  Context context_;
  std::vector<v1::JournaledEvent> lines_;
};

TEST_F(ExportTest, EveryEventComesOutAsItWasSentWithWhereItStands) {
  MakeFolder();
  EXPECT_EQ(ExportNow({}).events, 4);
  ASSERT_THAT(Offsets(), ElementsAre(1, 2, 3, 4));
  EXPECT_EQ(lines_[1].event().SerializeAsString(), Usage(2).SerializeAsString());
  EXPECT_EQ(lines_[1].producer_id(), event::FormatUuid(journal::ProducerId(1)));
  EXPECT_EQ(lines_[1].sequence(), 2);
  EXPECT_EQ(lines_[1].lane(), "usage-0");
  EXPECT_EQ(lines_[1].ordinal(), 2);
  EXPECT_EQ(lines_[1].accepted_at().seconds(), absl::ToUnixSeconds(kNow));
}

TEST_F(ExportTest, SelectionIsByProducerKindAndOffset) {
  MakeFolder();
  ExportNow({.producer = journal::ProducerId(2)});
  EXPECT_THAT(Offsets(), ElementsAre(4));
  ExportNow({.kind = event::Kind::kUsage});
  EXPECT_THAT(Offsets(), ElementsAre(1, 2));
  ExportNow({.from_offset = 2, .to_offset = 3});
  EXPECT_THAT(Offsets(), ElementsAre(2, 3));
}

TEST_F(ExportTest, OnlyHitsWithoutAnIdGetOneAndItIsTheSameInEveryExport) {
  MakeFolder();
  const Exported exported = ExportNow({});
  EXPECT_EQ(exported.held_back, 1);
  EXPECT_EQ(lines_[0].resend_id(), "");
  EXPECT_EQ(lines_[3].resend_id(), "");
  const std::string id = lines_[2].resend_id();
  EXPECT_TRUE(event::ParseUuid(id).has_value());
  EXPECT_EQ(lines_[2].event().rate_limit().event_id(), "");
  ExportNow({});
  EXPECT_EQ(lines_[2].resend_id(), id);
}

TEST_F(ExportTest, WithoutAProducerTheResendIdFollowsFromTheJournalAndTheOffset) {
  Open();
  HoldEvents(event::Id(), 0, {Hits(1)});
  HoldEvents(event::Id(), 0, {Hits(1)});
  Close();
  context_.journal_id = *JournalIn(disk_);
  ExportNow({});
  ASSERT_THAT(lines_, SizeIs(2));
  EXPECT_EQ(lines_[0].sequence(), lines_[1].sequence());
  EXPECT_NE(lines_[0].resend_id(), lines_[1].resend_id());
  EXPECT_EQ(lines_[0].producer_id(), "");
}

TEST_F(ExportTest, WhatIsPendingFollowsFromThePositions) {
  MakeFolder();
  context_.positions.emplace();
  (*context_.positions)[kUsage] = 1;
  (*context_.positions)[kRateLimit] = 0;
  const Exported exported = ExportNow({.pending_only = true});
  EXPECT_THAT(Offsets(), ElementsAre(2, 3, 4));
  EXPECT_EQ(exported.resent_ids, 1);
  EXPECT_EQ(exported.held_back, 0);
  EXPECT_EQ(lines_[1].delivery(), v1::DELIVERY_PENDING);
  ExportNow({});
  EXPECT_EQ(lines_[0].delivery(), v1::DELIVERY_DELIVERED);
}

TEST_F(ExportTest, BesideADaemonNothingIsCertainToStayPending) {
  MakeFolder();
  context_.positions.emplace();
  context_.in_use = true;
  const Exported exported = ExportNow({.pending_only = true});
  EXPECT_EQ(exported.held_back, 1);
  EXPECT_EQ(lines_[2].delivery(), v1::DELIVERY_UNSPECIFIED);
}

TEST_F(ExportTest, BesideADaemonWhatIsAcceptedMeanwhileIsLeftOut) {
  MakeFolder();
  context_.now = kNow - absl::Seconds(1);
  EXPECT_EQ(ExportNow({}).events, 4);
  context_.in_use = true;
  EXPECT_EQ(ExportNow({}).events, 0);
}

TEST_F(ExportTest, ALaneWithoutARowIsPendingOnlyAsLongAsRowsAreKept) {
  MakeFolder();
  context_.positions.emplace();
  ExportNow({});
  EXPECT_EQ(lines_[0].delivery(), v1::DELIVERY_PENDING);
  context_.now = kNow + absl::Hours(30 * 24);
  ExportNow({});
  EXPECT_EQ(lines_[0].delivery(), v1::DELIVERY_UNSPECIFIED);
}

TEST_F(ExportTest, WhatIsDamagedIsReportedAndTheRestComesOut) {
  MakeFolder();
  const std::string segment = Segments().back();
  const journal::FrameHeader first = Frames(segment)[1];
  disk_.FlipBit(segment, first.position + journal::kFrameHeaderBytes + 60, 1);
  const Exported exported = ExportNow({});
  EXPECT_THAT(Offsets(), ElementsAre(4));
  ASSERT_THAT(exported.corruptions, SizeIs(1));
  EXPECT_EQ(exported.corruptions[0].first_byte, first.position);
}

TEST_F(ExportTest, AnAnswerThatCannotBeWrittenIsAnError) {
  MakeFolder();
  int printed = 0;
  const auto full = [&printed](absl::string_view /*line*/) {
    ++printed;
    return absl::AbortedError("no space left");
  };
  EXPECT_THAT(Export(disk_, {}, context_, full, NoProgress),
              StatusIs(absl::StatusCode::kAborted, HasSubstr("no space left")));
  EXPECT_EQ(printed, 1);
}

TEST_F(ExportTest, AFolderWithoutAJournalIsNoEmptyExport) {
  EXPECT_THAT(JournalIn(disk_), StatusIs(absl::StatusCode::kNotFound, HasSubstr("no journal")));
}

TEST(PositionsTest, EachRowIsWaitedForUnlessADaemonHoldsTheFolder) {
  int waited = 0;
  ScriptedDatabase database(
      [&](const mysql::Statement& statement,
          const mysql::Rows& /*rows*/) -> absl::StatusOr<std::vector<mysql::ResultRow>> {
        if (absl::StrContains(statement.head, "LOCK IN SHARE MODE")) {
          ++waited;
          return std::vector<mysql::ResultRow>{{"8"}};
        }
        return std::vector<mysql::ResultRow>{{"w", "usage-0", "7"}, {"w", "no-lane", "1"}};
      });
  const auto settled = ReadPositions(database, absl::InfiniteFuture(), event::Id(), false);
  ASSERT_OK(settled);
  EXPECT_EQ((*settled)[kUsage], 8);
  EXPECT_EQ((*settled)[kRateLimit], std::nullopt);
  EXPECT_EQ(waited, 2);
  EXPECT_EQ((*ReadPositions(database, absl::InfiniteFuture(), event::Id(), true))[kUsage], 7);
  EXPECT_EQ(waited, 2);
  EXPECT_FALSE(database.changed);
}

TEST(PositionsTest, ADatabaseThatFailsIsAnErrorAndItsSessionIsNotKept) {
  ScriptedDatabase database(
      [](const mysql::Statement& /*statement*/,
         const mysql::Rows& /*rows*/) -> absl::StatusOr<std::vector<mysql::ResultRow>> {
        return absl::UnavailableError("gone away");
      });
  EXPECT_THAT(ReadPositions(database, absl::InfiniteFuture(), event::Id(), false),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("gone away")));
  EXPECT_EQ(database.condemned, 1);
}

}  // namespace
}  // namespace holdfast::inspect
