#include "client/backoff.h"

#include <algorithm>
#include <random>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace holdfast::client {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1000);

TEST(BackoffTest, EveryWaitIsWithinABoundThatDoublesUpToTheMaximum) {
  std::mt19937 random(1);
  for (int round = 0; round < 100; ++round) {
    Backoff backoff(absl::Milliseconds(10), absl::Milliseconds(35));
    for (const int bound : {10, 20, 35, 35}) {
      const absl::Duration wait = backoff.Next(random, kNow);
      EXPECT_GE(wait, absl::ZeroDuration());
      EXPECT_LE(wait, absl::Milliseconds(bound));
    }
  }
}

TEST(BackoffTest, WaitsAreSpreadOverTheWholeBound) {
  std::mt19937 random(1);
  int low = 0;
  int high = 0;
  for (int round = 0; round < 1000; ++round) {
    Backoff backoff(absl::Milliseconds(10), absl::Milliseconds(10));
    const absl::Duration wait = backoff.Next(random, kNow);
    low += wait < absl::Milliseconds(1) ? 1 : 0;
    high += wait > absl::Milliseconds(9) ? 1 : 0;
  }
  EXPECT_GT(low, 50);
  EXPECT_GT(high, 50);
}

TEST(BackoffTest, SuccessStartsAgainFromTheMinimum) {
  std::mt19937 random(1);
  Backoff backoff(absl::Milliseconds(10), absl::Hours(1));
  for (int i = 0; i < 20; ++i) backoff.Next(random, kNow);
  backoff.Reset();
  EXPECT_LE(backoff.Next(random, kNow), absl::Milliseconds(10));
}

TEST(BackoffTest, AConnectionThatStaysUpIsASuccessThoughNothingIsSentOnIt) {
  std::mt19937 random(1);
  Backoff backoff(absl::Milliseconds(10), absl::Seconds(2));
  for (int round = 0; round < 100; ++round) {
    for (int i = 0; i < 20; ++i) backoff.Next(random, kNow);
    backoff.Connected(kNow);
    EXPECT_LE(backoff.Next(random, kNow + absl::Seconds(2)), absl::Milliseconds(10));
  }
}

TEST(BackoffTest, BeingAcceptedAndLeftAtOnceIsNoSuccess) {
  std::mt19937 random(1);
  Backoff backoff(absl::Milliseconds(10), absl::Seconds(2));
  absl::Duration longest;
  for (int round = 0; round < 100; ++round) {
    backoff.Connected(kNow);
    longest = std::max(longest, backoff.Next(random, kNow + absl::Milliseconds(1999)));
  }
  EXPECT_GT(longest, absl::Seconds(1));
}

TEST(BackoffTest, OneGoodConnectionExcusesNoLaterFailure) {
  std::mt19937 random(1);
  Backoff backoff(absl::Milliseconds(10), absl::Seconds(2));
  backoff.Connected(kNow);
  absl::Duration longest;
  for (int i = 1; i <= 100; ++i) {
    longest = std::max(longest, backoff.Next(random, kNow + absl::Seconds(2) * i));
  }
  EXPECT_GT(longest, absl::Seconds(1));
}

TEST(PushbackTest, IsReadAsMillisecondsAndBounded) {
  EXPECT_EQ(ParsePushback("250", absl::Seconds(1)), absl::Milliseconds(250));
  EXPECT_EQ(ParsePushback("0", absl::Seconds(1)), absl::ZeroDuration());
  EXPECT_EQ(ParsePushback("5000", absl::Seconds(1)), absl::Seconds(1));
}

TEST(PushbackTest, WhatMeansDoNotRetryIsTheLongestPause) {
  for (const char* value : {"-1", "", "soon", "1.5"}) {
    EXPECT_EQ(ParsePushback(value, absl::Seconds(7)), absl::Seconds(7)) << value;
  }
}

}  // namespace
}  // namespace holdfast::client
