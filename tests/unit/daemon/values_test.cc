#include "server/daemon/values.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "server/daemon/spelling.h"
#include "tests/support/status_matchers.h"

namespace holdfast::daemon {
namespace {

using test::StatusIs;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr auto kWrong = absl::StatusCode::kInvalidArgument;

TEST(ValuesTest, ADurationHasAUnitOrIsSeconds) {
  const auto read = [](absl::string_view text) {
    absl::Duration value = absl::InfiniteDuration();
    EXPECT_OK(ReadDuration(text, absl::ZeroDuration(), absl::Hours(100), &value)) << text;
    return value;
  };
  EXPECT_EQ(read("30"), absl::Seconds(30));
  EXPECT_EQ(read("0.5"), absl::Milliseconds(500));
  EXPECT_EQ(read("500ms"), absl::Milliseconds(500));
  EXPECT_EQ(read("1h30m"), absl::Minutes(90));
  EXPECT_EQ(read("0"), absl::ZeroDuration());
  absl::Duration untouched = absl::Seconds(1);
  for (const char* bad :
       {"", "s", "30 s", "-1", "-1s", "101h", "inf", "nan", "1e400", "1d", "0x10s"}) {
    EXPECT_THAT(ReadDuration(bad, absl::ZeroDuration(), absl::Hours(100), &untouched),
                StatusIs(kWrong, HasSubstr("from 0 to 100h")))
        << bad;
  }
  EXPECT_EQ(untouched, absl::Seconds(1));
}

TEST(ValuesTest, ASizeHasAUnitOrIsBytes) {
  const auto read = [](absl::string_view text) {
    uint64_t value = 0;
    EXPECT_OK(ReadBytes(text, 1, UINT64_MAX, &value)) << text;
    return value;
  };
  EXPECT_EQ(read("64MiB"), uint64_t{64} << 20);
  EXPECT_EQ(read("2GiB"), uint64_t{2} << 30);
  EXPECT_EQ(read("512 KiB"), uint64_t{512} << 10);
  EXPECT_EQ(read("4096"), 4096);
  uint64_t value = 0;
  for (const char* bad : {"", "MiB", "64MB", "64M", "-1", "1.5GiB", "99999999999999999999",
                          "18446744073709551615GiB", "0"}) {
    EXPECT_EQ(ReadBytes(bad, 1, UINT64_MAX, &value).code(), kWrong) << bad;
  }
  EXPECT_THAT(ReadBytes("3MiB", 1 << 20, 2 << 20, &value),
              StatusIs(kWrong, HasSubstr("from 1MiB to 2MiB")));
  EXPECT_EQ(ReadBytes("1", 1 << 20, 2 << 20, &value).code(), kWrong);
}

TEST(ValuesTest, AnOffsetIsHoursAndMinutesEitherWay) {
  const auto read = [](absl::string_view text) {
    absl::Duration value = absl::InfiniteDuration();
    EXPECT_OK(ReadUtcOffset(text, &value)) << text;
    return value;
  };
  EXPECT_EQ(read("+08:00"), absl::Hours(8));
  EXPECT_EQ(read("8"), absl::Hours(8));
  EXPECT_EQ(read("-03:30"), -absl::Minutes(210));
  EXPECT_EQ(read("+14:00"), absl::Hours(14));
  EXPECT_EQ(read("Z"), absl::ZeroDuration());
  EXPECT_EQ(read("0"), absl::ZeroDuration());
  absl::Duration value;
  for (const char* bad : {"", "+", "+14:01", "+15", "+08:60", "+08:0", "+08:", "08:00:00", "--8",
                          "Asia/Shanghai", "+ 8", "1e1"}) {
    EXPECT_EQ(ReadUtcOffset(bad, &value).code(), kWrong) << bad;
  }
}

TEST(ValuesTest, TrueAndFalseHaveManyNames) {
  for (const char* yes : {"true", "TRUE", "1", "yes", "On"}) {
    bool value = false;
    EXPECT_OK(ReadBool(yes, &value));
    EXPECT_TRUE(value) << yes;
  }
  for (const char* no : {"false", "0", "No", "off"}) {
    bool value = true;
    EXPECT_OK(ReadBool(no, &value));
    EXPECT_FALSE(value) << no;
  }
  bool value = false;
  EXPECT_EQ(ReadBool("maybe", &value).code(), kWrong);
  EXPECT_EQ(ReadBool("", &value).code(), kWrong);
}

TEST(ValuesTest, UsersAreNumbers) {
  std::vector<uid_t> uids;
  EXPECT_OK(ReadUids("1000, 1001", &uids));
  EXPECT_THAT(uids, ElementsAre(1000, 1001));
  EXPECT_OK(ReadUids("", &uids));
  EXPECT_TRUE(uids.empty());
  EXPECT_EQ(ReadUids("nobody", &uids).code(), kWrong);
  EXPECT_EQ(ReadUids("-1", &uids).code(), kWrong);
}

TEST(SpellingTest, TheNearestNameIsGuessedOnlyIfItIsNear) {
  const std::vector<std::string> known = {"DB_POOL_SIZE", "DB_POOL_TIMEOUT", "MYSQL_HOST"};
  EXPECT_EQ(NearestOf("DB_POOLSIZE", known), "DB_POOL_SIZE");
  EXPECT_EQ(NearestOf("DB_POOL_TIMEOUTS", known), "DB_POOL_TIMEOUT");
  EXPECT_EQ(NearestOf("SOMETHING_ELSE", known), "");
  EXPECT_EQ(NearestOf("", known), "");
  EXPECT_EQ(NearestOf(std::string(100'000, 'x'), known), "");
}

}  // namespace
}  // namespace holdfast::daemon
