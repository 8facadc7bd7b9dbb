#include "client/buffer.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "holdfast/v1/event.pb.h"
#include "tests/support/status_matchers.h"

namespace holdfast::client {
namespace {

using ::holdfast::test::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr Buffer::RequestLimits kRoomy = {1000, 1 << 20};

v1::EventError Refusal(uint64_t sequence) {
  v1::EventError error;
  error.set_sequence(sequence);
  error.set_field("usage.api_key_id");
  error.set_reason("is required");
  error.set_disposition(v1::DISPOSITION_REFUSED);
  error.set_code(static_cast<int>(absl::StatusCode::kInvalidArgument));
  return error;
}

v1::EventError Quarantined(uint64_t sequence) {
  v1::EventError error = Refusal(sequence);
  error.set_disposition(v1::DISPOSITION_QUARANTINED);
  error.set_code(static_cast<int>(absl::StatusCode::kAlreadyExists));
  return error;
}

// Drives a Buffer as a worker would and writes down what it says: "a:OK" for an answered event.
class BufferTest : public ::testing::Test {
 protected:
  explicit BufferTest(v1::AckLevel level = v1::ACK_LEVEL_JOURNALED, size_t window = 100)
      : buffer_(level, window) {}

  void Add(const std::string& name) {
    v1::Event event;
    event.mutable_usage()->set_event_id(name);
    buffer_.Add(event.SerializeAsString(), [this, name](const absl::Status& status) {
      answered_.push_back(absl::StrCat(name, ":", absl::StatusCodeToString(status.code())));
    });
  }
  void AddAll(const std::vector<std::string>& names) {
    for (const std::string& name : names) Add(name);
  }

  // The next request: "1:" and the names of its events.
  std::string Request(const Buffer::RequestLimits& limits = kRoomy) {
    v1::StreamRequest request;
    EXPECT_TRUE(request.ParseFromString(buffer_.NextRequest(limits)));
    std::string text = absl::StrCat(request.batch().first_sequence(), ":");
    for (const v1::Event& event : request.batch().events()) {
      absl::StrAppend(&text, event.usage().event_id());
    }
    return text;
  }

  std::vector<std::string> Ack(uint64_t journaled, uint64_t committed) {
    v1::Ack ack;
    ack.set_journaled_through(journaled);
    ack.set_committed_through(committed);
    std::vector<Buffer::Answer> answers;
    buffer_.Acked(ack, &answers);
    return Call(std::move(answers));
  }

  std::vector<std::string> Error(const v1::EventError& error) {
    std::vector<Buffer::Answer> answers;
    buffer_.Errored(error, &answers);
    return Call(std::move(answers));
  }

  std::vector<std::string> Call(std::vector<Buffer::Answer> answers) {
    answered_.clear();
    for (Buffer::Answer& answer : answers) std::move(answer.done)(answer.status);
    return answered_;
  }

  Stats Counts() {
    Stats stats;
    buffer_.Count(&stats);
    return stats;
  }

