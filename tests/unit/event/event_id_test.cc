#include "server/event/event_id.h"

#include <google/protobuf/descriptor.h>

#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

#include "tests/unit/event/sample_events.h"

namespace holdfast::event {
namespace {

using google::protobuf::FieldDescriptor;

constexpr absl::string_view kUuid = "0194f1c0-5b7e-7c11-8f00-0123456789ab";

TEST(UuidTest, TextAndBytesGoTogether) {
  const std::optional<Id> id = ParseUuid(kUuid);
  ASSERT_TRUE(id.has_value());
  EXPECT_EQ(absl::BytesToHexString(id->view()), "0194f1c05b7e7c118f000123456789ab");
  EXPECT_EQ(FormatUuid(*id), kUuid);
  EXPECT_EQ(ParseUuid(absl::AsciiStrToUpper(kUuid)), id);
}

TEST(UuidTest, WhatIsNotAUuidIsNotTakenForOne) {
  EXPECT_EQ(ParseUuid(""), std::nullopt);
  EXPECT_EQ(ParseUuid("0194f1c05b7e7c118f000123456789ab"), std::nullopt);
  EXPECT_EQ(ParseUuid(absl::StrCat("{", kUuid, "}")), std::nullopt);
  EXPECT_EQ(ParseUuid(absl::StrCat(kUuid, " ")), std::nullopt);
  for (size_t i = 0; i < kUuid.size(); ++i) {
    for (const char wrong : {'g', 'G', '/', ':', '@', '`', ' ', '\0', '\xff'}) {
      std::string text(kUuid);
      text[i] = wrong;
      EXPECT_EQ(ParseUuid(text), std::nullopt) << i;
    }
    std::string text(kUuid);
    text[i] = text[i] == '-' ? '0' : '-';
    EXPECT_EQ(ParseUuid(text), std::nullopt) << i;
  }
}

TEST(UuidTest, RandomOnesAreVersionFourAndDiffer) {
  std::set<Id> seen;
  for (int i = 0; i < 1000; ++i) {
    const Id id = RandomUuid();
    EXPECT_EQ(FormatUuid(id)[14], '4');
    EXPECT_EQ(id.bytes[8] & 0xc0, 0x80);
    EXPECT_FALSE(id.is_nil());
    EXPECT_TRUE(seen.insert(id).second);
  }
}

TEST(EventKeyTest, AUuidIsItsBytesInUpperAndLowerCase) {
  EXPECT_EQ(EventKey(kUuid), *ParseUuid(kUuid));
  EXPECT_EQ(EventKey(absl::AsciiStrToUpper(kUuid)), EventKey(kUuid));
}

TEST(EventKeyTest, AnythingElseIsTheBeginningOfItsSha256) {
  // From FIPS 180-2, appendix B.1.
  EXPECT_EQ(absl::BytesToHexString(EventKey("abc").view()), "ba7816bf8f01cfea414140de5dae2223");
  EXPECT_NE(EventKey("abc"), EventKey("ABC"));
  EXPECT_NE(EventKey("abc"), EventKey(absl::string_view("abc\0", 4)));
}

// Changes the value of a field, whatever it is.
void Change(google::protobuf::Message* message, const FieldDescriptor* field) {
  const google::protobuf::Reflection* reflection = message->GetReflection();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      return reflection->SetString(message, field, reflection->GetString(*message, field) + "x");
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection->SetBool(message, field, !reflection->GetBool(*message, field));
    case FieldDescriptor::CPPTYPE_INT32:
      return reflection->SetInt32(message, field, reflection->GetInt32(*message, field) + 1);
    case FieldDescriptor::CPPTYPE_INT64:
      return reflection->SetInt64(message, field, reflection->GetInt64(*message, field) + 1);
    case FieldDescriptor::CPPTYPE_ENUM:
      return reflection->SetEnumValue(message, field,
                                      reflection->GetEnumValue(*message, field) + 1);
    default: {
      google::protobuf::Message* inner = reflection->MutableMessage(message, field);
      return Change(inner, inner->GetDescriptor()->FindFieldByName("seconds"));
    }
  }
}

TEST(ContentHashTest, EveryFieldButTheIdCounts) {
  for (const v1::Event& sample : {RateLimitSample(), UsageSample()}) {
    const char* kind = sample.has_usage() ? "usage" : "rate_limit";
    const auto* fields = v1::Event::descriptor()->FindFieldByName(kind)->message_type();
    std::set<uint64_t> hashes = {ContentHash(sample)};
    for (int i = 0; i < fields->field_count(); ++i) {
      SCOPED_TRACE(fields->field(i)->full_name());
      v1::Event changed = sample;
      const FieldOf found = Find(&changed, absl::StrCat(kind, ".", fields->field(i)->name()));
      Change(found.message, found.field);
      EXPECT_EQ(hashes.insert(ContentHash(changed)).second, found.field->name() != "event_id");
    }
    v1::Event changed = sample;
    Change(&changed, v1::Event::descriptor()->FindFieldByName("occurred_at"));
    EXPECT_TRUE(hashes.insert(ContentHash(changed)).second);
  }
}

TEST(ContentHashTest, WhatIsLeftOutOnTheWireCountsAsItsDefault) {
  v1::Event event;
  event.mutable_occurred_at()->set_seconds(1772323200);
  event.mutable_usage()->set_api_key_id("key-1");
  const std::string bytes = event.SerializeAsString();
  EventView view;
  ASSERT_TRUE(ReadView(bytes, &view));
  EXPECT_EQ(ContentHash(view), ContentHash(event));
}

TEST(ContentHashTest, OnlyWhatIsStoredOfATimeCounts) {
  v1::Event event = UsageSample();
  event.mutable_occurred_at()->set_nanos(123'456'000);
  EXPECT_EQ(ContentHash(event), ContentHash(UsageSample()));
  event.mutable_occurred_at()->set_nanos(123'457'000);
  EXPECT_NE(ContentHash(event), ContentHash(UsageSample()));
}

TEST(ContentHashTest, AWindowThatFollowsFromTheTimeIsTheSameAsOneThatIsGiven) {
  v1::Event event = RateLimitSample();
  event.mutable_rate_limit()->clear_window_start();
  event.mutable_rate_limit()->clear_window_end();
  EXPECT_EQ(ContentHash(event), ContentHash(RateLimitSample()));
}

TEST(ContentHashTest, ObservedAndHitsAreNotTheSame) {
  v1::Event event = RateLimitSample();
  event.mutable_rate_limit()->set_observed(event.rate_limit().hits());
  EXPECT_NE(ContentHash(event), ContentHash(RateLimitSample()));
}

TEST(ContentHashTest, ABorderBetweenTwoFieldsCounts) {
  v1::Event left = UsageSample();
  v1::Event right = UsageSample();
  left.mutable_usage()->set_account_id("ab");
  left.mutable_usage()->set_account_type("c");
  right.mutable_usage()->set_account_id("a");
  right.mutable_usage()->set_account_type("bc");
  EXPECT_NE(ContentHash(left), ContentHash(right));
}

TEST(ContentHashTest, EncodingAndUnknownFieldsDoNotCount) {
  const v1::Event sample = UsageSample();
  v1::Event other;
  ASSERT_TRUE(
      other.ParseFromString(LengthDelimited(77, "later") +
                            LengthDelimited(3, Varint(99, 1) + LengthDelimited(5, "overwritten") +
                                                   sample.usage().SerializeAsString()) +
                            LengthDelimited(1, sample.occurred_at().SerializeAsString())));
  EXPECT_EQ(ContentHash(other), ContentHash(sample));
}

// The hash is stored: an event that comes again after an update must have the same one.
TEST(ContentHashTest, HashesAreThoseOfEveryEarlierVersion) {
  EXPECT_EQ(ContentHash(RateLimitSample()), 0x5be2afaafdaeb63du);
  EXPECT_EQ(ContentHash(UsageSample()), 0xc2c28b0122dba55eu);
}

TEST(ContentHashDeathTest, AMessageHasNone) {
  EXPECT_DEATH(ContentHash(MessageSample()), "broken invariant");
}

}  // namespace
}  // namespace holdfast::event
