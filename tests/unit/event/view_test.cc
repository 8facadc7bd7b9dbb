#include "server/event/view.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/stubs/logging.h>

#include "gtest/gtest.h"

#include "server/event/validate.h"
#include "tests/unit/event/sample_events.h"

namespace holdfast::event {
namespace {

// Where it is read in place, the generated parser reads the same.
bool ReadAsParsed(const std::string& bytes) {
  // On the heap and without room to spare, so that a read beyond its end is seen.
  const std::unique_ptr<char[]> exact(new char[bytes.size()]);
  std::copy(bytes.begin(), bytes.end(), exact.get());
  EventView view;
  if (!ReadView(absl::string_view(exact.get(), bytes.size()), &view)) return false;
  v1::Event parsed;
  EXPECT_TRUE(parsed.ParseFromString(bytes));
  EXPECT_TRUE(view == EventView(parsed)) << parsed.ShortDebugString();
  return true;
}

// Also if it is not read in place: what is unusual goes to the generated parser.
void ExpectDecodedAsParsed(const std::string& bytes) {
  v1::Event parsed;
  Decoded decoded;
  const auto fault = Decode(bytes, &decoded);
  ASSERT_EQ(!fault.has_value(), parsed.ParseFromString(bytes));
  if (fault.has_value()) return;
  EXPECT_TRUE(decoded.view == EventView(parsed));
}

TEST(ViewTest, WhatTheGeneratedCodeWritesIsReadInPlace) {
  for (const v1::Event& event : AllSamples()) {
    EXPECT_TRUE(ReadAsParsed(event.SerializeAsString()));
  }
  EXPECT_TRUE(ReadAsParsed(""));
}

TEST(ViewTest, TextsLieInTheBytesThatWereGiven) {
  const std::string bytes = UsageSample().SerializeAsString();
  EventView view;
  ASSERT_TRUE(ReadView(bytes, &view));
  const absl::string_view text = view.usage().request_id;
  EXPECT_FALSE(text.empty());
  EXPECT_TRUE(bytes.data() <= text.data() &&
              text.data() + text.size() <= bytes.data() + bytes.size());
}

TEST(ViewTest, EveryValueOfEveryFieldIsReadAsParsed) {
  for (const v1::Event& sample : AllSamples()) {
    const auto* kind = sample.GetReflection()->GetOneofFieldDescriptor(
        sample, sample.GetDescriptor()->FindOneofByName("kind"));
    for (int i = 0; i < kind->message_type()->field_count(); ++i) {
      const auto* field = kind->message_type()->field(i);
      const std::string path = kind->name() + "." + field->name();
      v1::Event event = sample;
      Clear(&event, path);
      EXPECT_TRUE(ReadAsParsed(event.SerializeAsString())) << path;
      if (field->cpp_type() == google::protobuf::FieldDescriptor::CPPTYPE_STRING) {
        for (const char* text : {"", "plain", "sixteen bytes...", "h\u00e4lf", "\U0001F600"}) {
          SetString(&event, path, text);
          EXPECT_TRUE(ReadAsParsed(event.SerializeAsString())) << path << ": " << text;
        }
      } else if (field->cpp_type() == google::protobuf::FieldDescriptor::CPPTYPE_INT64) {
        for (const int64_t value :
             {INT64_MIN, int64_t{-1}, int64_t{127}, int64_t{128}, INT64_MAX}) {
          SetInteger(&event, path, value);
          EXPECT_TRUE(ReadAsParsed(event.SerializeAsString())) << path << ": " << value;
        }
      }
    }
  }
}

TEST(ViewTest, FieldsOfLaterVersionsArePassedOver) {
  const std::string kind = LengthDelimited(
      3, Varint(21, 5) + LengthDelimited(300, "x") + UsageSample().usage().SerializeAsString());
  EXPECT_TRUE(ReadAsParsed(kind + Varint(5, 1) + LengthDelimited(15, "y")));
  EXPECT_TRUE(ReadAsParsed(LengthDelimited(1, Varint(1, 5) + Varint(3, 7))));
}

TEST(ViewTest, WhatIsUnusualIsLeftToTheGeneratedParser) {
  const std::string usage = UsageSample().usage().SerializeAsString();
  for (const std::string& bytes : {
           // In several parts, which the parser merges.
           LengthDelimited(3, usage) + LengthDelimited(3, Varint(9, 404)),
           LengthDelimited(3, usage) + LengthDelimited(4, ""),
           LengthDelimited(1, Varint(1, 5)) + LengthDelimited(1, Varint(2, 6)),
           // A known number with another type.
           Varint(3, 1) + LengthDelimited(3, usage),
           LengthDelimited(3, usage + LengthDelimited(9, "x")),
           // Types that no field of ours has, and lengths and numbers longer than they need be.
           LengthDelimited(3, usage) + "\x2d" + "1234",
           LengthDelimited(3, usage) + "\x2b\x2c",
           std::string("\x1a\x80\x80\x80\x80\x00", 6),
           LengthDelimited(3, usage) + std::string("\xa8\x80\x00\x01", 4),
           LengthDelimited(3, std::string("\x48") + std::string(9, '\xff') + "\x7f"),
       }) {
    EXPECT_FALSE(ReadAsParsed(bytes));
    ExpectDecodedAsParsed(bytes);
  }
}

TEST(ViewTest, WhatIsNoEventIsNotRead) {
  google::protobuf::LogSilencer silencer;
  const std::string good = UsageSample().SerializeAsString();
  for (size_t length = 1; length < good.size(); ++length) {
    ReadAsParsed(good.substr(0, length));
    ExpectDecodedAsParsed(good.substr(0, length));
  }
  for (const std::string& bytes :
       {std::string("\x80"), std::string("\0\0", 2), std::string("\x1a\x05xx"),
        LengthDelimited(3, LengthDelimited(5, "\xff")), LengthDelimited(3, std::string("\x28")),
        LengthDelimited(3, LengthDelimited(5, "\xff") + LengthDelimited(5, "good"))}) {
    EXPECT_FALSE(ReadAsParsed(bytes));
    ExpectDecodedAsParsed(bytes);
  }
}

TEST(ViewTest, WhateverTheBytesAreTheGeneratedParserAgrees) {
  google::protobuf::LogSilencer silencer;
  std::mt19937_64 random(2);
  int in_place = 0;
  for (int round = 0; round < 20000; ++round) {
    const std::string bytes =
        Mutate(AllSamples()[static_cast<size_t>(round % 3)].SerializeAsString(), &random);
    in_place += ReadAsParsed(bytes);
    ExpectDecodedAsParsed(bytes);
  }
  EXPECT_GT(in_place, 500);
}

// ReadView takes every number up to the last for one that it knows.
TEST(ViewTest, NumbersOfFieldsRunOnWithoutAGap) {
  const auto* event = v1::Event::descriptor();
  for (const auto* message : {event, event->FindFieldByName("usage")->message_type(),
                              event->FindFieldByName("rate_limit")->message_type(),
                              event->FindFieldByName("message")->message_type()}) {
    for (int number = 1; number <= message->field_count(); ++number) {
      EXPECT_NE(message->FindFieldByNumber(number), nullptr) << message->name() << ' ' << number;
    }
  }
}

}  // namespace
}  // namespace holdfast::event
