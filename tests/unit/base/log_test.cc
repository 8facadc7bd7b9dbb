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
using ::testing::Not;

class LogTest : public ::testing::Test {
 protected:
  ~LogTest() override {
    SetLogLevel(LogLevel::kInfo);
    SetLogFormat(LogFormat::kText);
    SayWhatWasHeldBack(/*all=*/true);
  }

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

TEST_F(LogTest, AsJsonAnEventIsOneObjectOnOneLine) {
  SetLogFormat(LogFormat::kJson);
  EXPECT_THAT(Captured("journal is nearly full", {{"used_bytes", 7}}),
              MatchesRegex("\\{\"time\":\"....-..-..T..:..:..\\.......Z\",\"level\":\"warning\","
                           "\"msg\":\"journal is nearly full\",\"used_bytes\":7\\}\n"));
}

TEST_F(LogTest, AsJsonNumbersAreNumbersAndDurationsAreSeconds) {
  SetLogFormat(LogFormat::kJson);
  const std::vector<std::string> words = {"a", "b"};
  const int64_t zero = 0;
  EXPECT_THAT(Captured("s", {{"large", 18446744073709551615u},
                             {"negative", int64_t{-5}},
                             {"zero", zero},
                             {"half", 0.5},
                             {"hex", absl::Hex(7, absl::kZeroPad4)},
                             {"letters", absl::Hex(0xab)},
                             {"truth", true},
                             {"digits", "42"},
                             {"words", words},
                             {"none", std::vector<std::string>()},
                             {"took", absl::Milliseconds(1500)},
                             {"never", absl::InfiniteDuration()},
                             {"status", absl::NotFoundError("gone")}}),
              EndsWith(R"("msg":"s","large":18446744073709551615,"negative":-5,"zero":0,)"
                       R"("half":0.5,"hex":"0007","letters":"ab","truth":true,"digits":"42",)"
                       R"("words":["a","b"],"none":[],"took_seconds":1.5,"never_seconds":null,)"
                       R"("status":"NOT_FOUND: gone"})"
                       "\n"));
}

TEST_F(LogTest, AsJsonNoValueBreaksOutOfItsString) {
  SetLogFormat(LogFormat::kJson);
  EXPECT_THAT(Captured("say \"hi\\\"", {{"v", "a\nb\x1b[0m\x7f"}}),
              EndsWith(R"("msg":"say \"hi\\\"","v":"a\u000ab\u001b[0m\u007f"})"
                       "\n"));
  EXPECT_THAT(Captured("s", {{"v", "z\u00fcrich \u4e2d \U0001f600"}}),
              EndsWith("\"v\":\"z\u00fcrich \u4e2d \U0001f600\"}\n"));
  // What is no UTF-8: a lone continuation, a cut sequence, an overlong one, a surrogate.
  EXPECT_THAT(Captured("s", {{"v", "\x80 \xe4\xb8 \xc0\xaf \xed\xa0\x80"}}),
              EndsWith(R"("v":"\ufffd \ufffd\ufffd \ufffd\ufffd \ufffd\ufffd\ufffd"})"
                       "\n"));
  EXPECT_THAT(Captured("{} %s %v", {{"v", "%l {}"}}), EndsWith(R"("msg":"{} %s %v","v":"%l {}"})"
                                                               "\n"));
}

TEST_F(LogTest, JsonIsForPodsAndTextForPeople) {
  EXPECT_EQ(ChooseLogFormat(/*on_terminal=*/false, /*in_pod=*/true), LogFormat::kJson);
  EXPECT_EQ(ChooseLogFormat(/*on_terminal=*/true, /*in_pod=*/true), LogFormat::kText);
  EXPECT_EQ(ChooseLogFormat(/*on_terminal=*/false, /*in_pod=*/false), LogFormat::kText);
  EXPECT_EQ(ChooseLogFormat(/*on_terminal=*/true, /*in_pod=*/false), LogFormat::kText);
}

TEST_F(LogTest, AFloodOfOneSentenceIsCutAndCounted) {
  testing::internal::CaptureStderr();
  for (int i = 0; i < 130; ++i) LogWarning("the same again", {{"number", i}});
  LogWarning("another");
  SayWhatWasHeldBack(/*all=*/true);
  const std::string lines = testing::internal::GetCapturedStderr();
  EXPECT_THAT(lines, HasSubstr("number=99"));
  EXPECT_THAT(lines, Not(HasSubstr("number=100")));
  EXPECT_THAT(lines, HasSubstr("another"));
  EXPECT_THAT(lines, EndsWith("warning lines were held back: too many within a minute said the "
                              "same sentence=\"the same again\" lines=30\n"));
}

TEST_F(LogTest, WhoAsksForDebugLinesGetsAll) {
  SetLogLevel(LogLevel::kDebug);
  testing::internal::CaptureStderr();
  for (int i = 0; i < 130; ++i) LogDebug("the same again");
  const std::string lines = testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 130);
  EXPECT_TRUE(IsLogged(LogLevel::kDebug));
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