  Buffer buffer_;
  std::vector<std::string> answered_;
};

class CommittedBufferTest : public BufferTest {
 protected:
  CommittedBufferTest() : BufferTest(v1::ACK_LEVEL_COMMITTED) {}
};

class SmallWindowTest : public BufferTest {
 protected:
  SmallWindowTest() : BufferTest(v1::ACK_LEVEL_JOURNALED, 3) {}
};

TEST_F(BufferTest, NothingIsSentBeforeAWelcomeSaysWhereTheSequenceStarts) {
  Add("a");
  EXPECT_FALSE(buffer_.HasUnsent());
  buffer_.Welcomed(0);
  EXPECT_TRUE(buffer_.HasUnsent());
  EXPECT_EQ(Request(), "1:a");
  EXPECT_FALSE(buffer_.HasUnsent());
}

TEST_F(BufferTest, AProducerThatTheDaemonKnowsGoesOnAfterWhatItHolds) {
  Add("a");
  buffer_.Welcomed(41);
  EXPECT_EQ(Request(), "42:a");
  EXPECT_THAT(Ack(41, 41), IsEmpty());
  EXPECT_THAT(Ack(42, 41), ElementsAre("a:OK"));
}

TEST_F(BufferTest, ARequestTakesAllThatWaits) {
  buffer_.Welcomed(0);
  AddAll({"a", "b", "c"});
  EXPECT_EQ(Request(), "1:abc");
}

TEST_F(BufferTest, ARequestKeepsToTheLimitOfEvents) {
  buffer_.Welcomed(0);
  AddAll({"a", "b", "c"});
  EXPECT_EQ(Request({2, 1 << 20}), "1:ab");
  EXPECT_EQ(Request({2, 1 << 20}), "3:c");
}

TEST_F(BufferTest, ARequestKeepsToTheLimitOfBytesButOneEventAlwaysGoes) {
  buffer_.Welcomed(0);
  AddAll({std::string(100, 'x'), std::string(100, 'y'), "z"});
  EXPECT_EQ(Request({10, 50}), absl::StrCat("1:", std::string(100, 'x')));
  EXPECT_EQ(Request({10, 110}), absl::StrCat("2:", std::string(100, 'y')));
  EXPECT_EQ(Request({10, 110}), "3:z");
}

TEST_F(SmallWindowTest, NoMoreThanTheWindowIsOnItsWay) {
  buffer_.Welcomed(0);
  AddAll({"a", "b", "c", "d", "e"});
  EXPECT_EQ(Request(), "1:abc");
  EXPECT_FALSE(buffer_.HasUnsent());
  Ack(2, 0);
  EXPECT_EQ(Request(), "4:de");
}

TEST_F(BufferTest, JournaledAnswersInOrderAndLetsGo) {
  buffer_.Welcomed(0);
  AddAll({"a", "b", "c"});
  Request();
  EXPECT_THAT(Ack(2, 0), ElementsAre("a:OK", "b:OK"));
  EXPECT_EQ(buffer_.events(), 1U);
  EXPECT_EQ(buffer_.answered_before(), 2U);
  EXPECT_THAT(Ack(2, 2), IsEmpty());
  EXPECT_THAT(Ack(3, 2), ElementsAre("c:OK"));
  EXPECT_EQ(buffer_.bytes(), 0U);
  EXPECT_TRUE(buffer_.all_answered());
}

TEST_F(CommittedBufferTest, JournaledIsNotEnoughForCommitted) {
  buffer_.Welcomed(0);
  AddAll({"a", "b"});
  Request();
  EXPECT_THAT(Ack(2, 0), IsEmpty());
  EXPECT_FALSE(buffer_.awaits_journal());
  EXPECT_THAT(Ack(2, 1), ElementsAre("a:OK"));
}

TEST_F(BufferTest, ARefusedEventIsAnsweredOnceWithItsField) {
  buffer_.Welcomed(0);
  AddAll({"a", "b"});
  Request();
  std::vector<Buffer::Answer> answers;
  buffer_.Errored(Refusal(1), &answers);
  ASSERT_EQ(answers.size(), 1U);
  EXPECT_THAT(answers[0].status, StatusIs(absl::StatusCode::kInvalidArgument,
                                          HasSubstr("usage.api_key_id: is required")));
  EXPECT_EQ(ErrorOf(answers[0].status)->field(), "usage.api_key_id");
  EXPECT_THAT(Error(Refusal(1)), IsEmpty());
  EXPECT_THAT(Ack(2, 0), ElementsAre("b:OK"));
  EXPECT_EQ(Counts().refused, 1U);
}

TEST_F(CommittedBufferTest, AQuarantinedEventIsAnsweredWithItsCode) {
  buffer_.Welcomed(0);
  AddAll({"a", "b"});
  Request();
  Ack(2, 0);
  EXPECT_THAT(Error(Quarantined(2)), ElementsAre("b:ALREADY_EXISTS"));
  EXPECT_THAT(Ack(2, 2), ElementsAre("a:OK"));
}

TEST_F(BufferTest, QuarantineDoesNotUndoJournaled) {
  buffer_.Welcomed(0);
  AddAll({"a", "b"});
  Request();
  EXPECT_THAT(Error(Quarantined(1)), IsEmpty());
  EXPECT_THAT(Ack(1, 0), ElementsAre("a:OK"));
  EXPECT_EQ(Counts().quarantined, 1U);
}

TEST_F(BufferTest, ANewStreamSendsAgainWhatWasNotAcknowledgedEvenIfTheDaemonHoldsIt) {
  buffer_.Welcomed(0);
  AddAll({"a", "b", "c", "d"});
  Request();
  Ack(1, 0);
  EXPECT_EQ(buffer_.Welcomed(3), Buffer::Resume::kContinue);
  EXPECT_EQ(Request(), "2:bcd");
}

TEST_F(BufferTest, AnAcknowledgementCountsOnlyForWhatThisStreamCarried) {
  buffer_.Welcomed(0);
  AddAll({"a", "b", "c"});
  EXPECT_EQ(Request({1, 1 << 20}), "1:a");
  EXPECT_THAT(Ack(3, 3), ElementsAre("a:OK"));
}

TEST_F(BufferTest, ANewStreamSaysThatItBeginsWithWhatHasNoAnswer) {
  EXPECT_EQ(buffer_.first_sequence(), 0U);
  buffer_.Welcomed(7);
  EXPECT_EQ(buffer_.first_sequence(), 8U);
  AddAll({"a", "b", "c"});
  Request();
  Ack(9, 0);
  EXPECT_EQ(buffer_.first_sequence(), 10U);
}

TEST_F(CommittedBufferTest, WhatWasJournaledIsNotSentAgain) {
  buffer_.Welcomed(0);
  AddAll({"a", "b"});
  Request();
  Ack(2, 0);
  buffer_.Welcomed(2);
  EXPECT_FALSE(buffer_.HasUnsent());
  EXPECT_THAT(Ack(2, 2), ElementsAre("a:OK", "b:OK"));
}

TEST_F(CommittedBufferTest, ADaemonThatHoldsLessThanItAcknowledgedHasForgotten) {
  buffer_.Welcomed(0);
  AddAll({"a", "b"});
  Request();
  Ack(2, 0);
  EXPECT_EQ(buffer_.Welcomed(1), Buffer::Resume::kForgotten);
}

TEST_F(BufferTest, ADaemonThatHoldsMoreThanWasSentKnowsSomeoneElse) {
  buffer_.Welcomed(0);
  AddAll({"a", "b"});
  Request({1, 1 << 20});
  EXPECT_EQ(buffer_.Welcomed(2), Buffer::Resume::kForgotten);
}

TEST_F(CommittedBufferTest, RenumberKeepsTheOrderAndLeavesOutWhatIsAnswered) {
  buffer_.Welcomed(0);
  AddAll({"a", "b", "c", "d", "e"});
  Request({4, 1 << 20});
  Ack(3, 1);
  Error(Quarantined(3));
  EXPECT_EQ(buffer_.events(), 4U);
  buffer_.Renumber();
  EXPECT_EQ(buffer_.Welcomed(0), Buffer::Resume::kContinue);
  EXPECT_EQ(Request(), "1:bde");
  EXPECT_THAT(Ack(3, 3), ElementsAre("b:OK", "d:OK", "e:OK"));
  EXPECT_EQ(buffer_.bytes(), 0U);
  EXPECT_EQ(buffer_.answered_before(), 5U);
}

TEST_F(BufferTest, GivingUpTellsWhatWasSentFromWhatWasNot) {
  buffer_.Welcomed(0);
  AddAll({"a", "b", "c"});
  Request({2, 1 << 20});
  Error(Refusal(1));
  std::vector<Buffer::Answer> answers;
  buffer_.GiveUp(absl::CancelledError(""), absl::UnavailableError(""), &answers);
  EXPECT_THAT(Call(std::move(answers)), ElementsAre("b:UNAVAILABLE", "c:CANCELLED"));
  EXPECT_TRUE(buffer_.all_answered());
  EXPECT_EQ(Counts().given_up, 2U);
}

TEST_F(BufferTest, AnswersAboutStrangersAreIgnored) {
  buffer_.Welcomed(0);
  EXPECT_THAT(Ack(7, 7), IsEmpty());
  EXPECT_THAT(Error(Refusal(0)), IsEmpty());
  EXPECT_THAT(Error(Refusal(7)), IsEmpty());
  Add("a");
  EXPECT_THAT(Error(Refusal(1)), IsEmpty());
  EXPECT_EQ(Request(), "1:a");
}

}  // namespace
}  // namespace holdfast::client
