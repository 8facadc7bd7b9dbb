#include "server/event/window.h"

#include "gtest/gtest.h"

#include "tests/unit/event/sample_events.h"

namespace holdfast::event {
namespace {

v1::Event Counted(v1::WindowType type, const char* occurred_at) {
  v1::Event event = RateLimitSample();
  event.mutable_rate_limit()->clear_window_start();
  event.mutable_rate_limit()->clear_window_end();
  event.mutable_rate_limit()->set_window_type(type);
  absl::Time time;
  EXPECT_TRUE(absl::ParseTime(absl::RFC3339_full, occurred_at, &time, nullptr));
  event.mutable_occurred_at()->set_seconds(absl::ToUnixSeconds(time));
  return event;
}

std::string Text(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E*S", time, absl::UTCTimeZone());
}

TEST(WindowTest, AWindowStartsWhereItsTimeIsRoundedDownTo) {
  constexpr const char* kTime = "2026-03-29T23:59:58Z";
  EXPECT_EQ(Text(WindowStart(Counted(v1::WINDOW_TYPE_SECOND, kTime))), "2026-03-29T23:59:58");
  EXPECT_EQ(Text(WindowStart(Counted(v1::WINDOW_TYPE_MINUTE, kTime))), "2026-03-29T23:59:00");
  EXPECT_EQ(Text(WindowStart(Counted(v1::WINDOW_TYPE_HOUR, kTime))), "2026-03-29T23:00:00");
  EXPECT_EQ(Text(WindowStart(Counted(v1::WINDOW_TYPE_DAY, kTime))), "2026-03-29T00:00:00");
}

TEST(WindowTest, AWindowEndsItsLengthAfterItsStart) {
  constexpr const char* kTime = "2026-03-29T23:59:58Z";
  EXPECT_EQ(Text(WindowEnd(Counted(v1::WINDOW_TYPE_SECOND, kTime))), "2026-03-29T23:59:59");
  EXPECT_EQ(Text(WindowEnd(Counted(v1::WINDOW_TYPE_MINUTE, kTime))), "2026-03-30T00:00:00");
  EXPECT_EQ(Text(WindowEnd(Counted(v1::WINDOW_TYPE_HOUR, kTime))), "2026-03-30T00:00:00");
  EXPECT_EQ(Text(WindowEnd(Counted(v1::WINDOW_TYPE_DAY, kTime))), "2026-03-30T00:00:00");
}

TEST(WindowTest, AGivenWindowIsTakenAsItIs) {
  v1::Event event = Counted(v1::WINDOW_TYPE_HOUR, "2026-03-29T23:59:58Z");
  event.mutable_rate_limit()->mutable_window_start()->set_seconds(1000);
  EXPECT_EQ(absl::ToUnixSeconds(WindowStart(event)), 1000);
  EXPECT_EQ(absl::ToUnixSeconds(WindowEnd(event)), 4600);
  event.mutable_rate_limit()->mutable_window_end()->set_seconds(1007);
  EXPECT_EQ(absl::ToUnixSeconds(WindowEnd(event)), 1007);
}

TEST(WindowTest, TimesHaveMicrosecondsAndFinerDigitsAreDropped) {
  EXPECT_EQ(Text(OccurredAt(UsageSample())), "2026-01-01T10:30:15.123456");
  v1::Event event = UsageSample();
  event.mutable_occurred_at()->set_seconds(253'402'300'799);
  event.mutable_occurred_at()->set_nanos(999'999'999);
  EXPECT_EQ(Text(OccurredAt(event)), "9999-12-31T23:59:59.999999");
}

TEST(WindowTest, NamesAreThoseOfTheColumn) {
  EXPECT_EQ(WindowTypeName(v1::WINDOW_TYPE_SECOND), "second");
  EXPECT_EQ(WindowTypeName(v1::WINDOW_TYPE_MINUTE), "minute");
  EXPECT_EQ(WindowTypeName(v1::WINDOW_TYPE_HOUR), "hour");
  EXPECT_EQ(WindowTypeName(v1::WINDOW_TYPE_DAY), "day");
  EXPECT_EQ(WindowLength(v1::WINDOW_TYPE_DAY), absl::Hours(24));
}

}  // namespace
}  // namespace holdfast::event
