#include "server/flow/breaker.h"

#include <functional>
#include <random>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/support/status_matchers.h"

namespace holdfast::flow {
namespace {

using test::StatusIs;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

class BreakerTest : public ::testing::Test {
 protected:
  void Fail(int times) {
    for (int i = 0; i < times; ++i) breaker_.OnFailure(now_, "refused");
  }
  bool Admitted() { return breaker_.Admit(now_) == absl::ZeroDuration(); }
  // Brings it into the half-open state, with its one place taken.
  void HalfOpen() {
    Fail(options_.failure_threshold);
    now_ += options_.recovery_timeout;
    ASSERT_TRUE(Admitted());
    ASSERT_EQ(breaker_.state(), BreakerState::kHalfOpen);
  }

  const BreakerOptions options_{};
  absl::Time now_ = absl::UnixEpoch() + absl::Hours(1);
  Breaker breaker_{options_};
};

TEST_F(BreakerTest, ADatabaseThatComesBackClosesItAgain) {
  EXPECT_EQ(breaker_.state(), BreakerState::kClosed);
  Fail(options_.failure_threshold - 1);
  EXPECT_TRUE(Admitted());
  Fail(1);
  EXPECT_EQ(breaker_.state(), BreakerState::kOpen);
  EXPECT_EQ(breaker_.last_state_change(), now_);
  EXPECT_EQ(breaker_.Admit(now_), options_.recovery_timeout);

  now_ += options_.recovery_timeout - absl::Milliseconds(1);
  EXPECT_EQ(breaker_.Admit(now_), absl::Milliseconds(1));
  now_ += absl::Milliseconds(1);
  EXPECT_TRUE(Admitted());
  EXPECT_EQ(breaker_.state(), BreakerState::kHalfOpen);

  breaker_.OnSuccess(now_);
  EXPECT_EQ(breaker_.state(), BreakerState::kClosed);
  EXPECT_EQ(breaker_.failures(now_), 0);
  EXPECT_LT(breaker_.last_failure_at(), now_) << "what opened it is still told, with its time";
  EXPECT_THAT(breaker_.last_failure(), Not(IsEmpty()));
  Fail(options_.failure_threshold - 1);
  EXPECT_EQ(breaker_.state(), BreakerState::kClosed);
}

TEST_F(BreakerTest, ATryThatFailsOpensItAgainForTheWholeTimeout) {
  HalfOpen();
  now_ += absl::Seconds(1);
  breaker_.OnFailure(now_, "still refused");
  EXPECT_EQ(breaker_.state(), BreakerState::kOpen);
  EXPECT_EQ(breaker_.last_failure(), "still refused");
  EXPECT_EQ(breaker_.last_failure_at(), now_);
  EXPECT_EQ(breaker_.Admit(now_), options_.recovery_timeout);
}

TEST_F(BreakerTest, WhileHalfOpenOnlyOneTryIsOut) {
  HalfOpen();
  for (int i = 0; i < 10; ++i) {
    const absl::Duration wait = breaker_.Admit(now_);
    EXPECT_GT(wait, absl::ZeroDuration());
    EXPECT_LE(wait, options_.recovery_timeout);
  }
}

TEST_F(BreakerTest, ATryThatIsNeverHeardOfIsReplaced) {
  HalfOpen();
  now_ += options_.half_open_timeout - absl::Milliseconds(1);
  EXPECT_EQ(breaker_.Admit(now_), absl::Milliseconds(1));
  now_ += absl::Milliseconds(1);
  EXPECT_TRUE(Admitted());
  EXPECT_FALSE(Admitted());
}

TEST_F(BreakerTest, OldFailuresDoNotCount) {
  Fail(options_.failure_threshold - 1);
  EXPECT_EQ(breaker_.failures(now_), options_.failure_threshold - 1);
  now_ += options_.failure_window;
  EXPECT_EQ(breaker_.failures(now_), 0);
  Fail(1);
  EXPECT_EQ(breaker_.state(), BreakerState::kClosed);
  EXPECT_EQ(breaker_.failures(now_), 1);
}

TEST_F(BreakerTest, FailuresCountHoweverManySuccessesAreBetweenThem) {
  for (int i = 0; i < options_.failure_threshold; ++i) {
    EXPECT_EQ(breaker_.state(), BreakerState::kClosed);
    for (int j = 0; j < 10000; ++j) breaker_.OnSuccess(now_);
    breaker_.OnFailure(now_, "refused");
    now_ += absl::Seconds(10);
  }
  EXPECT_EQ(breaker_.state(), BreakerState::kOpen);
  EXPECT_EQ(breaker_.attempts(now_), options_.failure_threshold * 10001);
}

TEST_F(BreakerTest, TooFewAttemptsNeverOpenIt) {
  BreakerOptions options;
  options.failure_threshold = 2;
  options.min_throughput = 10;
  Breaker breaker(options);
  for (int i = 0; i < 9; ++i) breaker.OnFailure(now_, "refused");
  EXPECT_EQ(breaker.state(), BreakerState::kClosed);
  breaker.OnFailure(now_, "refused");
  EXPECT_EQ(breaker.state(), BreakerState::kOpen);
}

TEST_F(BreakerTest, LateNewsOfEarlierAttemptsNeitherClosesItNorKeepsItOpen) {
  Fail(options_.failure_threshold);
  now_ += options_.recovery_timeout / 2;
  const int attempts = breaker_.attempts(now_);
  breaker_.OnSuccess(now_);
  EXPECT_EQ(breaker_.state(), BreakerState::kOpen);
  EXPECT_EQ(breaker_.attempts(now_), attempts);
  breaker_.OnFailure(now_, "late");
  EXPECT_EQ(breaker_.Admit(now_), options_.recovery_timeout / 2);
}

TEST_F(BreakerTest, AnOperatorMayCloseItAtAnyTime) {
  Fail(options_.failure_threshold);
  now_ += absl::Milliseconds(1);
  breaker_.Reset(now_);
  EXPECT_EQ(breaker_.state(), BreakerState::kClosed);
  EXPECT_EQ(breaker_.last_state_change(), now_);
  EXPECT_EQ(breaker_.failures(now_), 0);
  EXPECT_TRUE(Admitted());
  HalfOpen();
  breaker_.Reset(now_);
  EXPECT_TRUE(Admitted());
  EXPECT_TRUE(Admitted());
}

// Against a breaker that remembers everything.
TEST_F(BreakerTest, CountsAreThoseOfTheWindowToWithinAHundredth) {
  std::mt19937_64 random(3);
  BreakerOptions options;
  options.failure_threshold = 1 << 30;
  Breaker breaker(options);
  std::vector<std::pair<absl::Time, bool>> all;
  for (int i = 0; i < 20000; ++i) {
    now_ += absl::Milliseconds(random() % 100);
    const bool failed = random() % 3 == 0;
    all.emplace_back(now_, failed);
    failed ? breaker.OnFailure(now_, "refused") : breaker.OnSuccess(now_);
    if (i % 500 != 0) continue;
    const auto count = [&](absl::Duration window, bool failures_only) {
      int sum = 0;
      for (const auto& [at, was_failure] : all) {
        if (at > now_ - window && (was_failure || !failures_only)) ++sum;
      }
      return sum;
    };
    const absl::Duration less = options.failure_window * 0.99;
    EXPECT_LE(breaker.attempts(now_), count(options.failure_window, false));
    EXPECT_GE(breaker.attempts(now_), count(less, false));
    EXPECT_LE(breaker.failures(now_), count(options.failure_window, true));
    EXPECT_GE(breaker.failures(now_), count(less, true));
  }
}

TEST(BreakerOptionsTest, ABadValueIsNamed) {
  EXPECT_OK(BreakerOptions().Validate());
  const auto check = [](const std::function<void(BreakerOptions*)>& spoil, const char* field) {
    BreakerOptions options;
    spoil(&options);
    EXPECT_THAT(options.Validate(),
                StatusIs(absl::StatusCode::kInvalidArgument, StartsWith(field)));
  };
  check([](auto* options) { options->failure_threshold = 0; }, "failure_threshold");
  check([](auto* options) { options->min_throughput = -1; }, "min_throughput");
  check([](auto* options) { options->failure_window = absl::ZeroDuration(); }, "failure_window");
  check([](auto* options) { options->recovery_timeout = absl::InfiniteDuration(); },
        "recovery_timeout");
  check([](auto* options) { options->half_open_timeout = -absl::Seconds(1); }, "half_open_timeout");
}

}  // namespace
}  // namespace holdfast::flow
