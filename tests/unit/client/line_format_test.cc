#include "client/cli/line_format.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/substitute.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "client/cli/money.h"
#include "tests/support/status_matchers.h"

namespace holdfast::client {
namespace {

using ::holdfast::test::StatusIs;
using ::testing::_;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;

TEST(MoneyTest, DecimalTextIsConvertedWithoutFloatingPoint) {
  const auto expect = [](const std::string& dollars, int64_t micros) {
    const absl::StatusOr<int64_t> converted = MicrosFromDollars(dollars);
    ASSERT_OK(converted) << dollars;
    EXPECT_EQ(*converted, micros) << dollars;
  };
  expect("0", 0);
  expect("-0", 0);
  expect("0.0", 0);
  expect("-0.0e5", 0);
  expect("1", 1'000'000);
  expect("0.1", 100'000);
  expect("0.30000000000000004", 300'000);  // What a double makes of 0.1 + 0.2.
  expect("0.7999999999999999", 800'000);   // And of 0.1 * 8, added up.
  expect("1.005", 1'005'000);              // As a double times 1e6: 1004999.9999999999.
  expect("4.35", 4'350'000);               // As a double times 1e6, cut: 4349999.
  expect("12345.678901", 12'345'678'901);
  expect("0.000001", 1);
  expect("1e-6", 1);
  expect("1E-06", 1);
  expect("5.1e-7", 1);
  expect("5e-7", 1);
  expect("0.0000005", 1);
  expect("4.999999e-7", 0);
  expect("0.00000049999999999999999999999999999999999999", 0);
  expect("0.0000014999999999", 1);
  expect("0.0000015", 2);
  expect("9.9999999", 10'000'000);
  expect("1.5e+2", 150'000'000);
  expect("1e2", 100'000'000);
  expect("1e-400", 0);
  expect("0e999999999999999", 0);
  expect("100000000", kMicrosMax);
  expect("100000000.0000004", kMicrosMax);
}

TEST(MoneyTest, WhatIsNoPossibleCostIsRefused) {
  for (const char* text : {"", "-", ".5", "5.", "1e", "1e+", "0x10", "1,5", "NaN", "Infinity", " 1",
                           "1 ", "1.2.3", "--1", "+1", "1e5.5"}) {
    EXPECT_THAT(MicrosFromDollars(text), StatusIs(kInvalid, HasSubstr("not a number"))) << text;
  }
  EXPECT_THAT(MicrosFromDollars("-0.000001"), StatusIs(kInvalid, HasSubstr("negative")));
  EXPECT_THAT(MicrosFromDollars("-1e-30"), StatusIs(kInvalid, HasSubstr("negative")));
  for (const char* text : {"100000000.000001", "1e9", "1e300", "99999999999999999999999"}) {
    EXPECT_THAT(MicrosFromDollars(text), StatusIs(kInvalid, HasSubstr("more than"))) << text;
  }
}

TEST(HoldfastLineTest, BothSpellingsOfNamesAreRead) {
  for (const char* line :
       {R"({"occurredAt":"2026-01-15T10:30:00Z","usage":{"apiKeyId":"k"}})",
        R"({"occurred_at":"2026-01-15T10:30:00Z","usage":{"api_key_id":"k"}})"}) {
    const auto event = ParseHoldfastLine(line);
    ASSERT_OK(event);
    EXPECT_EQ(event->occurred_at().seconds(), 1768473000);
    EXPECT_EQ(event->usage().api_key_id(), "k");
  }
}

TEST(HoldfastLineTest, WhatWouldBeLostIsAnError) {
  EXPECT_THAT(ParseHoldfastLine(R"({"usage":{"apiKey":"k"}})"), StatusIs(kInvalid, _));
  EXPECT_THAT(ParseHoldfastLine(R"({"usage":{},"message":{}})"), StatusIs(kInvalid, _));
  EXPECT_THAT(ParseHoldfastLine(R"({"usage":{"stream":"perhaps"}})"), StatusIs(kInvalid, _));
}

TEST(HoldfastLineTest, MalformedLinesAreErrorsAndNothingWorse) {
  for (const char* line : {"{", "[]", "null", "42", "\"\"", "{\"usage\":[1]}", "\x01\xff",
                           "{\"usage\":{\"inputTokens\":1e300}}", "{}{}"}) {
    EXPECT_THAT(ParseHoldfastLine(line), StatusIs(kInvalid, _)) << line;
  }
  EXPECT_THAT(ParseHoldfastLine(std::string(100'000, '[')), StatusIs(kInvalid, _));
}

constexpr char kBilling[] =
    R"({"eventId":"1768473000123-k3j9x0abc","eventType":"usage.recorded",)"
    R"("timestamp":"2026-01-15T10:30:01.500Z","version":"1.0",)"
    R"("apiKey":{"id":"6ba7b810","name":"team one","userId":null},)"
    R"("usage":{"model":"claude-sonnet-4","inputTokens":1500,"outputTokens":800,)"
    R"("cacheCreateTokens":200,"cacheReadTokens":100,"ephemeral5mTokens":150,)"
    R"("ephemeral1hTokens":50,"totalTokens":2600},)"
    R"("cost":{"total":0.30000000000000004,"currency":"USD","breakdown":{"input":0.1,"total":9}},)"
    R"("account":{"id":"acc-1","type":"claude"},)"
    R"("context":{"isLongContext":true,"pricingTier":null,"x":[{"total":1},[2]],)"
    R"("requestTimestamp":"2026-01-15T10:30:00.123Z"}})";

// kBilling with one part replaced.
std::string Billing(const std::string& part, const std::string& replacement) {
  std::string line = kBilling;
  EXPECT_EQ(absl::StrReplaceAll({{part, replacement}}, &line), 1) << part;
  return line;
}

TEST(RelayBillingTest, AFullEventKeepsAllThatAUsageEventHas) {
  const auto event = ParseRelayBillingLine(kBilling);
  ASSERT_OK(event);
  EXPECT_EQ(event->occurred_at().seconds(), 1768473000);
  EXPECT_EQ(event->occurred_at().nanos(), 123'000'000);
  const v1::UsageEvent& usage = event->usage();
  EXPECT_EQ(usage.event_id(), "1768473000123-k3j9x0abc");
  EXPECT_EQ(usage.api_key_id(), "6ba7b810");
  EXPECT_EQ(usage.account_id(), "acc-1");
  EXPECT_EQ(usage.account_type(), "claude");
  EXPECT_EQ(usage.model(), "claude-sonnet-4");
  EXPECT_EQ(usage.input_tokens(), 1500);
  EXPECT_EQ(usage.output_tokens(), 800);
  EXPECT_EQ(usage.cache_create_tokens(), 200);
  EXPECT_EQ(usage.cache_read_tokens(), 100);
  EXPECT_EQ(usage.ephemeral_5m_tokens(), 150);
  EXPECT_EQ(usage.ephemeral_1h_tokens(), 50);
  EXPECT_TRUE(usage.long_context());
  EXPECT_EQ(usage.cost_micros(), 300'000);
  EXPECT_EQ(usage.real_cost_micros(), 0);
}

TEST(RelayBillingTest, TheReducedFormIsEnough) {
  const auto event = ParseRelayBillingLine(
      R"({"eventId":"e-1","eventType":"usage.recorded","timestamp":"2026-01-15T10:30:00Z",)"
      R"("apiKey":{"id":"k","name":null},"usage":{"model":"m","inputTokens":3,"outputTokens":4,)"
      R"("totalTokens":7},"cost":{"total":2,"currency":"USD"}})");
  ASSERT_OK(event);
  EXPECT_EQ(event->usage().cost_micros(), 2'000'000);
  EXPECT_EQ(event->usage().output_tokens(), 4);
  EXPECT_EQ(event->usage().account_id(), "");
  EXPECT_EQ(event->occurred_at().seconds(), 1768473000);
}

TEST(RelayBillingTest, TheStreamsFieldIsUnwrapped) {
  const std::string escaped = absl::StrReplaceAll(kBilling, {{"\"", "\\\""}});
  const auto event = ParseRelayBillingLine(absl::StrCat("{\"data\":\"", escaped, "\"}"));
  ASSERT_OK(event);
  EXPECT_EQ(event->SerializeAsString(), ParseRelayBillingLine(kBilling)->SerializeAsString());
  EXPECT_THAT(ParseRelayBillingLine(R"({"data":"{"})"), StatusIs(kInvalid, StartsWith("data: ")));
}

TEST(RelayBillingTest, TheCostComesFromTheTextAsItWasWritten) {
  const auto micros = [](const std::string& total) {
    return ParseRelayBillingLine(Billing("0.30000000000000004", total))->usage().cost_micros();
  };
  EXPECT_EQ(micros("1.005"), 1'005'000);
  EXPECT_EQ(micros("5.1e-7"), 1);
  EXPECT_EQ(micros("7"), 7'000'000);
  EXPECT_EQ(micros("0.0000004999999999999999999999999"), 0);
}

TEST(RelayBillingTest, ACostThatIsNoneIsRefusedAndNotTakenForZero) {
  for (const char* total : {"null", "\"0.3\"", "-0.1", "1e12", "true"}) {
    EXPECT_THAT(ParseRelayBillingLine(Billing("0.30000000000000004", total)),
                StatusIs(kInvalid, StartsWith("cost.total: ")))
        << total;
  }
  EXPECT_THAT(ParseRelayBillingLine(Billing("\"total\":0.30000000000000004,", "")),
              StatusIs(kInvalid, HasSubstr("cost.total: is missing")));
  EXPECT_THAT(ParseRelayBillingLine(Billing("0.30000000000000004", "NaN")),
              StatusIs(kInvalid, HasSubstr("not JSON")));
}

TEST(RelayBillingTest, WhatIsWrongIsNamed) {
  const auto expect = [](const std::string& part, const std::string& by, const std::string& name) {
    EXPECT_THAT(ParseRelayBillingLine(Billing(part, by)), StatusIs(kInvalid, StartsWith(name)));
  };
  expect(R"("eventId":"1768473000123-k3j9x0abc",)", "", "eventId: is missing");
  expect("\"6ba7b810\"", "null", "apiKey.id: is missing");
  expect("\"6ba7b810\"", "7", "apiKey.id: is not a string");
  expect("1500", "1500.5", "usage.inputTokens: is not a whole number");
  expect("1500", "\"1500\"", "usage.inputTokens: is not a whole number");
  expect("usage.recorded", "usage.deleted", "eventType: ");
  expect("USD", "EUR", "cost.currency: ");
  expect("2026-01-15T10:30:00.123Z", "yesterday", "context.requestTimestamp: ");
  expect("2026-01-15T10:30:00.123Z", "infinite-future", "context.requestTimestamp: ");
  expect("\"isLongContext\":true", "\"isLongContext\":1", "context.isLongContext: ");
}

TEST(RelayBillingTest, ALineOfNothingButNestingTakesNoMoreMemoryThanItIsLong) {
  // With its path kept at each level this would take 20 GB.
  std::string line;
  for (int level = 0; level < 200'000; ++level) line += "{\"\":";
  EXPECT_THAT(ParseRelayBillingLine(line), StatusIs(kInvalid, HasSubstr("JSON")));
  absl::StrAppend(&line, "0", std::string(200'000, '}'));
  EXPECT_THAT(ParseRelayBillingLine(line), StatusIs(kInvalid, HasSubstr("eventId")));
}

TEST(RelayBillingTest, EveryCutLineIsAnErrorAndNothingWorse) {
  const std::string line = kBilling;
  for (size_t length = 0; length < line.size(); ++length) {
    EXPECT_FALSE(ParseRelayBillingLine(line.substr(0, length)).ok()) << length;
  }
  for (const char* other : {"[]", "null", "3", "\"data\"", "{\"data\":3}", "[[[[{\"a\":1}]]]]"}) {
    EXPECT_FALSE(ParseRelayBillingLine(other).ok()) << other;
  }
}

constexpr char kExportedHits[] =
    R"({"producerId":"0f8fad5b-d9cb-469f-a165-70867728950e","sequence":"7","offset":"9",)"
    R"("lane":"rate_limit-0","ordinal":"3","acceptedAt":"2026-01-15T10:30:00Z",$0)"
    R"("event":{"occurredAt":"2026-01-15T10:30:00Z","rateLimit":{"identifier":"user:1",)"
    R"("windowType":"WINDOW_TYPE_MINUTE","hits":"3"$1}}})";

TEST(ExportedLineTest, TheEventOfAnExportIsSentAsItWas) {
  const auto event = ParseHoldfastLine(
      R"({"sequence":"7","event":{"occurredAt":"2026-01-15T10:30:00Z","usage":{"eventId":"a"}}})");
  ASSERT_OK(event);
  EXPECT_EQ(event->usage().event_id(), "a");
  EXPECT_EQ(event->occurred_at().seconds(), 1768473000);
}

TEST(ExportedLineTest, PendingHitsWithoutAnIdAreSentUnderTheOneMadeForThem) {
  const auto event = ParseHoldfastLine(absl::Substitute(
      kExportedHits, R"("delivery":"DELIVERY_PENDING","resendId":"made-up",)", ""));
  ASSERT_OK(event);
  EXPECT_EQ(event->rate_limit().event_id(), "made-up");
  EXPECT_EQ(event->rate_limit().hits(), 3);
}

TEST(ExportedLineTest, HitsThatMayHaveBeenCountedAreHeldBack) {
  for (const char* delivery : {"", R"("delivery":"DELIVERY_DELIVERED",)"}) {
    EXPECT_THAT(ParseHoldfastLine(absl::Substitute(
                    kExportedHits, absl::StrCat(delivery, R"("resendId":"made-up",)"), "")),
                StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("--pending_only")));
  }
  const auto own = ParseHoldfastLine(
      absl::Substitute(kExportedHits, R"("resendId":"made-up",)", R"(,"eventId":"own")"));
  ASSERT_OK(own);
  EXPECT_EQ(own->rate_limit().event_id(), "own");
}

TEST(ExportedLineTest, ATextThatSpeaksOfAnEventMakesNoExport) {
  const auto event = ParseHoldfastLine(
      R"({"message":{"igMessageId":"m","rawJson":"{\"event\":{\"event\": 1}}"}})");
  ASSERT_OK(event);
  EXPECT_EQ(event->message().ig_message_id(), "m");
}

}  // namespace
}  // namespace holdfast::client
