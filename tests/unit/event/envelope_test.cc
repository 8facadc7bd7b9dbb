#include "server/event/envelope.h"

#include <google/protobuf/stubs/logging.h>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/support/status_matchers.h"
#include "tests/unit/event/sample_events.h"

namespace holdfast::event {
namespace {

using test::StatusIs;
using ::testing::StartsWith;

constexpr char kProducer[] = "0194f1c0-5b7e-7c11-8f00-00000000000f";

auto Refused(absl::string_view field) {
  return StatusIs(absl::StatusCode::kInvalidArgument, StartsWith(std::string(field) + ": "));
}

std::string HelloBytes() {
  v1::Hello hello;
  hello.set_producer_id(kProducer);
  hello.set_ack_level(v1::ACK_LEVEL_COMMITTED);
  return hello.SerializeAsString();
}

std::string Canonical(absl::string_view batch) {
  v1::EventBatch parsed;
  EXPECT_TRUE(parsed.ParseFromArray(batch.data(), static_cast<int>(batch.size())));
  return parsed.SerializeAsString();
}

TEST(StreamEnvelopeTest, AHelloIsParsed) {
  const auto envelope = ReadStreamRequest(LengthDelimited(1, HelloBytes()));
  ASSERT_OK(envelope);
  ASSERT_TRUE(envelope->hello.has_value());
  EXPECT_EQ(envelope->hello->producer_id(), kProducer);
  EXPECT_EQ(envelope->hello->ack_level(), v1::ACK_LEVEL_COMMITTED);
}

TEST(StreamEnvelopeTest, ABatchIsLeftAsItIs) {
  // Not even an EventBatch: whether it is one is for Batch::Read to say.
  for (const std::string& batch :
       {Encode(1, AllSamples()), std::string("\xff\xff"), std::string()}) {
    const auto envelope = ReadStreamRequest(LengthDelimited(2, batch) + Varint(9, 1));
    ASSERT_OK(envelope);
    EXPECT_FALSE(envelope->hello.has_value());
    EXPECT_EQ(envelope->batch.view(), batch);
  }
}

TEST(StreamEnvelopeTest, OfAHelloAndABatchTheLastOneCounts) {
  const std::string hello = LengthDelimited(1, HelloBytes());
  const std::string batch = LengthDelimited(2, Encode(1, AllSamples()));
  EXPECT_TRUE(ReadStreamRequest(batch + hello)->hello.has_value());
  EXPECT_FALSE(ReadStreamRequest(hello + batch)->hello.has_value());
  EXPECT_EQ(Canonical(ReadStreamRequest(hello + batch)->batch.view()), Encode(1, AllSamples()));
}

TEST(StreamEnvelopeTest, ABatchInPartsIsMerged) {
  const auto envelope = ReadStreamRequest(LengthDelimited(2, Encode(1, {UsageSample()})) +
                                          LengthDelimited(2, Encode(5, {MessageSample()})));
  ASSERT_OK(envelope);
  EXPECT_EQ(Canonical(envelope->batch.view()), Encode(5, {UsageSample(), MessageSample()}));
}

TEST(StreamEnvelopeTest, NeitherHelloNorBatchIsRefused) {
  EXPECT_THAT(ReadStreamRequest(""), Refused("request"));
  EXPECT_THAT(ReadStreamRequest(LengthDelimited(3, "later")), Refused("request"));
  EXPECT_THAT(ReadStreamRequest(Varint(2, 7)), Refused("request"));
}

TEST(StreamEnvelopeTest, WhatIsNoRequestIsRefused) {
  google::protobuf::LogSilencer silencer;
  EXPECT_THAT(ReadStreamRequest("\xff"), Refused("request"));
  EXPECT_THAT(ReadStreamRequest(LengthDelimited(1, "\x0a\x02x")), Refused("request"));
  EXPECT_THAT(ReadStreamRequest(LengthDelimited(1, LengthDelimited(1, "\xff"))),
              Refused("request"));
  const std::string whole = LengthDelimited(2, Encode(1, AllSamples()));
  for (size_t length = 0; length < whole.size(); ++length) {
    EXPECT_THAT(ReadStreamRequest(std::string(whole.data(), length)), Refused("request"));
  }
}

TEST(StreamEnvelopeTest, WhateverTheBytesAreTheGeneratedParserAgrees) {
  google::protobuf::LogSilencer silencer;
  std::mt19937_64 random(2);
  int compared = 0;
  for (int round = 0; round < 5000; ++round) {
    std::string bytes = round % 2 == 0 ? LengthDelimited(1, HelloBytes())
                                       : LengthDelimited(2, Encode(1, {UsageSample()}));
    if (round % 3 == 0) bytes += LengthDelimited(1 + round % 2, round % 5 == 0 ? HelloBytes() : "");
    bytes = Mutate(bytes, &random);
    v1::StreamRequest expected;
    if (!expected.ParseFromString(bytes)) continue;
    const auto envelope = ReadStreamRequest(bytes);
    if (expected.request_case() == v1::StreamRequest::REQUEST_NOT_SET) {
      EXPECT_THAT(envelope, Refused("request"));
      continue;
    }
    ASSERT_OK(envelope);
    ASSERT_EQ(envelope->hello.has_value(), expected.has_hello());
    if (expected.has_hello()) {
      EXPECT_EQ(envelope->hello->SerializeAsString(), expected.hello().SerializeAsString());
    } else {
      EXPECT_EQ(Canonical(envelope->batch.view()), expected.batch().SerializeAsString());
    }
    ++compared;
  }
  EXPECT_GT(compared, 300);
}

TEST(WriteEnvelopeTest, AllPartsComeOut) {
  v1::WriteRequest request;
  request.set_producer_id(kProducer);
  request.set_wait_for(v1::ACK_LEVEL_JOURNALED);
  ASSERT_TRUE(request.mutable_batch()->ParseFromString(Encode(3, AllSamples())));
  const auto envelope = ReadWriteRequest(request.SerializeAsString());
  ASSERT_OK(envelope);
  EXPECT_EQ(envelope->producer_id, kProducer);
  EXPECT_EQ(envelope->batch.view(), Encode(3, AllSamples()));
  EXPECT_EQ(envelope->wait_for, v1::ACK_LEVEL_JOURNALED);
}

TEST(WriteEnvelopeTest, WhatIsLeftOutHasItsDefault) {
  const auto envelope = ReadWriteRequest(LengthDelimited(2, "anything"));
  ASSERT_OK(envelope);
  EXPECT_EQ(envelope->producer_id, "");
  EXPECT_EQ(envelope->batch.view(), "anything");
  EXPECT_EQ(envelope->wait_for, v1::ACK_LEVEL_UNSPECIFIED);
}

TEST(WriteEnvelopeTest, ABatchIsRequired) {
  EXPECT_THAT(ReadWriteRequest(""), Refused("batch"));
  EXPECT_THAT(ReadWriteRequest(LengthDelimited(1, kProducer)), Refused("batch"));
}

TEST(WriteEnvelopeTest, AnAckLevelFromALaterContractIsRefused) {
  EXPECT_THAT(ReadWriteRequest(LengthDelimited(2, "") + Varint(3, 3)), Refused("wait_for"));
  EXPECT_THAT(ReadWriteRequest(LengthDelimited(2, "") + Varint(3, UINT64_MAX)),
              Refused("wait_for"));
}

TEST(WriteEnvelopeTest, ABatchInPartsIsMergedAndOfAllElseTheLastOneCounts) {
  const auto envelope = ReadWriteRequest(
      LengthDelimited(1, "wrong") + LengthDelimited(2, Encode(1, {UsageSample()})) + Varint(3, 1) +
      LengthDelimited(2, Encode(5, {MessageSample()})) + LengthDelimited(1, kProducer) +
      Varint(3, 2));
  ASSERT_OK(envelope);
  EXPECT_EQ(envelope->producer_id, kProducer);
  EXPECT_EQ(envelope->wait_for, v1::ACK_LEVEL_COMMITTED);
  EXPECT_EQ(Canonical(envelope->batch.view()), Encode(5, {UsageSample(), MessageSample()}));
}

TEST(WriteEnvelopeTest, ARequestThatIsCutOffIsRefusedOrHasItsWholeBatch) {
  google::protobuf::LogSilencer silencer;
  const std::string batch = Encode(1, AllSamples());
  const std::string whole = LengthDelimited(2, batch) + LengthDelimited(1, kProducer);
  for (size_t length = 0; length < whole.size(); ++length) {
    const auto envelope = ReadWriteRequest(std::string(whole.data(), length));
    if (envelope.ok()) {
      EXPECT_EQ(envelope->batch.view(), batch);
    } else {
      EXPECT_EQ(envelope.status().code(), absl::StatusCode::kInvalidArgument);
    }
  }
  EXPECT_OK(ReadWriteRequest(whole));
}

}  // namespace
}  // namespace holdfast::event
