#include "client/cli/flags.h"

#include <stdlib.h>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "client/cli/connection.h"
#include "tests/support/status_matchers.h"

namespace holdfast::client {
namespace {

using ::holdfast::test::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::vector<FlagSpec> kKnown = {{"to", true}, {"window", true}, {"json", false}};

TEST(FlagsTest, BothFormsOfAValueAreRead) {
  const auto arguments =
      Arguments::Parse({"a", "--to=x=y", "--window", "7", "--json", "-"}, kKnown);
  ASSERT_OK(arguments);
  EXPECT_EQ(arguments->Get("to", ""), "x=y");
  EXPECT_EQ(*arguments->GetNumber("window", 1, 1), 7U);
  EXPECT_TRUE(arguments->Has("json"));
  EXPECT_THAT(arguments->positional(), ElementsAre("a", "-"));
}

TEST(FlagsTest, AfterTwoDashesNothingIsAFlag) {
  const auto arguments = Arguments::Parse({"--", "--to"}, kKnown);
  ASSERT_OK(arguments);
  EXPECT_THAT(arguments->positional(), ElementsAre("--to"));
}

TEST(FlagsTest, NothingUnknownIsIgnored) {
  const auto expect = [](const std::vector<std::string>& arguments, const std::string& text) {
    EXPECT_THAT(Arguments::Parse(arguments, kKnown),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(text)));
  };
  expect({"--too=x"}, "unknown flag --too");
  expect({"-x"}, "unknown flag -x");
  expect({"--to"}, "--to needs a value");
  expect({"--json=yes"}, "--json takes no value");
  expect({"--to=a", "--to=b"}, "--to is given twice");
}

TEST(FlagsTest, ValuesThatMakeNoSenseAreNamed) {
  for (const char* value : {"0", "-1", "x", "1.5", ""}) {
    const auto arguments = Arguments::Parse({absl::StrCat("--window=", value)}, kKnown);
    EXPECT_THAT(arguments->GetNumber("window", 1, 1),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("--window=")))
        << value;
    EXPECT_THAT(Arguments::Parse({"--to=never"}, kKnown)->GetDuration("to", absl::Seconds(1)),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("--to=never")));
  }
  EXPECT_EQ(*Arguments::Parse({"--to=90"}, kKnown)->GetDuration("to", absl::Seconds(1)),
            absl::Seconds(90));
  EXPECT_EQ(*Arguments::Parse({"--to=2m"}, kKnown)->GetDuration("to", absl::Seconds(1)),
            absl::Minutes(2));
}

TEST(FlagsTest, TheAddressComesFromTheFlagThenTheEnvironment) {
  const auto with = Arguments::Parse({"--to=here:1"}, kKnown);
  const auto without = Arguments::Parse({}, kKnown);
  unsetenv("HOLDFAST_LISTEN");
  EXPECT_EQ(ConnectionOf(*without)->address, "unix:/run/holdfast/holdfast.sock");
  EXPECT_FALSE(ConnectionOf(*without)->tls.enabled());
  setenv("HOLDFAST_LISTEN", "unix:/there", 1);
  EXPECT_EQ(ConnectionOf(*without)->address, "unix:/there");
  EXPECT_EQ(ConnectionOf(*with)->address, "here:1");
  unsetenv("HOLDFAST_LISTEN");
}

TEST(FlagsTest, WithinANameADashIsAsGoodAsAnUnderscore) {
  const auto parsed = Arguments::Parse({"--pending-only", "--from_offset=2-3"},
                                       {{"pending_only", false}, {"from_offset", true}});
  ASSERT_OK(parsed);
  EXPECT_TRUE(parsed->Has("pending_only"));
  EXPECT_EQ(parsed->Get("from_offset", ""), "2-3");
}

}  // namespace
}  // namespace holdfast::client
