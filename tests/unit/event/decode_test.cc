#include <google/protobuf/stubs/logging.h>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "server/event/validate.h"
#include "tests/unit/event/sample_events.h"

namespace holdfast::event {
namespace {

std::optional<Fault> Try(absl::string_view bytes) {
  google::protobuf::LogSilencer silencer;
  v1::Event event;
  return Decode(bytes, &event);
}

TEST(DecodeTest, AnEventComesBackAsItWasSent) {
  for (const v1::Event& sent : AllSamples()) {
    v1::Event event;
    EXPECT_FALSE(Decode(sent.SerializeAsString(), &event).has_value());
    EXPECT_EQ(event.SerializeAsString(), sent.SerializeAsString());
  }
}

TEST(DecodeTest, NamesTheFieldThatIsNotUtf8) {
  const struct {
    int kind;
    int field;
    const char* name;
  } kCases[] = {
      {2, 1, "rate_limit.identifier"},  {2, 3, "rate_limit.route_path"},
      {2, 8, "rate_limit.event_id"},    {3, 1, "usage.event_id"},
      {3, 2, "usage.api_key_id"},       {3, 8, "usage.method"},
      {4, 1, "message.ig_message_id"},  {4, 4, "message.text"},
      {4, 18, "message.referral_json"},
  };
  for (const auto& test : kCases) {
    for (const char* bad : {"\xff", "\xc3", "\xed\xa0\x80", "ok then \xf5\x80\x80\x80"}) {
      const auto fault = Try(LengthDelimited(test.kind, LengthDelimited(test.field, bad)));
      ASSERT_TRUE(fault.has_value());
      EXPECT_EQ(fault->field, test.name);
      EXPECT_EQ(fault->reason, "is not valid UTF-8");
      EXPECT_EQ(fault->label, "malformed");
    }
  }
}

TEST(DecodeTest, NamesTheBadFieldAmongGoodOnesAlsoIfALaterGoodValueHidesIt) {
  const std::string whole = MessageSample().message().SerializeAsString();
  const auto fault = Try(LengthDelimited(
      4, LengthDelimited(4, "\xff") + whole + Varint(99, 1) + LengthDelimited(98, "\xff")));
  ASSERT_TRUE(fault.has_value());
  EXPECT_EQ(fault->field, "message.text");
}

TEST(DecodeTest, WhatIsNoEventAtAllHasNoField) {
  for (const std::string& bytes :
       {std::string("\xff"), std::string("\x12\x05"), std::string("\0", 1),
        LengthDelimited(3,
                        "\x0a\x05"
                        "ab")}) {
    const auto fault = Try(bytes);
    ASSERT_TRUE(fault.has_value());
    EXPECT_EQ(fault->field, "");
    EXPECT_EQ(fault->reason, "is not a holdfast.v1.Event");
    EXPECT_EQ(fault->label, "malformed");
  }
}

}  // namespace
}  // namespace holdfast::event
