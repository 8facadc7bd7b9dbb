#include "server/statement/quarantine.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"

#include "server/base/check.h"
#include "server/base/status_macros.h"
#include "server/event/validate.h"

namespace holdfast::statement {
namespace {

using mysql::ColumnType;

constexpr absl::string_view kTable = "holdfast_quarantine";

// As in sql/0001_holdfast.sql.
constexpr size_t kEventIdBytesMax = 255;

constexpr std::array kColumns = {
    Column{"digest", ColumnType::kBinary},         Column{"kind", ColumnType::kText},
    Column{"writer_id", ColumnType::kText},        Column{"lane", ColumnType::kText},
    Column{"producer_id", ColumnType::kBinary},    Column{"sequence", ColumnType::kUint64},
    Column{"event_id", ColumnType::kText},         Column{"error_number", ColumnType::kUint64},
    Column{"column_name", ColumnType::kText},      Column{"reason", ColumnType::kText},
    Column{"event_protobuf", ColumnType::kBinary}, Column{"event_json", ColumnType::kText},
    Column{"first_at", ColumnType::kTime},         Column{"last_at", ColumnType::kTime},
    Column{"journal_id", ColumnType::kBinary},     Column{"outcome", ColumnType::kText},
};

const mysql::Statement* InsertQuarantine() {
  static const mysql::Statement* const statement = Upsert(
      kTable, kColumns,
      {Replace("writer_id"), Replace("lane"), Replace("producer_id"), Replace("sequence"),
       Replace("error_number"), Replace("column_name"), Replace("reason"), Replace("last_at"),
       Replace("journal_id"), Replace("outcome"), "attempts = attempts + 1"});
  return statement;
}

std::string EventId(event::Kind kind, const v1::Event& event) {
  switch (kind) {
    case event::Kind::kRateLimit:
      return event.rate_limit().event_id();
    case event::Kind::kUsage:
      return event.usage().event_id();
    case event::Kind::kMessage:
      return event.message().ig_message_id();
  }
  return "";
}

// Hits without an id add up, so two that say the same are not one. They are told apart by their
// place in the journal, which is the same in every attempt.
event::Id DigestOf(event::Kind kind, const LaneKey& lane, const event::Accepted& event) {
  if (kind != event::Kind::kRateLimit) return QuarantineDigest(kind, event.bytes);
  event::Decoded decoded;
  HOLDFAST_CHECK(!event::Decode(event.bytes, &decoded).has_value());
  const event::RateLimitView& rate_limit = decoded.view.rate_limit();
  if (rate_limit.count_case != v1::RateLimitEvent::kHits || !rate_limit.event_id.empty()) {
    return QuarantineDigest(kind, event.bytes);
  }
  return QuarantineDigest(kind, absl::StrCat(event.bytes, lane.writer_id, "\n", event.offset, "\n",
                                             event.producer.view()));
}

// Empty if the event has no JSON form (a timestamp that JSON cannot say, for example).
std::string ToJson(const v1::Event& event) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string json;
  if (!google::protobuf::util::MessageToJsonString(event, &json, options).ok()) json.clear();
  return json;
}

}  // namespace

event::Id QuarantineDigest(event::Kind kind, absl::string_view bytes) {
  // EventKey hashes whatever is not a UUID, and nothing that begins with a kind's name is one.
  return event::EventKey(absl::StrCat(event::KindName(kind), ":", bytes));
}

absl::string_view CutText(absl::string_view text, size_t bytes_max) {
  if (text.size() <= bytes_max) return text;
  size_t end = bytes_max;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end);
}

QuarantineInsert::QuarantineInsert(event::Kind kind, const LaneKey& lane,
                                   const event::Id& journal_id, absl::Span<const Refused> refused,
                                   absl::Time now, bool minimal)
    : journal_id_(journal_id), order_(refused.size()) {
  digests_.reserve(refused.size());
  for (const Refused& one : refused) {
    digests_.push_back(DigestOf(kind, lane, *one.event));
  }
  std::iota(order_.begin(), order_.end(), size_t{0});
  std::stable_sort(order_.begin(), order_.end(),
                   [this](size_t a, size_t b) { return digests_[a] < digests_[b]; });
  call_.statement = InsertQuarantine();
  call_.rows.columns = kColumns.size();
  for (const size_t index : order_) {
    const Refused& one = refused[index];
    const absl::string_view none;
    v1::Event event;
    HOLDFAST_CHECK(!event::Decode(one.event->bytes, &event).has_value());
    std::vector<mysql::Value>& values = call_.rows.values;
    values.emplace_back(digests_[index].view());
    values.emplace_back(event::KindName(kind));
    values.emplace_back(lane.writer_id);
    values.emplace_back(lane.lane);
    values.emplace_back(one.event->producer.view());
    values.emplace_back(uint64_t{one.event->sequence});
    values.emplace_back(CutText(Keep(EventId(kind, event)), kEventIdBytesMax));
    values.emplace_back(uint64_t{one.error_number});
    values.emplace_back(minimal ? none : CutText(one.column, kColumnNameBytesMax));
    values.emplace_back(minimal ? none : CutText(one.reason, kReasonBytesMax));
    values.emplace_back(one.event->bytes);
    values.emplace_back(minimal ? none : Keep(ToJson(event)));
    values.emplace_back(now);
    values.emplace_back(now);
    values.emplace_back(journal_id_.view());
    values.emplace_back(none);
  }
}

