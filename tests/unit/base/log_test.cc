#include "server/base/log.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/support/status_matchers.h"

namespace holdfast::base {
namespace {

using test::StatusIs;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;

class LogTest : public ::testing::Test {
 protected:
  ~LogTest() override { SetLogLevel(LogLevel::kInfo); }

  static std::string Captured(absl::string_view sentence,
                              std::initializer_list<LogField> fields = {}) {
    testing::internal::CaptureStderr();
    LogWarning(sentence, fields);
    return testing::internal::GetCapturedStderr();
  }
};

TEST_F(LogTest, AnEventIsOneLineWithTimeAndLevel) {
  EXPECT_THAT(Captured("journal is nearly full", {{"used_bytes", 7}}),
              MatchesRegex("....-..-..T..:..:..\\.......Z warning journal is nearly full "
                           "used_bytes=7\n"));
}

TEST_F(LogTest, EveryTypeIsWrittenAsWhatItIs) {
  const uint64_t large = 18446744073709551615u;
  const std::string text = "plain";
  const absl::string_view view = "view";
  EXPECT_THAT(Captured("s", {{"int", 42},
                             {"large", large},
                             {"negative", int64_t{-5}},
                             {"truth", true},
                             {"lie", false},
                             {"text", text},
                             {"view", view},
                             {"literal", "literal"},
                             {"duration", absl::Milliseconds(1500)},
                             {"status", absl::NotFoundError("gone")}}),
              EndsWith("s int=42 large=18446744073709551615 negative=-5 truth=true lie=false "
                       "text=plain view=view literal=literal duration=1.5s "
                       "status=\"NOT_FOUND: gone\"\n"));
}

TEST_F(LogTest, NoValueBreaksOutOfItsLineOrItsQuotes) {
  EXPECT_THAT(Captured("s", {{"v", "a\nb\x1b[0m\x7f"}}),
              EndsWith("s v=\"a\\x0ab\\x1b[0m\\x7f\"\n"));
  EXPECT_THAT(Captured("s", {{"v", "say \"hi\\\""}}), EndsWith("s v=\"say \\\"hi\\\\\\\"\"\n"));
  EXPECT_THAT(Captured("s", {{"v", ""}}), EndsWith("s v=\"\"\n"));
  EXPECT_THAT(Captured("{} %s {0}", {{"v", "{}"}}), EndsWith("{} %s {0} v={}\n"));
}

TEST_F(LogTest, WhatIsBelowTheLevelIsDropped) {
  SetLogLevel(LogLevel::kError);
  EXPECT_EQ(Captured("not this"), "");
  SetLogLevel(LogLevel::kWarning);
  EXPECT_THAT(Captured("but this"), HasSubstr("but this"));
  testing::internal::CaptureStderr();
  SetLogLevel(LogLevel::kInfo);
  LogDebug("debug");
  LogInfo("info");
  LogError("error");
  const std::string lines = testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 2);
}

TEST_F(LogTest, LevelsHaveNames) {
  LogLevel level = LogLevel::kInfo;
  EXPECT_OK(ParseLogLevel("DEBUG", &level));
  EXPECT_EQ(level, LogLevel::kDebug);
  EXPECT_OK(ParseLogLevel("warn", &level));
  EXPECT_EQ(level, LogLevel::kWarning);
  EXPECT_OK(ParseLogLevel("Error", &level));
  EXPECT_EQ(level, LogLevel::kError);
  EXPECT_OK(ParseLogLevel("info", &level));
  EXPECT_EQ(level, LogLevel::kInfo);
  EXPECT_THAT(ParseLogLevel("loud", &level),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("debug, info, warning")));
}

}  // namespace
}  // namespace holdfast::base
