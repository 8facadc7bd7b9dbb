#include "server/event/batch.h"

#include <google/protobuf/stubs/logging.h>

#include <climits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/support/status_matchers.h"
#include "tests/unit/event/sample_events.h"

namespace holdfast::event {
namespace {

using test::StatusIs;
using ::testing::HasSubstr;
using ::testing::StartsWith;

Id SomeProducer() { return *ParseUuid("0194f1c0-5b7e-7c11-8f00-00000000000f"); }

absl::StatusOr<std::unique_ptr<Batch>> Read(std::string encoded, const Id& producer) {
  google::protobuf::LogSilencer silencer;
  return Batch::Read(std::move(encoded), producer, 4, SampleTime());
}
absl::StatusOr<std::unique_ptr<Batch>> Read(std::string encoded) {
  return Read(std::move(encoded), SomeProducer());
}

auto Unusable(absl::string_view field) {
  return StatusIs(absl::StatusCode::kInvalidArgument, StartsWith(std::string(field) + ": "));
}

// What must hold of every batch that was read, whatever it was read from.
void CheckSound(const Batch& batch) {
  ASSERT_GE(batch.first_sequence, 1u);
  ASSERT_GE(batch.last_sequence, batch.first_sequence);
  ASSERT_EQ(batch.items.size() + batch.refusals.size(),
            batch.last_sequence - batch.first_sequence + 1);
  size_t item = 0;
  size_t refusal = 0;
  for (uint64_t sequence = batch.first_sequence;; ++sequence) {
    if (item < batch.items.size() && batch.items[item].sequence == sequence) {
      v1::Event event;
      ASSERT_FALSE(Decode(batch.items[item].bytes, &event).has_value());
      ASSERT_FALSE(Validate(event, SampleTime()).has_value());
      ASSERT_EQ(batch.items[item].lane, LaneOf(event, 4));
      ++item;
    } else {
      ASSERT_LT(refusal, batch.refusals.size());
      ASSERT_EQ(batch.refusals[refusal].sequence, sequence);
      ASSERT_NE(batch.refusals[refusal].fault.reason, "");
      ++refusal;
    }
    if (sequence == batch.last_sequence) break;
  }
}

TEST(BatchTest, EventsComeOutInTheOrderOfTheirSequence) {
  const auto batch = Read(Encode(7, AllSamples()));
  ASSERT_OK(batch);
  EXPECT_EQ((*batch)->producer, SomeProducer());
  EXPECT_EQ((*batch)->first_sequence, 7u);
  EXPECT_EQ((*batch)->last_sequence, 9u);
  EXPECT_EQ((*batch)->accepted_at, SampleTime());
  ASSERT_EQ((*batch)->items.size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ((*batch)->items[i].sequence, 7 + i);
    EXPECT_EQ((*batch)->items[i].bytes, AllSamples()[i].SerializeAsString());
  }
  CheckSound(**batch);
}

TEST(BatchTest, OneBadEventIsRefusedAndDisturbsNoOther) {
  const std::string good = UsageSample().SerializeAsString();
  const std::string bad = LengthDelimited(4, LengthDelimited(4, "\xff"));
  v1::Event too_long = UsageSample();
  too_long.mutable_usage()->set_model(std::string(129, 'm'));
  const auto batch =
      Read(Varint(1, 10) + LengthDelimited(2, good) + LengthDelimited(2, bad) +
           LengthDelimited(2, good) + LengthDelimited(2, too_long.SerializeAsString()) +
           LengthDelimited(2, "\xff\xff") + LengthDelimited(2, "") + LengthDelimited(2, good));
  ASSERT_OK(batch);
  CheckSound(**batch);
  ASSERT_EQ((*batch)->items.size(), 3u);
  EXPECT_EQ((*batch)->items[0].sequence, 10u);
  EXPECT_EQ((*batch)->items[1].sequence, 12u);
  EXPECT_EQ((*batch)->items[2].sequence, 16u);
  ASSERT_EQ((*batch)->refusals.size(), 4u);
  EXPECT_EQ((*batch)->refusals[0].sequence, 11u);
  EXPECT_EQ((*batch)->refusals[0].fault.field, "message.text");
  EXPECT_EQ((*batch)->refusals[1].fault.field, "usage.model");
  EXPECT_EQ((*batch)->refusals[2].fault.field, "");
  EXPECT_EQ((*batch)->refusals[3].fault.field, "occurred_at");
}

TEST(BatchTest, AnEventOfOneMebibyteMayBeTakenAndOneByteMoreIsRefused) {
  v1::Event event = MessageSample();
  event.mutable_message()->clear_raw_json();
  const size_t rest = event.ByteSizeLong();
  event.mutable_message()->set_raw_json(std::string(kEventBytesMax - rest - 8, ' '));
  while (event.ByteSizeLong() < kEventBytesMax)
    event.mutable_message()->mutable_raw_json()->append(" ");
  ASSERT_EQ(event.ByteSizeLong(), kEventBytesMax);
  v1::Event larger = event;
  larger.mutable_message()->mutable_raw_json()->append(" ");

  const auto batch = Read(Encode(1, {event, larger}));
  ASSERT_OK(batch);
  ASSERT_EQ((*batch)->items.size(), 1u);
  ASSERT_EQ((*batch)->refusals.size(), 1u);
  EXPECT_EQ((*batch)->refusals[0].sequence, 2u);
  EXPECT_EQ((*batch)->refusals[0].fault.label, "too_large");
}

TEST(BatchTest, AsManyEventsAsAreAllowedAreTakenAndOneMoreIsTooMany) {
  v1::Event small;
  small.mutable_occurred_at()->set_seconds(1);
  small.mutable_usage()->set_event_id("e");
  small.mutable_usage()->set_api_key_id("k");
  std::vector<v1::Event> events(8192, small);
  const auto batch = Read(Encode(1, events));
  ASSERT_OK(batch);
  EXPECT_EQ((*batch)->items.size(), 8192u);
  events.push_back(small);
  EXPECT_THAT(Read(Encode(1, events)), Unusable("events"));
}

TEST(BatchTest, ABatchAboveFourMebibytesIsRefused) {
  std::string encoded = Encode(1, {UsageSample()});
  const size_t tag_and_length =
      LengthDelimited(99, std::string(kBatchBytesMax / 2, 'x')).size() - kBatchBytesMax / 2;
  encoded +=
      LengthDelimited(99, std::string(kBatchBytesMax - encoded.size() - tag_and_length, 'x'));
  ASSERT_EQ(encoded.size(), kBatchBytesMax);
  EXPECT_OK(Read(encoded));
  EXPECT_THAT(Read(encoded + Varint(3, 1)), Unusable("batch"));
}

TEST(BatchTest, NoEventsIsNoBatch) {
  EXPECT_THAT(Read(""), Unusable("events"));
  EXPECT_THAT(Read(Varint(1, 5)), Unusable("events"));
}

TEST(BatchTest, AProducersSequencesStartAtOne) {
  EXPECT_THAT(Read(Encode(0, {UsageSample()})), Unusable("first_sequence"));
  EXPECT_OK(Read(Encode(1, {UsageSample()})));
}

TEST(BatchTest, SequencesDoNotOverflow) {
  const auto last = Read(Encode(UINT64_MAX, {UsageSample()}));
  ASSERT_OK(last);
  EXPECT_EQ((*last)->last_sequence, UINT64_MAX);
  EXPECT_EQ((*last)->items[0].sequence, UINT64_MAX);
  EXPECT_THAT(Read(Encode(UINT64_MAX, {UsageSample(), UsageSample()})), Unusable("first_sequence"));
}

TEST(BatchTest, AnonymousEventsHaveNoSequenceOfTheirOwnAndAreNumberedFromOne) {
  const auto batch = Read(Encode(0, AllSamples()), Id{});
  ASSERT_OK(batch);
  EXPECT_EQ((*batch)->first_sequence, 1u);
  EXPECT_EQ((*batch)->last_sequence, 3u);
  EXPECT_THAT(Read(Encode(1, AllSamples()), Id{}), Unusable("first_sequence"));
}

TEST(BatchTest, FieldsFromALaterContractAreSkippedWhereverTheyStand) {
  const std::string event = LengthDelimited(2, UsageSample().SerializeAsString());
  const std::string group = std::string("\x2b") + Varint(7, 1) + "\x2c";  // Field 5.
  const std::string fixed = std::string("\x19") + "12345678" + std::string("\x1d") + "1234";
  // Known numbers with other types than ours are unknown fields too.
  const auto batch = Read(fixed + event + group + Varint(1, 3) + LengthDelimited(9, "x") +
                          Varint(2, 5) + LengthDelimited(1, "y") + event);
  ASSERT_OK(batch);
  EXPECT_EQ((*batch)->first_sequence, 3u);
  EXPECT_EQ((*batch)->items.size(), 2u);
}

TEST(BatchTest, OfSeveralFirstSequencesTheLastOneCounts) {
  const auto batch = Read(Varint(1, 3) + Encode(9, {UsageSample()}));
  ASSERT_OK(batch);
  EXPECT_EQ((*batch)->first_sequence, 9u);
}

TEST(BatchTest, WhatIsNotABatchIsRefused) {
  for (const std::string& encoded :
       {std::string("\0", 1), std::string("\x0c"), std::string("\x0e\x01"), std::string("\x08"),
        std::string("\x12\x05xx"), std::string("\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
        std::string("\x0b\x08"), std::string(11, '\xff')}) {
    EXPECT_THAT(Read(encoded), Unusable("batch"));
  }
}

TEST(BatchTest, ABatchThatIsCutOffAnywhereIsSoundOrRefused) {
  const std::string encoded = Encode(1, AllSamples());
  for (size_t length = 0; length <= encoded.size(); ++length) {
    // On the heap and without room to spare, so that a read beyond its end is seen.
    const auto batch = Read(std::string(encoded.data(), length));
    if (batch.ok()) {
      CheckSound(**batch);
    } else {
      EXPECT_EQ(batch.status().code(), absl::StatusCode::kInvalidArgument);
    }
  }
}

TEST(BatchTest, WhateverTheBytesAreTheGeneratedParserAgrees) {
  google::protobuf::LogSilencer silencer;
  std::mt19937_64 random(1);
  const std::string encoded = Encode(1, AllSamples());
  int taken = 0;
  for (int round = 0; round < 5000; ++round) {
    const std::string mutated = Mutate(encoded, &random);
    v1::EventBatch expected;
    const bool parses = expected.ParseFromString(mutated);
    const auto batch = Read(mutated);
    if (batch.ok()) CheckSound(**batch);
    if (!parses) continue;
    if (expected.events_size() == 0 || expected.first_sequence() == 0 ||
        expected.first_sequence() > UINT64_MAX - 100) {
      EXPECT_FALSE(batch.ok());
      continue;
    }
    ASSERT_OK(batch);
    EXPECT_EQ((*batch)->first_sequence, expected.first_sequence());
    EXPECT_EQ((*batch)->items.size() + (*batch)->refusals.size(),
              static_cast<size_t>(expected.events_size()));
    expected.DiscardUnknownFields();
    for (const Item& item : (*batch)->items) {
      const int index = static_cast<int>(item.sequence - (*batch)->first_sequence);
      v1::Event event;
      ASSERT_FALSE(Decode(item.bytes, &event).has_value());
      EXPECT_EQ(event.SerializeAsString(), expected.events(index).SerializeAsString());
    }
    ++taken;
  }
  EXPECT_GT(taken, 150);
}

TEST(BatchTest, MemoryHeldIsNoLessThanWhatWasSent) {
  const std::string encoded = Encode(1, AllSamples());
  const auto batch = Read(encoded);
  ASSERT_OK(batch);
  EXPECT_GE((*batch)->bytes, encoded.size());
  EXPECT_LE((*batch)->bytes, encoded.size() + (16 << 10));
}

// Each of them has three bytes on the wire, and many times that when it is kept.
TEST(BatchTest, FieldsThatAreNotKnownTakeNoMemoryWhereverTheyStand) {
  std::string unknown;
  for (int i = 0; i < 50000; ++i) unknown += LengthDelimited(30, "");
  // A message that is there twice is merged.
  const std::string time = LengthDelimited(1, unknown);
  const std::string of_rate_limit =
      unknown + LengthDelimited(4, unknown) + LengthDelimited(5, unknown);
  const struct {
    v1::Event event;
    std::string unknown;
  } kCases[] = {
      {RateLimitSample(), unknown + time + LengthDelimited(2, of_rate_limit)},
      {UsageSample(), unknown + time + LengthDelimited(3, unknown)},
      {MessageSample(), unknown + time + LengthDelimited(4, unknown)},
  };
  for (const auto& test : kCases) {
    const std::string bytes = test.event.SerializeAsString() + test.unknown;
    const auto sent = Read(Varint(1, 1) + LengthDelimited(2, bytes));
    ASSERT_OK(sent);
    ASSERT_EQ((*sent)->items.size(), 1u);
    Batch read_back;
    ASSERT_OK(read_back.Add(1, LaneOf(test.event, 1), bytes));
    for (const Batch* batch :
         {static_cast<const Batch*>(sent->get()), static_cast<const Batch*>(&read_back)}) {
      EXPECT_EQ(batch->items[0].bytes, bytes);
      EXPECT_LT(batch->bytes, 2 * bytes.size() + (size_t{8} << 10));
      Decoded decoded;
      ASSERT_FALSE(Decode(bytes, &decoded).has_value());
      EXPECT_TRUE(decoded.view == EventView(test.event));
      // In several parts: that is for the generated parser.
      ASSERT_NE(decoded.message, nullptr);
      EXPECT_LT(decoded.message->SpaceUsedLong(), size_t{8} << 10);
    }
  }
}

TEST(BatchTest, EventsFromTheJournalStayWhereTheyAre) {
  Batch batch;
  batch.producer = SomeProducer();
  for (uint64_t sequence = 1; sequence <= 500; ++sequence) {
    const v1::Event event = AllSamples()[sequence % 3];
    std::string bytes = event.SerializeAsString();
    ASSERT_OK(batch.Add(sequence, LaneOf(event, 4), bytes));
    bytes.assign(bytes.size(), '\xff');
  }
  ASSERT_EQ(batch.items.size(), 500u);
  for (const Item& item : batch.items) {
    const v1::Event event = AllSamples()[item.sequence % 3];
    EXPECT_EQ(item.bytes, event.SerializeAsString());
    EXPECT_EQ(item.lane, LaneOf(event, 4));
  }
  EXPECT_GE(batch.bytes, 500 * AllSamples()[0].ByteSizeLong());
}

TEST(BatchTest, EventsFromTheJournalAreNotJudgedAgain) {
  v1::Event old = RateLimitSample();
  old.mutable_occurred_at()->set_seconds(1);  // Too old to be taken; it was taken in time.
  old.mutable_rate_limit()->set_identifier(std::string(300, 'x'));
  Batch batch;
  EXPECT_OK(batch.Add(1, 0, old.SerializeAsString()));
}

TEST(BatchTest, AJournalThatGivesBackSomethingElseHasLostData) {
  google::protobuf::LogSilencer silencer;
  Batch batch;
  EXPECT_THAT(batch.Add(5, MakeLane(Kind::kUsage, 2), "\xff"),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("usage-2")));
  EXPECT_TRUE(batch.items.empty());
}

}  // namespace
}  // namespace holdfast::event
