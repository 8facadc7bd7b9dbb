#include "server/base/check.h"

#include "gtest/gtest.h"

namespace holdfast::base {
namespace {

TEST(CheckTest, AConditionThatHoldsIsEvaluatedOnce) {
  int count = 0;
  HOLDFAST_CHECK(++count == 1);
  EXPECT_EQ(count, 1);
}

TEST(CheckDeathTest, ABrokenInvariantEndsTheProcessAndSaysWhereAndWhat) {
  const int two = 2;
  EXPECT_DEATH(HOLDFAST_CHECK(two == 3), "check_test.cc:[0-9]+: broken invariant: two == 3");
}

}  // namespace
}  // namespace holdfast::base