absl::string_view QuarantineInsert::Keep(std::string text) {
  texts_.push_back(std::move(text));
  return texts_.back();
}

Call ListQuarantine(uint64_t below, uint64_t rows_max, bool settled) {
  constexpr absl::string_view kSelect =
      "SELECT quarantine_id, kind, producer_id, sequence, error_number, reason, column_name, "
      "first_at, last_at, attempts, writer_id, lane, outcome, settled_at, settled_by, "
      "settled_reason FROM holdfast_quarantine WHERE quarantine_id < ?";
  constexpr absl::string_view kNewestFirst = " ORDER BY quarantine_id DESC LIMIT ?";
  static const mysql::Statement* const all = Fixed(kTable, absl::StrCat(kSelect, kNewestFirst),
                                                   {ColumnType::kUint64, ColumnType::kUint64});
  static const mysql::Statement* const waiting =
      Fixed(kTable, absl::StrCat(kSelect, " AND outcome = ?", kNewestFirst),
            {ColumnType::kUint64, ColumnType::kText, ColumnType::kUint64});
  if (settled) return OneRow(all, {below, rows_max});
  return OneRow(waiting, {below, absl::string_view(), rows_max});
}

absl::StatusOr<QuarantinedEvent> ReadQuarantined(const mysql::ResultRow& answer) {
  QuarantinedEvent event;
  HOLDFAST_ASSIGN_OR_RETURN(event.quarantine_id, ReadUnsigned(answer, 0));
  HOLDFAST_ASSIGN_OR_RETURN(event.kind, ReadText(answer, 1));
  HOLDFAST_ASSIGN_OR_RETURN(const std::string producer, ReadText(answer, 2));
  if (producer.size() != event.producer.bytes.size()) {
    return absl::InternalError(
        "holdfast_quarantine.producer_id is not 16 bytes; run the migrations");
  }
  std::memcpy(event.producer.bytes.data(), producer.data(), producer.size());
  HOLDFAST_ASSIGN_OR_RETURN(event.sequence, ReadUnsigned(answer, 3));
  HOLDFAST_ASSIGN_OR_RETURN(const uint64_t error_number, ReadUnsigned(answer, 4));
  event.error_number = static_cast<unsigned>(error_number);
  HOLDFAST_ASSIGN_OR_RETURN(event.reason, ReadText(answer, 5));
  HOLDFAST_ASSIGN_OR_RETURN(event.column, ReadText(answer, 6));
  HOLDFAST_ASSIGN_OR_RETURN(event.first_at, ReadTime(answer, 7));
  HOLDFAST_ASSIGN_OR_RETURN(event.last_at, ReadTime(answer, 8));
  HOLDFAST_ASSIGN_OR_RETURN(const uint64_t attempts, ReadUnsigned(answer, 9));
  event.attempts = static_cast<uint32_t>(attempts);
  HOLDFAST_ASSIGN_OR_RETURN(event.writer_id, ReadText(answer, 10));
  HOLDFAST_ASSIGN_OR_RETURN(event.lane, ReadText(answer, 11));
  HOLDFAST_ASSIGN_OR_RETURN(event.outcome, ReadText(answer, 12));
  // What was settled once and waits again is told as waiting.
  if (event.outcome.empty()) return event;
  HOLDFAST_ASSIGN_OR_RETURN(event.settled_at, ReadTime(answer, 13));
  HOLDFAST_ASSIGN_OR_RETURN(event.settled_by, ReadText(answer, 14));
  event.settled_reason = answer.size() > 15 ? answer[15].value_or("") : "";
  return event;
}

Call ReadQuarantinedContent(uint64_t quarantine_id) {
  static const mysql::Statement* const statement =
      Fixed(kTable, "SELECT event_json FROM holdfast_quarantine WHERE quarantine_id = ?",
            {ColumnType::kUint64});
  return OneRow(statement, {quarantine_id});
}

}  // namespace holdfast::statement
