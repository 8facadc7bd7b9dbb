#include "server/base/clock.h"

#include <thread>
#include <utility>

#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"

#include "tests/support/fake_clock.h"

namespace holdfast::base {
namespace {

bool IsTrue(bool* flag) { return *flag; }

TEST(SystemClockTest, TheSteadyClockNeverGoesBackwards) {
  absl::Time before = SystemClock().Steady();
  for (int i = 0; i < 1000; ++i) {
    const absl::Time now = SystemClock().Steady();
    ASSERT_GE(now, before);
    before = now;
  }
}

TEST(SystemClockTest, AConditionThatHoldsIsNotWaitedFor) {
  absl::Mutex mu;
  bool flag = true;
  absl::MutexLock lock(&mu);
  EXPECT_TRUE(SystemClock().AwaitWithTimeout(mu, absl::Condition(&IsTrue, &flag),
                                             absl::InfiniteDuration()));
}

TEST(SystemClockTest, AConditionThatNeverHoldsEndsWithItsTime) {
  absl::Mutex mu;
  bool flag = false;
  absl::MutexLock lock(&mu);
  const absl::Time start = SystemClock().Steady();
  EXPECT_FALSE(
      SystemClock().AwaitWithTimeout(mu, absl::Condition(&IsTrue, &flag), absl::Milliseconds(2)));
  EXPECT_GE(SystemClock().Steady() - start, absl::Milliseconds(2));
}

TEST(SystemClockTest, AWaiterIsWokenByItsCondition) {
  absl::Mutex mu;
  bool flag = false;
  std::thread other([&] {
    absl::MutexLock lock(&mu);
    flag = true;
  });
  {
    absl::MutexLock lock(&mu);
    EXPECT_TRUE(SystemClock().AwaitWithTimeout(mu, absl::Condition(&IsTrue, &flag),
                                               absl::InfiniteDuration()));
  }
  other.join();
}

TEST(FakeClockTest, TimePassesOnlyWhenItIsTold) {
  test::FakeClock clock;
  const absl::Time now = clock.Now();
  const absl::Time steady = clock.Steady();
  EXPECT_EQ(clock.Now(), now);
  clock.Advance(absl::Seconds(3));
  EXPECT_EQ(clock.Now() - now, absl::Seconds(3));
  EXPECT_EQ(clock.Steady() - steady, absl::Seconds(3));
  clock.JumpWall(-absl::Hours(1));
  EXPECT_EQ(clock.Now() - now, absl::Seconds(3) - absl::Hours(1));
  EXPECT_EQ(clock.Steady() - steady, absl::Seconds(3));
}

TEST(FakeClockTest, ASleepEndsWhenItsTimeHasBeenMadeToPass) {
  test::FakeClock clock;
  absl::Notification woken;
  std::thread sleeper([&] {
    const absl::Time start = clock.Steady();
    clock.Sleep(absl::Hours(1));
    EXPECT_GE(clock.Steady() - start, absl::Hours(1));
    woken.Notify();
  });
  while (!woken.HasBeenNotified()) clock.Advance(absl::Minutes(1));
  sleeper.join();
}

TEST(FakeClockTest, WaitsCanBeSkippedWithTheirTimeGone) {
  test::FakeClock clock(/*skip_waits=*/true);
  const absl::Time start = clock.Steady();
  clock.Sleep(absl::Hours(5));
  EXPECT_EQ(clock.Steady() - start, absl::Hours(5));
}

TEST(ThreadTest, AThreadRunsUntilItIsJoinedAndIsJoinedOnce) {
  absl::Mutex mu;
  bool flag = false;
  Thread none;
  EXPECT_FALSE(none.joinable());
  none.Join();
  Thread thread = SystemClock().StartThread([&] {
    absl::MutexLock lock(&mu);
    SystemClock().Await(mu, absl::Condition(&IsTrue, &flag));
  });
  EXPECT_TRUE(thread.joinable());
  none = std::move(thread);
  EXPECT_FALSE(thread.joinable());
  {
    absl::MutexLock lock(&mu);
    flag = true;
  }
  none.Join();
  EXPECT_FALSE(none.joinable());
}

}  // namespace
}  // namespace holdfast::base
