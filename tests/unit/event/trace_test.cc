#include "server/event/trace.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "server/event/batch.h"

namespace holdfast::event {
namespace {

using ::testing::ElementsAre;

constexpr absl::string_view kId = "0af7651916cd43dd8448eb211c80319c";
constexpr absl::string_view kParent = "b7ad6b7169203331";
constexpr absl::string_view kText = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

Trace TraceNumber(uint8_t number) {
  Trace trace;
  trace.id.bytes[15] = number;
  trace.parent[7] = 1;
  return trace;
}

TEST(TraceTest, WhatVersionZeroSaysIsReadAndSaidBack) {
  const std::optional<Trace> trace = ParseTraceparent(kText);
  ASSERT_TRUE(trace.has_value());
  EXPECT_TRUE(trace->is_set());
  EXPECT_EQ(FormatTraceId(*trace), kId);
  EXPECT_EQ(trace->flags, 1);
  EXPECT_EQ(FormatTraceparent(*trace), kText);
  EXPECT_FALSE(Trace().is_set());
}

TEST(TraceTest, FlagsThatVersionZeroDoesNotDefineAreDropped) {
  const std::pair<absl::string_view, absl::string_view> cases[] = {
      {"00", "00"}, {"01", "01"}, {"02", "00"}, {"ff", "01"}, {"fe", "00"}};
  for (const auto& [sent, kept] : cases) {
    const auto trace = ParseTraceparent(absl::StrCat("00-", kId, "-", kParent, "-", sent));
    ASSERT_TRUE(trace.has_value()) << sent;
    EXPECT_EQ(FormatTraceparent(*trace), absl::StrCat("00-", kId, "-", kParent, "-", kept));
  }
}

TEST(TraceTest, OfALaterVersionTheKnownPartCounts) {
  for (const absl::string_view later : {"", "-", "-what-the-future-adds", "-01-'; DROP"}) {
    const auto trace = ParseTraceparent(absl::StrCat("cc-", kId, "-", kParent, "-01", later));
    ASSERT_TRUE(trace.has_value()) << later;
    EXPECT_EQ(FormatTraceparent(*trace), kText);
  }
  EXPECT_FALSE(ParseTraceparent(absl::StrCat("cc-", kId, "-", kParent, "-01x")).has_value());
  EXPECT_FALSE(ParseTraceparent(absl::StrCat("cc-", kId, "-", kParent, "-01.x")).has_value());
}

TEST(TraceTest, WhatIsNotValidIsNoTrace) {
  const std::string zeros(32, '0');
  for (const std::string& text : {std::string(),
                                  std::string("00"),
                                  std::string(kText.substr(0, 54)),
                                  absl::StrCat(kText, "-"),
                                  absl::StrCat(kText, "-00"),
                                  absl::StrCat(kText, " "),
                                  absl::StrCat(" ", kText),
                                  absl::StrCat("ff", kText.substr(2)),
                                  absl::StrCat("0G", kText.substr(2)),
                                  absl::StrCat("00-", zeros, "-", kParent, "-01"),
                                  absl::StrCat("00-", kId, "-", zeros.substr(16), "-01"),
                                  absl::StrReplaceAll(kText, {{"0af", "0AF"}}),
                                  absl::StrReplaceAll(kText, {{"b7a", "B7a"}}),
                                  absl::StrReplaceAll(kText, {{"-01", "-0A"}}),
                                  absl::StrReplaceAll(kText, {{"-01", "-1"}}),
                                  absl::StrReplaceAll(kText, {{"0af", "0a'"}}),
                                  absl::StrReplaceAll(kText, {{"-b7", "_b7"}}),
                                  absl::StrReplaceAll(kText, {{"00-", "00_"}}),
                                  absl::StrReplaceAll(kText, {{"-01", "_01"}}),
                                  std::string(55, '0'),
                                  std::string(1 << 16, '-')}) {
    EXPECT_FALSE(ParseTraceparent(text).has_value()) << text.substr(0, 80);
  }
}

TEST(TraceTest, AFewDifferentTracesAreKeptAndTheOthersCounted) {
  TraceSet traces;
  EXPECT_TRUE(traces.empty());
  for (const int number : {3, 1, 3, 2, 9, 1, 7, 8, 7, 8, 9}) {
    traces.Add(TraceNumber(static_cast<uint8_t>(number)));
  }
  EXPECT_THAT(traces.kept(),
              ElementsAre(TraceNumber(3), TraceNumber(1), TraceNumber(2), TraceNumber(9)));
  EXPECT_EQ(traces.more(), 2);
  Trace other_span = TraceNumber(1);
  other_span.parent[0] = 1;
  traces.Add(other_span);
  EXPECT_EQ(traces.more(), 2);
}

TEST(TraceTest, ABatchKeepsEachTraceOnce) {
  Batch batch;
  const Trace* const first = batch.AddTrace(TraceNumber(1));
  EXPECT_EQ(batch.AddTrace(TraceNumber(1)), first);
  const Trace* const second = batch.AddTrace(TraceNumber(2));
  EXPECT_EQ(*first, TraceNumber(1));
  EXPECT_EQ(*second, TraceNumber(2));
}

}  // namespace
}  // namespace holdfast::event
