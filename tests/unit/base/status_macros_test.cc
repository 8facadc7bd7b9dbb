#include "server/base/status_macros.h"

#include <memory>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/support/status_matchers.h"

namespace holdfast::base {
namespace {

using test::StatusIs;

absl::Status Pass(const absl::Status& status, bool* reached) {
  HOLDFAST_RETURN_IF_ERROR(status);
  *reached = true;
  return absl::OkStatus();
}

TEST(StatusMacrosTest, AnErrorIsHandedOnAndNothingElseIsDone) {
  bool reached = false;
  EXPECT_THAT(Pass(absl::DataLossError("gone"), &reached),
              StatusIs(absl::StatusCode::kDataLoss, "gone"));
  EXPECT_FALSE(reached);
  EXPECT_OK(Pass(absl::OkStatus(), &reached));
  EXPECT_TRUE(reached);
}

absl::StatusOr<int> Sum(absl::StatusOr<std::unique_ptr<int>> left, absl::StatusOr<int> right) {
  HOLDFAST_ASSIGN_OR_RETURN(const std::unique_ptr<int> moved, std::move(left));
  int value = 0;
  HOLDFAST_ASSIGN_OR_RETURN(value, right);
  return *moved + value;
}

TEST(StatusMacrosTest, AValueIsMovedOutAndAnErrorIsHandedOn) {
  const auto sum = Sum(std::make_unique<int>(2), 3);
  ASSERT_OK(sum);
  EXPECT_EQ(*sum, 5);
  EXPECT_THAT(Sum(absl::AbortedError("left"), 3), StatusIs(absl::StatusCode::kAborted, "left"));
  EXPECT_THAT(Sum(std::make_unique<int>(2), absl::AbortedError("right")),
              StatusIs(absl::StatusCode::kAborted, "right"));
}

}  // namespace
}  // namespace holdfast::base
