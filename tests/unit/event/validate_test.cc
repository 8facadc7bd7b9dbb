#include "server/event/validate.h"

#include <google/protobuf/descriptor.h>

#include <climits>
#include <functional>
#include <map>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/unit/event/sample_events.h"

namespace holdfast::event {
namespace {

using google::protobuf::FieldDescriptor;
using ::testing::AllOf;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Optional;

std::optional<Fault> Check(const v1::Event& event) { return Validate(event, SampleTime()); }

auto Refused(absl::string_view field, absl::string_view label) {
  return Optional(AllOf(Field("field", &Fault::field, std::string(field)),
                        Field("label", &Fault::label, label),
                        Field("reason", &Fault::reason, Not(testing::IsEmpty()))));
}

// The rules of the contract, written down a second time.
struct StringLimit {
  size_t bytes_max;
  bool required = false;
};
const std::map<std::string, StringLimit> kStrings = {
    {"rate_limit.identifier", {255, true}},
    {"rate_limit.route_path", {500}},
    {"rate_limit.event_id", {128}},
    {"usage.event_id", {128, true}},
    {"usage.api_key_id", {64, true}},
    {"usage.account_id", {64}},
    {"usage.account_type", {32}},
    {"usage.model", {128}},
    {"usage.request_id", {128}},
    {"usage.endpoint", {255}},
    {"usage.method", {16}},
    {"message.ig_message_id", {255, true}},
    {"message.ig_sender_id", {255, true}},
    {"message.ig_recipient_id", {255, true}},
    {"message.text", {65535}},
    {"message.attachments_json", {1 << 20}},
    {"message.raw_json", {1 << 20}},
    {"message.sender_username", {255}},
    {"message.story_id", {255}},
    {"message.story_url", {2048}},
    {"message.ad_id", {255}},
    {"message.ad_link", {2048}},
    {"message.ad_title", {512}},
    {"message.ad_image_url", {2048}},
    {"message.ad_name", {255}},
    {"message.referral_json", {1 << 20}},
};

struct IntegerLimit {
  int64_t min;
  int64_t max;
};
const std::map<std::string, IntegerLimit> kIntegers = {
    {"rate_limit.observed", {0, INT64_MAX}},
    {"rate_limit.hits", {1, 1'000'000'000}},
    {"usage.status_code", {0, 999}},
    {"usage.duration_ms", {0, 4'294'967'295}},
    {"usage.input_tokens", {0, 4'294'967'295}},
    {"usage.output_tokens", {0, 4'294'967'295}},
    {"usage.cache_create_tokens", {0, 4'294'967'295}},
    {"usage.cache_read_tokens", {0, 4'294'967'295}},
    {"usage.ephemeral_5m_tokens", {0, 4'294'967'295}},
    {"usage.ephemeral_1h_tokens", {0, 4'294'967'295}},
    {"usage.cost_micros", {0, 100'000'000'000'000}},
    {"usage.real_cost_micros", {0, 100'000'000'000'000}},
    {"message.timestamp_ms", {0, 253'402'300'799'999}},
    {"message.conversation_id", {1, INT64_MAX}},
};

const std::map<std::string, int> kEnums = {
    // Name to greatest value; zero is refused.
    {"rate_limit.window_type", 4},
    {"message.direction", 2},
};

v1::Event SampleFor(absl::string_view path) {
  v1::Event event = UsageSample();
  if (absl::StartsWith(path, "rate_limit.")) event = RateLimitSample();
  if (absl::StartsWith(path, "message.")) event = MessageSample();
  if (path == "rate_limit.observed") Clear(&event, "rate_limit.event_id");
  return event;
}

TEST(ValidateTest, EveryFieldOfTheContractHasARuleHere) {
  const auto* events = v1::Event::descriptor();
  for (const char* kind : {"rate_limit", "usage", "message"}) {
    const auto* message = events->FindFieldByName(kind)->message_type();
    for (int i = 0; i < message->field_count(); ++i) {
      const std::string path = absl::StrCat(kind, ".", message->field(i)->name());
      SCOPED_TRACE(path);
      switch (message->field(i)->cpp_type()) {
        case FieldDescriptor::CPPTYPE_STRING:
          EXPECT_EQ(kStrings.count(path), 1);
          break;
        case FieldDescriptor::CPPTYPE_ENUM:
          EXPECT_EQ(kEnums.count(path), 1);
          break;
        case FieldDescriptor::CPPTYPE_BOOL:
          break;
        case FieldDescriptor::CPPTYPE_MESSAGE:
          EXPECT_EQ(message->field(i)->message_type()->full_name(), "google.protobuf.Timestamp");
          break;
        default:
          EXPECT_EQ(kIntegers.count(path), 1);
          break;
      }
    }
  }
}

TEST(ValidateTest, TheSamplesMayBeTaken) {
  for (const v1::Event& event : AllSamples()) EXPECT_EQ(Check(event), std::nullopt);
}

TEST(ValidateTest, AStringOfExactlyItsLimitMayBeTakenAndOneByteMoreIsRefused) {
  for (const auto& [path, limit] : kStrings) {
    SCOPED_TRACE(path);
    v1::Event event = SampleFor(path);
    SetString(&event, path, std::string(limit.bytes_max, 'x'));
    EXPECT_EQ(Check(event), std::nullopt);
    SetString(&event, path, std::string(limit.bytes_max + 1, 'x'));
    EXPECT_THAT(Check(event), Refused(path, "too_long"));
    EXPECT_EQ(Check(event)->reason,
              absl::StrCat("is ", limit.bytes_max + 1, " bytes long; at most ", limit.bytes_max,
                           " are allowed"));
  }
}

TEST(ValidateTest, LimitsCountBytesAndNotCharacters) {
  v1::Event event = UsageSample();
  event.mutable_usage()->set_api_key_id("");
  for (int i = 0; i < 16; ++i)
    event.mutable_usage()->mutable_api_key_id()->append("\xf0\x9f\x90\x8b");
  EXPECT_EQ(Check(event), std::nullopt);
  event.mutable_usage()->mutable_api_key_id()->append("!");
  EXPECT_THAT(Check(event), Refused("usage.api_key_id", "too_long"));
}

TEST(ValidateTest, AStringMayBeEmptyUnlessItIsRequired) {
  for (const auto& [path, limit] : kStrings) {
    SCOPED_TRACE(path);
    v1::Event event = SampleFor(path);
    Clear(&event, path);
    if (limit.required) {
      EXPECT_THAT(Check(event), Refused(path, "missing"));
    } else {
      EXPECT_EQ(Check(event), std::nullopt);
    }
  }
}

TEST(ValidateTest, AnyTextWithinTheLimitMayBeTaken) {
  for (const std::string& text :
       {std::string("a\0b", 3), std::string("\xf0\x9f\x90\x8b"),
        std::string("'; DROP TABLE message; --"), std::string("\\"), std::string("%_\""),
        std::string(" "), std::string("\xef\xbf\xbd")}) {
    for (const auto& [path, limit] : kStrings) {
      if (text.size() > limit.bytes_max) continue;
      SCOPED_TRACE(path);
      v1::Event event = SampleFor(path);
      SetString(&event, path, text);
      EXPECT_EQ(Check(event), std::nullopt);
    }
  }
}

TEST(ValidateTest, AnIntegerAtItsLimitsMayBeTakenAndOneBeyondIsRefused) {
  for (const auto& [path, limit] : kIntegers) {
    SCOPED_TRACE(path);
    v1::Event event = SampleFor(path);
    for (const int64_t allowed : {limit.min, limit.max}) {
      SetInteger(&event, path, allowed);
      EXPECT_EQ(Check(event), std::nullopt) << allowed;
    }
    SetInteger(&event, path, limit.min - 1);
    EXPECT_THAT(Check(event), Refused(path, "out_of_range"));
    SetInteger(&event, path, path == "usage.status_code" ? INT32_MIN : INT64_MIN);
    EXPECT_THAT(Check(event), Refused(path, "out_of_range"));
    if (limit.max == INT64_MAX) continue;
    SetInteger(&event, path, limit.max + 1);
    EXPECT_THAT(Check(event), Refused(path, "out_of_range"));
  }
}

TEST(ValidateTest, AnEnumMayHaveItsNamedValuesAndNoOther) {
  for (const auto& [path, max] : kEnums) {
    SCOPED_TRACE(path);
    v1::Event event = SampleFor(path);
    for (int value = 1; value <= max; ++value) {
      SetInteger(&event, path, value);
      EXPECT_EQ(Check(event), std::nullopt) << value;
    }
    SetInteger(&event, path, 0);
    EXPECT_THAT(Check(event), Refused(path, "missing"));
    for (const int unknown : {-1, max + 1, INT_MAX}) {
      SetInteger(&event, path, unknown);
      EXPECT_THAT(Check(event), Refused(path, "out_of_range"));
    }
  }
}

TEST(ValidateTest, AReasonNeverRepeatsTheValue) {
  const std::string secret = "sk-secret";
  for (const auto& [path, limit] : kStrings) {
    v1::Event event = SampleFor(path);
    std::string value;
    while (value.size() <= limit.bytes_max) value += secret;
    SetString(&event, path, value);
    EXPECT_THAT(Check(event)->reason, Not(HasSubstr(secret)));
  }
  v1::Event event = UsageSample();
  event.mutable_usage()->set_cost_micros(-8642);
  EXPECT_THAT(Check(event)->reason, Not(HasSubstr("8642")));
}

TEST(ValidateTest, AnEventWithoutATimeIsRefused) {
  for (v1::Event event : AllSamples()) {
    event.clear_occurred_at();
    EXPECT_THAT(Check(event), Refused("occurred_at", "missing"));
  }
}

TEST(ValidateTest, TimesReachFrom1970To9999) {
  v1::Event event = UsageSample();
  auto* time = event.mutable_occurred_at();
  const auto check = [&](int64_t seconds, int nanos) {
    time->set_seconds(seconds);
    time->set_nanos(nanos);
    return Check(event);
  };
  EXPECT_EQ(check(0, 0), std::nullopt);
  EXPECT_EQ(check(253'402'300'799, 999'999'999), std::nullopt);
  EXPECT_THAT(check(-1, 999'999'999), Refused("occurred_at", "out_of_range"));
  EXPECT_THAT(check(253'402'300'800, 0), Refused("occurred_at", "out_of_range"));
  EXPECT_THAT(check(0, -1), Refused("occurred_at", "out_of_range"));
  EXPECT_THAT(check(0, 1'000'000'000), Refused("occurred_at", "out_of_range"));
  EXPECT_THAT(check(INT64_MIN, INT_MIN), Refused("occurred_at", "out_of_range"));
  EXPECT_THAT(check(INT64_MAX, INT_MAX), Refused("occurred_at", "out_of_range"));
}

TEST(ValidateTest, AnEventWithoutAKindIsRefused) {
  v1::Event event = UsageSample();
  event.clear_kind();
  EXPECT_THAT(Check(event), Refused("kind", "unknown_kind"));
}

TEST(ValidateTest, AKindFromALaterContractIsRefused) {
  v1::Event event = UsageSample();
  event.clear_kind();
  ASSERT_TRUE(event.ParseFromString(event.SerializeAsString() + LengthDelimited(77, "news")));
  EXPECT_THAT(Check(event), Refused("kind", "unknown_kind"));
}

TEST(ValidateTest, AFieldFromALaterContractIsNoReasonToRefuse) {
  v1::Event event;
  ASSERT_TRUE(event.ParseFromString(UsageSample().SerializeAsString() + LengthDelimited(77, "x")));
  EXPECT_EQ(Check(event), std::nullopt);
}

TEST(ValidateTest, ARateLimitWithoutACountIsRefused) {
  v1::Event event = RateLimitSample();
  event.mutable_rate_limit()->clear_count();
  EXPECT_THAT(Check(event), Refused("rate_limit.count", "missing"));
}

TEST(ValidateTest, AMessageWithoutAConversationMayBeTaken) {
  v1::Event event = MessageSample();
  event.mutable_message()->clear_conversation_id();
  EXPECT_EQ(Check(event), std::nullopt);
}

TEST(ValidateTest, AWindowIsInWholeSecondsOfTheCalendar) {
  for (const char* field : {"window_start", "window_end"}) {
    const std::string path = absl::StrCat("rate_limit.", field);
    v1::Event event = RateLimitSample();
    SetInteger(&event, path + ".nanos", 1);
    EXPECT_THAT(Check(event), Refused(path, "out_of_range"));
    SetInteger(&event, path + ".nanos", 0);
    SetInteger(&event, path + ".seconds", 253'402'300'800);
    EXPECT_THAT(Check(event), Refused(path, "out_of_range"));
    SetInteger(&event, path + ".seconds", -1);
    EXPECT_THAT(Check(event), Refused(path, "out_of_range"));
  }
}

TEST(ValidateTest, AWindowEndsAfterItsStart) {
  v1::Event event = RateLimitSample();
  auto* rate_limit = event.mutable_rate_limit();
  rate_limit->mutable_window_end()->set_seconds(rate_limit->window_start().seconds());
  EXPECT_THAT(Check(event), Refused("rate_limit.window_end", "out_of_range"));
  rate_limit->mutable_window_end()->set_seconds(rate_limit->window_start().seconds() + 1);
  EXPECT_EQ(Check(event), std::nullopt);
}

TEST(ValidateTest, AWindowEndsAfterTheStartThatFollowsFromItsTime) {
  v1::Event event = RateLimitSample();
  auto* rate_limit = event.mutable_rate_limit();
  rate_limit->clear_window_start();  // So it starts at 10:30:00.
  rate_limit->mutable_window_end()->set_seconds(1767263400);
  EXPECT_THAT(Check(event), Refused("rate_limit.window_end", "out_of_range"));
  rate_limit->mutable_window_end()->set_seconds(1767263401);
  EXPECT_EQ(Check(event), std::nullopt);
}

TEST(ValidateTest, AWindowWhoseEndWouldLeaveTheCalendarIsRefused) {
  v1::Event event = RateLimitSample();
  event.mutable_occurred_at()->set_seconds(253'402'300'799);
  auto* rate_limit = event.mutable_rate_limit();
  rate_limit->set_window_type(v1::WINDOW_TYPE_SECOND);
  rate_limit->clear_window_start();
  rate_limit->clear_window_end();
  EXPECT_THAT(Check(event), Refused("rate_limit.window_end", "out_of_range"));
  event.mutable_occurred_at()->set_seconds(253'402'300'798);
  EXPECT_EQ(Check(event), std::nullopt);
}

TEST(ValidateTest, OnlyHitsMayHaveAnId) {
  v1::Event event = RateLimitSample();
  event.mutable_rate_limit()->set_observed(5);
  EXPECT_THAT(Check(event), Refused("rate_limit.event_id", "malformed"));
  event.mutable_rate_limit()->clear_event_id();
  EXPECT_EQ(Check(event), std::nullopt);
}

TEST(ValidateTest, HitsWithAnIdOlderThanIdsAreRememberedAreRefused) {
  v1::Event event = RateLimitSample();
  const absl::Time happened = absl::FromUnixMicros(absl::ToUnixMicros(SampleTime()));
  EXPECT_EQ(Validate(event, happened + kHitsIdRetention), std::nullopt);
  EXPECT_THAT(Validate(event, happened + kHitsIdRetention + absl::Microseconds(1)),
              Refused("occurred_at", "too_old"));
}

TEST(ValidateTest, AgeDoesNotMatterWithoutAnIdOfHits) {
  v1::Event event = RateLimitSample();
  event.mutable_rate_limit()->clear_event_id();
  const absl::Time later = SampleTime() + absl::Hours(24 * 365);
  EXPECT_EQ(Validate(event, later), std::nullopt);
  EXPECT_EQ(Validate(UsageSample(), later), std::nullopt);
  EXPECT_EQ(Validate(MessageSample(), later), std::nullopt);
}

TEST(ValidateTest, AnEventFromTheFutureMayBeTaken) {
  for (const v1::Event& event : AllSamples()) {
    EXPECT_EQ(Validate(event, SampleTime() - absl::Hours(24 * 365)), std::nullopt);
  }
}

}  // namespace

// So that a failing test says which fault it met.
void PrintTo(const Fault& fault, std::ostream* out) {
  *out << fault.field << ": " << fault.reason << " (" << fault.label << ")";
}
bool operator==(const Fault& left, const Fault& right) {
  return left.field == right.field && left.reason == right.reason;
}

}  // namespace holdfast::event
