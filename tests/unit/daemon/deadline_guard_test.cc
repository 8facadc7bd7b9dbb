#include "server/daemon/deadline_guard.h"

#include <atomic>

#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"

#include "tests/support/fake_clock.h"

namespace holdfast::daemon {
namespace {

TEST(DeadlineGuardTest, WhatEndsInTimeIsLeftAlone) {
  test::FakeClock clock;
  std::atomic<bool> overdue = false;
  {
    const DeadlineGuard guard(absl::Seconds(3), clock, [&] { overdue = true; });
  }
  EXPECT_FALSE(overdue);
}

TEST(DeadlineGuardTest, WhatDoesNotIsTold) {
  test::FakeClock clock(/*skip_waits=*/true);
  absl::Notification overdue;
  const DeadlineGuard guard(absl::Seconds(3), clock, [&] { overdue.Notify(); });
  EXPECT_TRUE(overdue.WaitForNotificationWithTimeout(absl::Seconds(10)));
}

}  // namespace
}  // namespace holdfast::daemon
