#include "server/base/log_limiter.h"

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

#include "tests/support/fake_clock.h"

namespace holdfast::base {
namespace {

constexpr int kWarning = 3;
constexpr int kError = 4;

class LogLimiterTest : public ::testing::Test {
 protected:
  bool Admit(int level, absl::string_view sentence) {
    return limiter_.Admit(level, sentence, &before_);
  }

  const LogLimits limits_ = {.lines_max = 3, .window = absl::Minutes(1), .kinds_max = 2};
  test::FakeClock clock_;
  LogLimiter limiter_{limits_, clock_};
  std::vector<HeldBack> before_;
};

TEST_F(LogLimiterTest, ABurstPassesAndWhatIsBeyondIsHeldBack) {
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(Admit(kWarning, "flood"));
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(Admit(kWarning, "flood"));
  EXPECT_TRUE(before_.empty());
}

TEST_F(LogLimiterTest, KindsAreToldApartByLevelAndSentence) {
  for (int i = 0; i < 4; ++i) Admit(kWarning, "flood");
  EXPECT_TRUE(Admit(kError, "flood"));
  EXPECT_FALSE(Admit(kWarning, "flood"));
}

TEST_F(LogLimiterTest, TheNextWindowBeginsWithHowManyWereHeldBack) {
  for (int i = 0; i < 5; ++i) Admit(kWarning, "flood");
  clock_.Advance(absl::Minutes(1) - absl::Milliseconds(1));
  EXPECT_FALSE(Admit(kWarning, "flood"));
  clock_.Advance(absl::Milliseconds(1));
  EXPECT_TRUE(Admit(kWarning, "flood"));
  ASSERT_EQ(before_.size(), 1);
  EXPECT_EQ(before_[0].level, kWarning);
  EXPECT_EQ(before_[0].sentence, "flood");
  EXPECT_EQ(before_[0].lines, 3);
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(Admit(kWarning, "flood"));
  EXPECT_FALSE(Admit(kWarning, "flood"));
  EXPECT_EQ(before_.size(), 1);
}

TEST_F(LogLimiterTest, AFloodThatEndsIsReportedAllTheSameAndOnce) {
  for (int i = 0; i < 5; ++i) Admit(kWarning, "flood");
  EXPECT_TRUE(limiter_.Take(/*all=*/false).empty());
  clock_.Advance(absl::Minutes(1));
  const std::vector<HeldBack> taken = limiter_.Take(/*all=*/false);
  ASSERT_EQ(taken.size(), 1);
  EXPECT_EQ(taken[0].lines, 2);
  EXPECT_TRUE(limiter_.Take(/*all=*/true).empty());
  Admit(kWarning, "flood");
  EXPECT_TRUE(before_.empty());
}

TEST_F(LogLimiterTest, AtTheEndTheWindowUnderWayIsReportedToo) {
  for (int i = 0; i < 4; ++i) Admit(kWarning, "flood");
  const std::vector<HeldBack> taken = limiter_.Take(/*all=*/true);
  ASSERT_EQ(taken.size(), 1);
  EXPECT_EQ(taken[0].lines, 1);
  EXPECT_FALSE(Admit(kWarning, "flood"));
}

TEST_F(LogLimiterTest, KindsWithoutNumberTakeNoMemoryWithoutBound) {
  for (int i = 0; i < 4; ++i) Admit(kWarning, "flood");
  Admit(kWarning, "other");
  // There is room for no third kind: it is not limited.
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(Admit(kWarning, absl::StrCat("made up ", i % 2)));
  clock_.Advance(absl::Minutes(1));
  // "other" is over and makes room; "flood" has still something to be said of it.
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(Admit(kWarning, "made up 1"));
  EXPECT_FALSE(Admit(kWarning, "made up 1"));
  ASSERT_EQ(limiter_.Take(/*all=*/false).size(), 1);
}

}  // namespace
}  // namespace holdfast::base
