#include "server/flow/retry_policy.h"

#include <algorithm>
#include <set>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/support/status_matchers.h"

namespace holdfast::flow {
namespace {

using test::StatusIs;
using ::testing::StartsWith;

constexpr Verdict kDoubling[] = {Verdict::kRetry, Verdict::kReconnect, Verdict::kElsewhere};
constexpr int kSeeds = 200;

absl::Duration Ceiling(const RetryOptions& options, int failure) {
  absl::Duration ceiling = options.wait_min;
  for (int i = 0; i < failure; ++i) ceiling = std::min(ceiling * 2, options.wait_max);
  return ceiling;
}

TEST(RetryPolicyTest, AWaitIsNeverAboveItsCeilingNorBelowZero) {
  const RetryOptions options;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    for (const Verdict verdict : kDoubling) {
      RetryPolicy policy(options, seed);
      for (int failure = 0; failure < 100; ++failure) {
        const absl::Duration wait = policy.NextWait(verdict);
        EXPECT_GE(wait, absl::ZeroDuration());
        EXPECT_LE(wait, Ceiling(options, failure));
      }
    }
  }
}

TEST(RetryPolicyTest, WaitsFillTheWholeOfTheirRange) {
  const RetryOptions options;
  for (const int failure : {0, 3, 50}) {
    absl::Duration least = absl::InfiniteDuration();
    absl::Duration greatest = absl::ZeroDuration();
    for (uint64_t seed = 0; seed < kSeeds; ++seed) {
      RetryPolicy policy(options, seed);
      for (int i = 0; i < failure; ++i) policy.NextWait(Verdict::kRetry);
      const absl::Duration wait = policy.NextWait(Verdict::kRetry);
      least = std::min(least, wait);
      greatest = std::max(greatest, wait);
    }
    EXPECT_LT(least, Ceiling(options, failure) * 0.05);
    EXPECT_GT(greatest, Ceiling(options, failure) * 0.95);
  }
}

TEST(RetryPolicyTest, EqualSeedsGiveEqualWaitsAndOthersDoNot) {
  std::set<absl::Duration> firsts;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    RetryPolicy one({}, seed);
    RetryPolicy other({}, seed);
    firsts.insert(one.NextWait(Verdict::kRetry));
    other.NextWait(Verdict::kRetry);
    for (int i = 0; i < 20; ++i) {
      EXPECT_EQ(one.NextWait(Verdict::kRetry), other.NextWait(Verdict::kRetry));
    }
  }
  EXPECT_EQ(firsts.size(), static_cast<size_t>(kSeeds));
}

TEST(RetryPolicyTest, AnUnknownCommitIsTriedAgainAtOnceAndOnlyOnce) {
  RetryOptions options;
  options.wait_min = options.wait_max = options.outage_wait_max = absl::Hours(1);
  RetryPolicy policy(options, 7);
  EXPECT_GT(policy.NextWait(Verdict::kReconnect), absl::ZeroDuration());
  EXPECT_EQ(policy.NextWait(Verdict::kUnknown), absl::ZeroDuration());
  EXPECT_GT(policy.NextWait(Verdict::kUnknown), absl::ZeroDuration());
  policy.Reset();
  EXPECT_EQ(policy.NextWait(Verdict::kUnknown), absl::ZeroDuration());
}

TEST(RetryPolicyTest, WhatNeedsAnOperatorIsNotHurried) {
  const RetryOptions options;
  for (const Verdict verdict : {Verdict::kOutage, Verdict::kThrottle}) {
    absl::Duration sum = absl::ZeroDuration();
    for (uint64_t seed = 0; seed < kSeeds; ++seed) {
      RetryPolicy policy(options, seed);
      const absl::Duration wait = policy.NextWait(verdict);
      EXPECT_LE(wait, options.outage_wait_max);
      sum += wait;
    }
    EXPECT_GT(sum / kSeeds, options.outage_wait_max / 4);
  }
}

TEST(RetryPolicyTest, ASuccessBringsTheFirstCeilingBack) {
  const RetryOptions options;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    RetryPolicy policy(options, seed);
    for (int i = 0; i < 20; ++i) policy.NextWait(Verdict::kRetry);
    EXPECT_EQ(policy.failures(), 20);
    policy.Reset();
    EXPECT_EQ(policy.failures(), 0);
    EXPECT_LE(policy.NextWait(Verdict::kRetry), options.wait_min);
  }
}

TEST(RetryPolicyTest, AMillionFailuresAreNoProblem) {
  RetryPolicy policy({}, 1);
  for (int i = 0; i < RetryPolicy::kFailuresMax + 10; ++i) {
    ASSERT_LE(policy.NextWait(Verdict::kReconnect), RetryOptions().wait_max);
  }
  EXPECT_EQ(policy.failures(), RetryPolicy::kFailuresMax);
}

TEST(RetryPolicyDeathTest, BadDataIsNotTriedAgain) {
  RetryPolicy policy({}, 1);
  EXPECT_DEATH(policy.NextWait(Verdict::kReject), "broken invariant");
}

TEST(RetryOptionsTest, ABadValueIsNamed) {
  EXPECT_OK(RetryOptions().Validate());
  const auto refused = [](const char* field) {
    return StatusIs(absl::StatusCode::kInvalidArgument, StartsWith(field));
  };
  RetryOptions options;
  options.wait_min = absl::ZeroDuration();
  EXPECT_THAT(options.Validate(), refused("wait_min"));
  options = {};
  options.wait_max = options.wait_min - absl::Milliseconds(1);
  EXPECT_THAT(options.Validate(), refused("wait_max"));
  options.wait_max = absl::InfiniteDuration();
  EXPECT_THAT(options.Validate(), refused("wait_max"));
  options = {};
  options.outage_wait_max = -absl::Seconds(1);
  EXPECT_THAT(options.Validate(), refused("outage_wait_max"));
}

}  // namespace
}  // namespace holdfast::flow
