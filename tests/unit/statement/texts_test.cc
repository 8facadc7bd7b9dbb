// The texts of statements, and the answers to them.

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "server/statement/audit.h"
#include "server/statement/batch.h"
#include "server/statement/build.h"
#include "server/statement/housekeeping.h"
#include "server/statement/lane_position.h"
#include "server/statement/quarantine_replay.h"
#include "server/statement/trace_comment.h"
#include "tests/support/accepted_events.h"
#include "tests/support/status_matchers.h"

namespace holdfast::statement {
namespace {

using ::testing::HasSubstr;

void ExpectMarksFitValues(const Call& call) {
  const mysql::Statement& statement = *call.statement;
  EXPECT_EQ(call.rows.columns, statement.columns.size()) << statement.head;
  const auto marks = std::count(statement.head.begin(), statement.head.end(), '?');
  EXPECT_EQ(marks, statement.multi_row ? 0 : static_cast<ptrdiff_t>(statement.columns.size()))
      << statement.head;
  for (size_t i = 0; i < call.rows.values.size(); ++i) {
    using mysql::ColumnType;
    const mysql::Value& value = call.rows.values[i];
    const ColumnType type = statement.columns[i % statement.columns.size()];
    const bool fits = std::holds_alternative<std::monostate>(value) ||
                      (std::holds_alternative<int64_t>(value) && type == ColumnType::kInt64) ||
                      (std::holds_alternative<uint64_t>(value) && type == ColumnType::kUint64) ||
                      (std::holds_alternative<absl::Time>(value) && type == ColumnType::kTime) ||
                      (std::holds_alternative<absl::string_view>(value) &&
                       (type == ColumnType::kText || type == ColumnType::kBinary));
    EXPECT_TRUE(fits) << statement.head << " value " << i;
  }
}

TEST(TextsTest, EveryCallHasAMarkAndTheRightTypeForEachValue) {
  const event::Id journal = event::EventKey("journal");
  const LaneKey key = {"writer", "usage-0"};
  LaneRow row;
  const absl::Time now = test::EventTime();
  for (const Call& call : {EnsureLane(key, journal, now),
                           LockLane(key),
                           TakeLane(key, row, now),
                           MoveLane(key, row, 5, 5, now),
                           CorrectLane(key, 1, 2),
                           ReadStatsUtcOffset(),
                           DeleteExpiredHits(now),
                           FindOldLanes(now),
                           FindIdleLanes("writer", now),
                           DeleteOldLane(key, now),
                           TouchLane(key, now),
                           BookReplay(key, journal, true),
                           ListQuarantine(7, 10, false),
                           ListQuarantine(7, 10, true),
                           ReadForReplay(7, false),
                           ReadForReplay(7, true),
                           SettleQuarantined(7, 1, {kDiscarded, "me", "why", now}),
                           RefuseQuarantined(7, 1, {nullptr, 1406, "model", "why"}, now),
                           ListLanesOfJournal(journal),
                           AwaitLanePosition(key),
                           ListAllLanes(),
                           NextUsageKey("k"),
                           NextUsageTime("k", now, absl::Hours(8)),
                           CompareUsage("k", now, now + absl::Hours(1), absl::Hours(8), 10),
                           CountMessages("m", 10),
                           CountQuarantine()}) {
    ExpectMarksFitValues(call);
  }
  test::AcceptedEvents usage, rates, messages;
  usage.Add(test::UsageOf(test::UuidOf(1)));
  rates.Add(test::HitsOf("a", 1, test::UuidOf(1)));
  rates.Add(test::ObservedOf("a", 1));
  messages.Add(test::MessageOf("m-1"));
  for (const auto& [kind, events] : {std::pair{event::Kind::kUsage, &usage},
                                     {event::Kind::kRateLimit, &rates},
                                     {event::Kind::kMessage, &messages}}) {
    const auto batch = Batch::Make(kind, events->all(), {});
    ExpectMarksFitValues(batch->raw());
    for (const Call& call : batch->LookUps(0, 1)) ExpectMarksFitValues(call);
    for (const Call& call : batch->Counters()) ExpectMarksFitValues(call);
  }
}

TEST(TextsTest, TablesThatAGatewayMayHaveMadeAreNamedByTheirOwnColumnsOnly) {
  test::AcceptedEvents rates, messages;
  rates.Add(test::ObservedOf("a", 1));
  messages.Add(test::MessageOf("m-1"));
  const auto rate_batch = Batch::Make(event::Kind::kRateLimit, rates.all(), {});
  EXPECT_EQ(rate_batch->Counters()[0].statement->head,
            "INSERT INTO rate_limit_records (identifier, window_type, route_path, request_count, "
            "window_start, window_end) VALUES ");
  EXPECT_EQ(rate_batch->Counters()[0].statement->tail,
            " ON DUPLICATE KEY UPDATE request_count = GREATEST(request_count, "
            "VALUES(request_count)), window_end = GREATEST(window_end, VALUES(window_end))");
  const auto message_batch = Batch::Make(event::Kind::kMessage, messages.all(), {});
  EXPECT_EQ(message_batch->raw().statement->head,
            "INSERT INTO message (ig_message_id, ig_sender_id, ig_recipient_id, text, "
            "attachments_json, timestamp_ms, raw_json, conversation_id, direction, "
            "sender_username, story_id, story_url, ad_id, ad_link, ad_title, ad_image_url, "
            "ad_name, referral_json, created_at) VALUES ");
}

TEST(TextsTest, AStatementIsBuiltOnce) {
  const LaneKey key = {"writer", "usage-0"};
  EXPECT_EQ(LockLane(key).statement, LockLane(key).statement);
  test::AcceptedEvents usage;
  usage.Add(test::UsageOf(test::UuidOf(1)));
  const auto first = Batch::Make(event::Kind::kUsage, usage.all(), {});
  const auto second = Batch::Make(event::Kind::kUsage, usage.all(), {});
  EXPECT_EQ(first->raw().statement, second->raw().statement);
  EXPECT_EQ(first->LookUps(0, 1)[0].statement, second->LookUps(0, 1)[0].statement);
}

TEST(TextsTest, OffsetsAreWrittenAsTheDatabaseHasThem) {
  EXPECT_EQ(FormatUtcOffset(absl::ZeroDuration()), "+00:00");
  EXPECT_EQ(FormatUtcOffset(absl::Hours(8)), "+08:00");
  EXPECT_EQ(FormatUtcOffset(-absl::Minutes(570)), "-09:30");
  EXPECT_EQ(FormatUtcOffset(-absl::Minutes(30)), "-00:30");
}

TEST(TextsTest, AnswersThatDoNotFitAreErrors) {
  const mysql::ResultRow row = {"12", "-3", std::nullopt, "2026-01-01 00:30:00.123456", "x"};
  EXPECT_EQ(*ReadUnsigned(row, 0), 12u);
  EXPECT_EQ(*ReadSigned(row, 1), -3);
  EXPECT_EQ(*ReadTime(row, 3), test::EventTime());
  EXPECT_EQ(*ReadText(row, 4), "x");
  EXPECT_FALSE(ReadUnsigned(row, 1).ok());
  EXPECT_FALSE(ReadUnsigned(row, 2).ok());
  EXPECT_FALSE(ReadSigned(row, 4).ok());
  EXPECT_FALSE(ReadText(row, 2).ok());
  EXPECT_FALSE(ReadText(row, 5).ok());
  EXPECT_FALSE(ReadTime(row, 4).ok());
  EXPECT_FALSE(ReadTime(row, 9).ok());
  EXPECT_FALSE(ReadLane({"short", "1", "1", "1", "1", "1", "1"}).ok());
}

TEST(TextsTest, ACommentNamesTheFirstTracesAndCountsTheOthers) {
  event::TraceSet traces;
  EXPECT_EQ(TraceComment(traces), "");
  event::Trace trace =
      *event::ParseTraceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  traces.Add(trace);
  EXPECT_EQ(TraceComment(traces),
            "/*traceparent='00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'*/");
  for (uint8_t number = 1; number <= 6; ++number) {
    trace.id.bytes[0] = number;
    trace.flags = 0;
    traces.Add(trace);
  }
  EXPECT_EQ(TraceComment(traces),
            "/*traceparent='00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',"
            "traceparent_2='00-01f7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00',"
            "traceparent_3='00-02f7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00',"
            "traceparent_4='00-03f7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00',"
            "traces_more='3'*/");
}

}  // namespace
}  // namespace holdfast::statement
