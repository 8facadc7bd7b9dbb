// What a batch makes of events: which rows, in which order, and which counters.

#include "server/statement/batch.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "server/event/event_id.h"
#include "tests/support/accepted_events.h"
#include "tests/support/status_matchers.h"

namespace holdfast::statement {
namespace {

using event::Kind;
using test::HitsOf;
using test::MessageOf;
using test::ObservedOf;
using test::UsageOf;
using test::UuidOf;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class BatchTest : public ::testing::Test {
 protected:
  Batch& Make(Kind kind, BatchOptions options = {}) {
    batch_ = Batch::Make(kind, events_.all(), options);
    return *batch_;
  }
  static const mysql::Value& At(const Call& call, size_t row, size_t column) {
    return call.rows.values.at(row * call.rows.columns + column);
  }
  static std::string Text(const Call& call, size_t row, size_t column) {
    return std::string(std::get<absl::string_view>(At(call, row, column)));
  }
  static int64_t Number(const Call& call, size_t row, size_t column) {
    return std::get<int64_t>(At(call, row, column));
  }
  static absl::Time Time(const Call& call, size_t row, size_t column) {
    return std::get<absl::Time>(At(call, row, column));
  }
  static std::string KeyOf(uint64_t id) { return std::string(event::EventKey(UuidOf(id)).view()); }
  // An answer to a look-up.
  static mysql::ResultRow Stored(uint64_t id, uint64_t content_hash, uint64_t tag) {
    return {KeyOf(id), absl::StrCat(content_hash), absl::StrCat(tag)};
  }
  uint64_t HashOf(size_t event) const {
    return event::ContentHash(test::Parsed(events_.all()[event].bytes));
  }

  test::AcceptedEvents events_;
  std::unique_ptr<Batch> batch_;
};

TEST_F(BatchTest, RawRowsAreSortedByKeyInByteOrder) {
  for (const uint64_t id : std::vector<uint64_t>{7, 2, 9, 1, 8}) events_.Add(UsageOf(UuidOf(id)));
  events_.Add(UsageOf("not-a-uuid"));
  const Call& raw = Make(Kind::kUsage).raw();
  ASSERT_EQ(raw.rows.size(), 6u);
  std::vector<std::string> keys;
  for (size_t row = 0; row < 6; ++row) keys.push_back(Text(raw, row, 0));
  EXPECT_TRUE(std::is_sorted(keys.begin(), keys.end()));
  for (size_t row = 0; row < 6; ++row) {
    const std::string id =
        test::Parsed(events_.all()[batch_->EventOfRow(row)].bytes).usage().event_id();
    EXPECT_EQ(keys[row], event::EventKey(id).view());
    EXPECT_EQ(std::holds_alternative<std::monostate>(At(raw, row, 1)), id != "not-a-uuid");
  }
}

TEST_F(BatchTest, MessagesAreSortedByTheirIds) {
  for (const char* id : {"m-2", "m-10", "M-3", "m-1"}) events_.Add(MessageOf(id));
  const Call& raw = Make(Kind::kMessage).raw();
  std::vector<std::string> ids;
  for (size_t row = 0; row < raw.rows.size(); ++row) ids.push_back(Text(raw, row, 0));
  EXPECT_THAT(ids, ElementsAre("M-3", "m-1", "m-10", "m-2"));
}

TEST_F(BatchTest, AnIdThatRepeatsHasOneRowAndTheFirstEventGetsIt) {
  events_.Add(UsageOf(UuidOf(1), "a"));
  events_.Add(UsageOf(UuidOf(1), "a"));
  events_.Add(UsageOf(UuidOf(1), "b"));
  const Batch& batch = Make(Kind::kUsage);
  EXPECT_EQ(batch.raw().rows.size(), 1u);
  EXPECT_EQ(batch.EventOfRow(0), 0u);
  EXPECT_EQ(batch.fate(0), Fate::kNew);
  EXPECT_EQ(batch.fate(1), Fate::kDuplicate);
  EXPECT_EQ(batch.fate(2), Fate::kConflict);
}

TEST_F(BatchTest, TheTagTellsWhichRowsAreOurs) {
  for (const uint64_t id : std::vector<uint64_t>{1, 2, 3}) events_.Add(UsageOf(UuidOf(id)));
  events_.Add(UsageOf(UuidOf(3), "other"));
  BatchOptions options;
  options.tag = 42;
  Batch& batch = Make(Kind::kUsage, options);
  ASSERT_OK(batch.Learn(Stored(1, HashOf(0), 42)));
  ASSERT_OK(batch.Learn(Stored(2, HashOf(1), 7)));
  ASSERT_OK(batch.Learn(Stored(3, HashOf(3), 7)));  // What the fourth says is there already.
  EXPECT_EQ(batch.fate(0), Fate::kNew);
  EXPECT_EQ(batch.fate(1), Fate::kDuplicate);
  EXPECT_EQ(batch.fate(2), Fate::kConflict);
  EXPECT_EQ(batch.fate(3), Fate::kDuplicate);
  const Tally tally = batch.Count();
  EXPECT_EQ(tally.fresh, 1u);
  EXPECT_EQ(tally.duplicate, 2u);
  EXPECT_EQ(tally.conflict, 1u);
  EXPECT_EQ(batch.Learn(Stored(9, 0, 0)).code(), absl::StatusCode::kInternal);
  EXPECT_EQ(batch.Learn({"x", "y"}).code(), absl::StatusCode::kInternal);
}

TEST_F(BatchTest, LookUpsHaveFewShapesAndAskForEveryRowOnce) {
  for (uint64_t id = 0; id < 1100; ++id) events_.Add(UsageOf(UuidOf(id)));
  const Batch& batch = Make(Kind::kUsage);
  for (const auto& [first, count] : {std::pair<size_t, size_t>{0, 1100},
                                     {5, 1},
                                     {1, 64},
                                     {0, 65},
                                     {3, 9},
                                     {500, 512},
                                     {500, 513}}) {
    std::vector<std::string> asked;
    for (const Call& call : batch.LookUps(first, count)) {
      EXPECT_THAT(call.rows.columns, ::testing::AnyOf(8, 64, 512));
      EXPECT_EQ(call.rows.columns, call.statement->columns.size());
      EXPECT_EQ(std::count(call.statement->head.begin(), call.statement->head.end(), '?'),
                static_cast<ptrdiff_t>(call.rows.columns));
      for (size_t i = 0; i < call.rows.columns; ++i) {
        const std::string id = Text(call, 0, i);
        if (asked.empty() || asked.back() != id) asked.push_back(id);
      }
    }
    ASSERT_THAT(asked, SizeIs(count));
    for (size_t i = 0; i < count; ++i) EXPECT_EQ(asked[i], KeyOf(first + i));
  }
}

TEST_F(BatchTest, RejectingARowRejectsEventsOfTheSameContent) {
  events_.Add(UsageOf(UuidOf(1)));
  events_.Add(UsageOf(UuidOf(2)));
  events_.Add(UsageOf(UuidOf(1)));
  events_.Add(UsageOf(UuidOf(1), "other"));
  Batch& batch = Make(Kind::kUsage);
  EXPECT_THAT(batch.Reject(0), ElementsAre(0, 2));
  EXPECT_EQ(batch.Count().rejected, 2u);
  EXPECT_EQ(batch.Count().conflict, 1u);
  EXPECT_EQ(batch.fate(1), Fate::kNew);
}

TEST_F(BatchTest, UsageIsSummedByKeyAccountModelAndHourInTheirOrder) {
  v1::Event late = UsageOf(UuidOf(1), "b");
  test::SetOccurredAt(test::EventTime() + absl::Minutes(30), &late);
  events_.Add(late);
  events_.Add(UsageOf(UuidOf(2), "b"));
  events_.Add(UsageOf(UuidOf(3), "a"));
  v1::Event long_context = UsageOf(UuidOf(4), "b");
  long_context.mutable_usage()->set_long_context(true);
  events_.Add(long_context);
  events_.Add(UsageOf(UuidOf(4), "b"));  // A conflict: other content.
  const std::vector<Call> calls = Make(Kind::kUsage).Counters();
  ASSERT_THAT(calls, SizeIs(1));
  const Call& call = calls[0];
  ASSERT_EQ(call.rows.size(), 3u);
  EXPECT_EQ(Text(call, 0, 0), "a");
  EXPECT_EQ(Text(call, 1, 0), "b");
  EXPECT_EQ(Text(call, 2, 0), "b");
  EXPECT_EQ(absl::FormatTime(Time(call, 1, 3), absl::UTCTimeZone()), "2026-01-01T00:00:00+00:00");
  EXPECT_EQ(absl::FormatTime(Time(call, 2, 3), absl::UTCTimeZone()), "2026-01-01T01:00:00+00:00");
  EXPECT_EQ(Number(call, 1, 4), 2);   // requests
  EXPECT_EQ(Number(call, 1, 5), 20);  // input_tokens
  EXPECT_EQ(Number(call, 1, 6), 10);  // output_tokens
  EXPECT_EQ(Number(call, 1, 11), 1);  // long_context_requests
  EXPECT_EQ(Number(call, 1, 12), 10);
  EXPECT_EQ(Number(call, 1, 13), 5);
  EXPECT_EQ(Number(call, 1, 14), 200);  // cost_micros
  EXPECT_EQ(Number(call, 1, 15), 180);
}

TEST_F(BatchTest, HoursBeginWhereTheOffsetPutsThem) {
  v1::Event early = UsageOf(UuidOf(1));
  test::SetOccurredAt(absl::UnixEpoch() + absl::Seconds(1), &early);
  events_.Add(early);
  events_.Add(UsageOf(UuidOf(2)));  // 00:30 UTC.
  const auto hours = [&](absl::Duration offset) {
    BatchOptions options;
    options.stats_utc_offset = offset;
    const std::vector<Call> calls = Make(Kind::kUsage, options).Counters();
    std::vector<std::string> texts;
    for (size_t row = 0; row < calls[0].rows.size(); ++row) {
      texts.push_back(
          absl::FormatTime("%Y-%m-%d %H:%M", Time(calls[0], row, 3), absl::UTCTimeZone()));
    }
    return texts;
  };
  EXPECT_THAT(hours(absl::Hours(8)), ElementsAre("1970-01-01 08:00", "2026-01-01 08:00"));
  EXPECT_THAT(hours(absl::Minutes(-45)), ElementsAre("1969-12-31 23:00", "2025-12-31 23:00"));
  EXPECT_THAT(hours(absl::Minutes(330)), ElementsAre("1970-01-01 05:00", "2026-01-01 06:00"));
}

TEST_F(BatchTest, CountersFollowNewEventsOnly) {
  for (const uint64_t id : std::vector<uint64_t>{1, 2, 3}) events_.Add(UsageOf(UuidOf(id)));
  Batch& batch = Make(Kind::kUsage);
  batch.Reject(0);
  ASSERT_OK(batch.Learn(Stored(2, HashOf(1), 99)));
  EXPECT_EQ(Number(batch.Counters()[0], 0, 4), 1);
  ASSERT_OK(batch.Learn(Stored(3, HashOf(2), 99)));
  EXPECT_THAT(batch.Counters(), IsEmpty());
}

TEST_F(BatchTest, HitsAreSummedAndObservedCountsAreNot) {
  events_.Add(ObservedOf("b", 5));
  events_.Add(HitsOf("b", 2));
  events_.Add(ObservedOf("b", 9));
  events_.Add(ObservedOf("b", 7));
  events_.Add(HitsOf("a", 4, UuidOf(1)));
  events_.Add(HitsOf("b", 3));
  events_.Add(HitsOf("a", 4, UuidOf(1)));
  Batch& batch = Make(Kind::kRateLimit);
  EXPECT_EQ(batch.raw().rows.size(), 1u) << "only hits with an id have a raw row";
  const std::vector<Call> calls = batch.Counters();
  ASSERT_THAT(calls, SizeIs(2));
  ASSERT_EQ(calls[0].rows.size(), 2u);
  EXPECT_EQ(Text(calls[0], 0, 0), "a");
  EXPECT_EQ(Number(calls[0], 0, 3), 4);
  EXPECT_EQ(Text(calls[0], 1, 0), "b");
  EXPECT_EQ(Number(calls[0], 1, 3), 5);
  ASSERT_EQ(calls[1].rows.size(), 1u);
  EXPECT_EQ(Number(calls[1], 0, 3), 9);
  EXPECT_NE(calls[0].statement, calls[1].statement);
}

TEST_F(BatchTest, AWindowKeepsTheGreatestEnd) {
  for (const int64_t minutes : {3, 5, 4}) {
    v1::Event event = HitsOf("a", 1);
    const int64_t start = absl::ToUnixSeconds(test::EventTime());
    event.mutable_rate_limit()->mutable_window_start()->set_seconds(start);
    event.mutable_rate_limit()->mutable_window_end()->set_seconds(start + minutes * 60);
    events_.Add(event);
  }
  const std::vector<Call> calls = Make(Kind::kRateLimit).Counters();
  ASSERT_EQ(calls[0].rows.size(), 1u);
  EXPECT_EQ(Time(calls[0], 0, 5) - Time(calls[0], 0, 4), absl::Minutes(5));
}

TEST_F(BatchTest, ApiKeysAreHashedIfAskedAndOnlyOnce) {
  events_.Add(HitsOf("api_key:secret", 1));
  events_.Add(HitsOf("user:1", 1));
  BatchOptions options;
  EXPECT_EQ(Text(Make(Kind::kRateLimit, options).Counters()[0], 0, 0), "api_key:secret");
  options.hash_api_keys = true;
  Batch& batch = Make(Kind::kRateLimit, options);
  const std::string hashed = Text(batch.Counters()[0], 0, 0);
  EXPECT_EQ(hashed,
            "api_key:sha256:2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b");
  EXPECT_EQ(Text(batch.Counters()[0], 1, 0), "user:1");
  events_.Add(HitsOf(hashed, 1));
  const std::vector<Call> calls = Make(Kind::kRateLimit, options).Counters();
  ASSERT_EQ(calls[0].rows.size(), 2u);
  EXPECT_EQ(Text(calls[0], 0, 0), hashed);
  EXPECT_EQ(Number(calls[0], 0, 3), 2);
}

TEST_F(BatchTest, WhatAMessageLeavesOutIsNull) {
  v1::Event event = MessageOf("m-1");
  event.mutable_message()->clear_text();
  event.mutable_message()->set_story_id("");
  event.mutable_message()->set_conversation_id(5);
  event.mutable_message()->set_direction(v1::DIRECTION_OUT);
  events_.Add(event);
  const Call& raw = Make(Kind::kMessage).raw();
  EXPECT_TRUE(std::holds_alternative<std::monostate>(At(raw, 0, 3)));
  EXPECT_EQ(Number(raw, 0, 7), 5);
  EXPECT_EQ(Text(raw, 0, 8), "out");
  EXPECT_EQ(Text(raw, 0, 10), "");
  EXPECT_TRUE(std::holds_alternative<std::monostate>(At(raw, 0, 11)));
}

TEST_F(BatchTest, MessagesThatWereThereAreOnlyCounted) {
  for (const char* id : {"a", "b", "b", "c"}) events_.Add(MessageOf(id));
  Batch& batch = Make(Kind::kMessage);
  EXPECT_THAT(batch.LookUps(0, 3), IsEmpty());
  batch.NoteDuplicates(2);
  EXPECT_EQ(batch.Count().fresh, 1u);
  EXPECT_EQ(batch.Count().duplicate, 3u);
}

}  // namespace
}  // namespace holdfast::statement
