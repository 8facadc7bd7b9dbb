#include "server/ingress/outbox.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace holdfast::ingress {
namespace {

v1::EventError ErrorOf(uint64_t sequence) {
  v1::EventError error;
  error.set_sequence(sequence);
  return error;
}

// "w", "e5" (error of 5), "a7/3" (acknowledged through 7 and 3): all that is to be said.
std::vector<std::string> Say(Outbox& outbox) {
  std::vector<std::string> said;
  while (const auto response = outbox.Next()) {
    if (response->has_welcome()) said.push_back("w");
    if (response->has_event_error()) {
      said.push_back("e" + std::to_string(response->event_error().sequence()));
    }
    if (response->has_ack()) {
      said.push_back("a" + std::to_string(response->ack().journaled_through()) + "/" +
                     std::to_string(response->ack().committed_through()));
    }
  }
  return said;
}

// An outbox whose Welcome is sent.
Outbox Opened() {
  Outbox outbox;
  outbox.Welcome(v1::Welcome());
  outbox.Next();
  return outbox;
}

using testing::ElementsAre;
using testing::IsEmpty;

TEST(OutboxTest, TheWelcomeComesBeforeEverything) {
  Outbox outbox;
  outbox.Advance({4, 2});
  // The pipeline was quicker than the stream.
  EXPECT_THAT(Say(outbox), IsEmpty());
  outbox.Welcome(v1::Welcome());
  EXPECT_THAT(Say(outbox), ElementsAre("w", "a4/2"));
  EXPECT_TRUE(outbox.empty());
}

TEST(OutboxTest, AnErrorComesBeforeTheAckThatCoversIt) {
  Outbox outbox = Opened();
  outbox.Add(ErrorOf(5));
  outbox.Add(ErrorOf(6));
  outbox.Advance({6, 0});
  EXPECT_THAT(Say(outbox), ElementsAre("e5", "e6", "a6/0"));
}

TEST(OutboxTest, OneAckSaysAllThatHappenedBeforeIt) {
  Outbox outbox = Opened();
  outbox.Advance({1, 0});
  outbox.Advance({2, 0});
  outbox.Advance({7, 3});
  EXPECT_THAT(Say(outbox), ElementsAre("a7/3"));
}

TEST(OutboxTest, AnAckThatWaitsForErrorsIsNotPutOffByLaterOnes) {
  Outbox outbox = Opened();
  outbox.Add(ErrorOf(1));
  outbox.Advance({1, 0});
  outbox.Add(ErrorOf(2));
  outbox.Advance({2, 0});
  EXPECT_THAT(Say(outbox), ElementsAre("e1", "a1/0", "e2", "a2/0"));
}

TEST(OutboxTest, WhatDidNotChangeIsNotSaidAgain) {
  Outbox outbox = Opened();
  outbox.Advance({3, 1});
  EXPECT_THAT(Say(outbox), ElementsAre("a3/1"));
  outbox.Advance({3, 1});
  EXPECT_THAT(Say(outbox), IsEmpty());
}

TEST(OutboxTest, WhatWasSentAgainIsAcknowledgedAgain) {
  Outbox outbox = Opened();
  outbox.Advance({3, 1});
  EXPECT_THAT(Say(outbox), ElementsAre("a3/1"));
  outbox.Add(ErrorOf(2));
  outbox.Repeat();
  EXPECT_THAT(Say(outbox), ElementsAre("e2", "a3/1"));
}

TEST(OutboxTest, AnAckNeverGoesDown) {
  Outbox outbox = Opened();
  outbox.Advance({9, 4});
  outbox.Advance({5, 6});
  EXPECT_THAT(Say(outbox), ElementsAre("a9/6"));
}

TEST(OutboxTest, AfterClearNothingIsSaid) {
  Outbox outbox = Opened();
  outbox.Welcome(v1::Welcome());
  outbox.Add(ErrorOf(1));
  outbox.Advance({1, 1});
  outbox.Clear();
  EXPECT_THAT(Say(outbox), IsEmpty());
  EXPECT_TRUE(outbox.empty());
}

}  // namespace
}  // namespace holdfast::ingress
