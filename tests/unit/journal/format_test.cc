// The bytes: FORMAT.md's worked example, known answers, and whatever else may come.

#include "server/journal/format.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <random>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"

#include "server/event/validate.h"
#include "server/event/view.h"
#include "server/journal/segment.h"
#include "tests/support/accepted_events.h"
#include "tests/unit/journal/fixture.h"

namespace holdfast::journal {
namespace {

using test::StatusIs;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST(FormatTest, TheChecksumIsXxh3WithKnownAnswers) {
  EXPECT_EQ(Checksum("", 0), 0x2D06800538D394C2u);
  EXPECT_EQ(Checksum("holdfast", 0), 0x4DDF46EBD3AD850Bu);
  EXPECT_EQ(Checksum("holdfast", 1), 0x69C60FF020C8D432u);
}

event::Id ExampleId(uint8_t first) {
  event::Id id;
  for (size_t i = 0; i < id.bytes.size(); ++i) id.bytes[i] = static_cast<uint8_t>(first + i);
  return id;
}

// The worked example of FORMAT.md: a segment with a group of three events and a marker.
std::string ExampleSegment() {
  SegmentHeader segment;
  segment.journal_id = ExampleId(0x10);
  segment.segment_id = 1;
  segment.salt = 0x0123456789abcdef;
  segment.file_bytes = 6 * kBlockBytes;
  segment.first_offset = 1;
  segment.born_bytes = 3 * kBlockBytes;
  disk::Buffer bytes(EncodeSegmentHeader(&segment));

  FrameHeader header;
  header.kind = FrameKind::kState;
  header.salt = segment.salt;
  header.position = bytes.size();
  header.first_offset = 1;
  header.chain = segment.checksum;
  FrameBuilder state(&bytes);
  state.AddLanes({});
  state.AddProducers({});
  header = state.Finish(header);

  FrameHeader group;
  group.kind = FrameKind::kGroup;
  group.event_count = 3;
  group.salt = segment.salt;
  group.number = 1;
  group.position = bytes.size();
  group.first_offset = 1;
  group.lanes = (uint64_t{1} << 16) | (uint64_t{1} << 32);
  group.chain = header.checksum;
  FrameBuilder frame(&bytes);
  frame.AddLanes({});
  frame.BeginBatch(ExampleId(0x20), 1, 4, absl::FromUnixMicros(1767225600000000), 3, 11);
  frame.AddItem(0, 16, 1, "one");
  frame.AddItem(1, 32, 1, "two");
  frame.AddItem(3, 16, 2, "three");
  group = frame.Finish(group);

  FrameHeader marker;
  marker.kind = FrameKind::kMarker;
  marker.salt = segment.salt;
  marker.number = 2;
  marker.position = bytes.size();
  marker.first_offset = 4;
  marker.durable_offset = 3;
  marker.chain = group.checksum;
  LanePositions heads{};
  heads[16] = 2;
  heads[32] = 1;
  FrameBuilder last(&bytes);
  last.AddLanes(heads);
  last.Finish(marker);

  bytes.resize(segment.file_bytes);
  return std::string(bytes);
}

std::string Golden() {
  std::ifstream file(HOLDFAST_GOLDEN_SEGMENT, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

TEST(FormatTest, TodaysEncoderWritesTheGoldenSegmentByteForByte) {
  const std::string today = ExampleSegment();
  if (today == Golden()) return;
  const std::string path = absl::StrCat(::testing::TempDir(), "/golden.jnl");
  std::ofstream(path, std::ios::binary) << today;
  FAIL() << "the format has changed; if that is meant, raise kFormatVersion, keep reading the old "
            "one, and compare with "
         << path;
}

TEST(FormatTest, TodaysDecoderReadsTheGoldenSegment) {
  test::ForgetfulDisk disk;
  disk.Put(SegmentName(1), Golden());
  test::FakeClock clock;
  auto journal = Journal::Open(SmallOptions(), disk, clock, TestMetrics());
  ASSERT_OK(journal);
  EXPECT_THAT((*journal)->Status().corruptions, IsEmpty());
  EXPECT_EQ((*journal)->journal_id(), ExampleId(0x10));
  EXPECT_EQ((*journal)->Status().last_offset, 3);
  EXPECT_EQ((*journal)->LastSequence(ExampleId(0x20)), 4);
  const std::vector<Held> usage = ReadAll(**journal, 16);
  ASSERT_THAT(usage, SizeIs(2));
  EXPECT_EQ(usage[0].bytes, "one");
  EXPECT_EQ(usage[1].bytes, "three");
  EXPECT_EQ(usage[1].sequence, 4);
  EXPECT_EQ(usage[1].offset, 3);
  EXPECT_EQ(usage[1].ordinal, 2);
  ASSERT_THAT(ReadAll(**journal, 32), SizeIs(1));
}

// FORMAT.md shows these; so it cannot drift from the code.
TEST(FormatTest, TheWorkedExampleInTheFormatPageIsTheGoldenSegment) {
  std::ifstream page(HOLDFAST_FORMAT_PAGE);
  const std::string text{std::istreambuf_iterator<char>(page), std::istreambuf_iterator<char>()};
  ASSERT_THAT(text, HasSubstr("## Worked example"));
  const std::string golden = Golden();
  ASSERT_EQ(golden.size(), 6 * kBlockBytes);
  for (const auto& [begin, end] :
       {std::pair<size_t, size_t>{0, 120}, std::pair<size_t, size_t>{0x2000, 0x2068},
        std::pair<size_t, size_t>{0x3000, 0x30d8}, std::pair<size_t, size_t>{0x4000, 0x4078}}) {
    for (size_t at = begin; at < end; at += 16) {
      const std::string row =
          absl::BytesToHexString(golden.substr(at, std::min<size_t>(16, end - at)));
      std::string line = absl::StrCat(absl::Hex(at, absl::kZeroPad4), " ");
      for (size_t i = 0; i < row.size(); i += 2) absl::StrAppend(&line, " ", row.substr(i, 2));
      EXPECT_THAT(text, HasSubstr(line + "\n"));
    }
  }
}

TEST(FormatTest, AHeaderWithAnyByteChangedIsDamaged) {
  const std::string golden = Golden();
  for (size_t byte = 0; byte < 120; ++byte) {
    std::string block = golden.substr(0, kBlockBytes);
    block[byte] = static_cast<char>(block[byte] ^ 0x10);
    EXPECT_THAT(DecodeSegmentHeader(block), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("")))
        << byte;
  }
  for (size_t byte = 0; byte < kFrameHeaderBytes; ++byte) {
    std::string block = golden.substr(3 * kBlockBytes, kBlockBytes);
    block[byte] = static_cast<char>(block[byte] ^ 0x10);
    EXPECT_THAT(DecodeFrameHeader(block, 3 * kBlockBytes),
                StatusIs(absl::StatusCode::kDataLoss, HasSubstr("")))
        << byte;
  }
}

TEST(FormatTest, ACutHeaderIsDamaged) {
  const std::string golden = Golden();
  for (size_t size = 0; size < 120; ++size) {
    EXPECT_FALSE(DecodeSegmentHeader(golden.substr(0, size)).ok());
  }
  for (size_t size = 0; size < kFrameHeaderBytes; ++size) {
    EXPECT_FALSE(DecodeFrameHeader(golden.substr(3 * kBlockBytes, size), 3 * kBlockBytes).ok());
  }
}

// Walks everything that a payload claims to hold.
void Walk(absl::string_view payload) {
  RecordCursor records(payload);
  while (records.Next()) {
    LanePositions heads;
    std::vector<ProducerState> producers;
    DecodeLanes(records.body(), &heads);
    DecodeProducers(records.body(), &producers);
    EXPECT_LE(producers.size() * 32, payload.size());
    BatchCursor batch(records.body());
    BatchCursor::Item item;
    while (batch.Next(&item)) EXPECT_LT(item.lane, event::kLaneCount);
  }
}

TEST(FormatTest, AnyPayloadIsWalkedWithoutHarm) {
  const std::string payload = Golden().substr(3 * kBlockBytes + kFrameHeaderBytes, 128);
  for (size_t size = 0; size <= payload.size(); ++size) Walk(payload.substr(0, size));
  std::mt19937_64 random(3);
  for (int i = 0; i < 20000; ++i) {
    std::string changed = payload;
    for (int changes = 0; changes < 3; ++changes) {
      changed[random() % changed.size()] = static_cast<char>(random());
    }
    Walk(changed);
  }
}

TEST(FormatTest, ABatchSaysWhatItWasGiven) {
  disk::Buffer buffer;
  FrameBuilder frame(&buffer);
  const absl::Time time = absl::FromUnixMicros(-5);
  frame.BeginBatch(ExampleId(1), 7, 20, time, 2, 3);
  frame.AddItem(0, 47, kNumberMax, "ab");
  frame.AddItem(13, 0, 1, "c");
  const FrameHeader header = frame.Finish({.first_offset = 1});
  RecordCursor records(absl::string_view(buffer).substr(kFrameHeaderBytes, header.payload_bytes));
  ASSERT_TRUE(records.Next());
  EXPECT_EQ(records.body().size() + 5, BatchRecordBytes(2, 3));
  BatchCursor batch(records.body());
  EXPECT_EQ(batch.producer(), ExampleId(1));
  EXPECT_EQ(batch.last_sequence(), 20);
  EXPECT_EQ(batch.accepted_at(), time);
  BatchCursor::Item item;
  ASSERT_TRUE(batch.Next(&item));
  EXPECT_EQ(item.sequence, 7);
  EXPECT_EQ(item.ordinal, kNumberMax);
  ASSERT_TRUE(batch.Next(&item));
  EXPECT_EQ(item.sequence, 20);
  EXPECT_EQ(item.bytes, "c");
  EXPECT_FALSE(batch.Next(&item));
  EXPECT_TRUE(batch.well_formed());
  EXPECT_FALSE(records.Next());
  EXPECT_TRUE(records.well_formed());
}

TEST(SegmentNameTest, OnlyNamesThatWeWouldWriteAreOurs) {
  EXPECT_EQ(SegmentName(42), "000000000000002a.jnl");
  EXPECT_EQ(ParseSegmentName("000000000000002a.jnl"), 42);
  for (const char* name :
       {"", ".jnl", "2a.jnl", "000000000000002A.jnl", "0000000000000000.jnl",
        "ffffffffffffffff.jnl", "000000000000002a.tmp", "000000000000002a", "0x0000000000002a.jnl",
        "-00000000000002a.jnl", "000000000000002a.jnl.corrupt"}) {
    EXPECT_EQ(ParseSegmentName(name), std::nullopt) << name;
  }
  EXPECT_EQ(ParseAnyName("000000000000002a.corrupt.1"), 42);
}

event::Trace ExampleTrace() {
  return *event::ParseTraceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
}

TEST(FormatTest, ATraceStandsBehindTheFirstEventAndIsTakenOffAgain) {
  const std::string event = test::UsageOf("id").SerializeAsString();
  const std::string field = EncodeTraceField(ExampleTrace());
  EXPECT_EQ(field.size(), kTraceFieldBytes);
  disk::Buffer buffer;
  FrameBuilder frame(&buffer);
  frame.BeginBatch(ExampleId(1), 1, 2, absl::UnixEpoch(), 2, 2 * event.size() + field.size());
  frame.AddItem(0, 16, 1, event, field);
  frame.AddItem(1, 32, 1, event);
  const FrameHeader header = frame.Finish({.first_offset = 1});
  RecordCursor records(absl::string_view(buffer).substr(kFrameHeaderBytes, header.payload_bytes));
  ASSERT_TRUE(records.Next());
  BatchCursor batch(records.body());
  BatchCursor::Item item;
  ASSERT_TRUE(batch.Next(&item));
  EXPECT_EQ(item.bytes, event);
  EXPECT_EQ(batch.trace(), ExampleTrace());
  EXPECT_EQ(batch.trace_field(), field);
  ASSERT_TRUE(batch.Next(&item));
  EXPECT_EQ(item.bytes, event);
  EXPECT_EQ(batch.trace(), ExampleTrace());
  EXPECT_FALSE(batch.Next(&item));
  EXPECT_TRUE(batch.well_formed());
}

// What a program of before traces makes of it: the event, whole.
TEST(FormatTest, WhoDoesNotKnowTracesReadsTheEventAsItWasSent) {
  const v1::Event sent = test::UsageOf("id");
  const std::string bytes = sent.SerializeAsString() + EncodeTraceField(ExampleTrace());
  event::EventView view;
  ASSERT_TRUE(event::ReadView(bytes, &view));
  EXPECT_EQ(view, event::EventView(sent));
  v1::Event parsed;
  ASSERT_FALSE(event::Decode(bytes, &parsed).has_value());
  EXPECT_EQ(parsed.SerializeAsString(), sent.SerializeAsString());
}

TEST(FormatTest, TheEndOfATextIsNoTrace) {
  const std::string field = EncodeTraceField(ExampleTrace());
  // The last field of the event is a text, and ends as a trace field does.
  v1::Event event = test::UsageOf("id");
  event.clear_occurred_at();
  event.mutable_message()->set_referral_json("{" + field);
  const std::string bytes = event.SerializeAsString();
  ASSERT_TRUE(absl::EndsWith(bytes, field));
  EXPECT_EQ(TraceFieldOf(bytes), "");
  EXPECT_EQ(TraceFieldOf(bytes + field), field);
  EXPECT_EQ(TraceFieldOf(field), field);
  EXPECT_EQ(TraceFieldOf(field.substr(1)), "");
  EXPECT_EQ(TraceFieldOf("\xff" + field), "");
  EXPECT_EQ(TraceFieldOf(""), "");
}

}  // namespace
}  // namespace holdfast::journal
