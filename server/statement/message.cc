#include "server/statement/message.h"

#include <algorithm>
#include <array>
#include <optional>

#include "server/event/window.h"

namespace holdfast::statement {
namespace {

using mysql::ColumnType;

constexpr absl::string_view kTable = "message";

constexpr std::array kColumns = {
    Column{"ig_message_id", ColumnType::kText},
    Column{"ig_sender_id", ColumnType::kText},
    Column{"ig_recipient_id", ColumnType::kText},
    Column{"text", ColumnType::kText},
    Column{"attachments_json", ColumnType::kText},
    Column{"timestamp_ms", ColumnType::kInt64},
    Column{"raw_json", ColumnType::kText},
    Column{"conversation_id", ColumnType::kInt64},
    Column{"direction", ColumnType::kText},
    Column{"sender_username", ColumnType::kText},
    Column{"story_id", ColumnType::kText},
    Column{"story_url", ColumnType::kText},
    Column{"ad_id", ColumnType::kText},
    Column{"ad_link", ColumnType::kText},
    Column{"ad_title", ColumnType::kText},
    Column{"ad_image_url", ColumnType::kText},
    Column{"ad_name", ColumnType::kText},
    Column{"referral_json", ColumnType::kText},
    Column{"created_at", ColumnType::kTime},
};

const mysql::Statement* InsertMessages() {
  static const mysql::Statement* const statement =
      Upsert(kTable, kColumns, {KeepRow("ig_message_id")});
  return statement;
}

template <typename T>
mysql::Value Optional(const std::optional<T>& value) {
  return value.has_value() ? mysql::Value(*value) : mysql::Value();
}

}  // namespace

MessageBatch::MessageBatch(absl::Span<const event::Accepted> events) : Batch(events) {
  struct Entry {
    absl::string_view id;
    uint32_t event;
  };
  std::vector<Entry> entries;
  entries.reserve(events.size());
  for (uint32_t i = 0; i < events.size(); ++i) {
    entries.push_back({Read(events[i]).message().ig_message_id, i});
  }
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    const int order = a.id.compare(b.id);
    return order != 0 ? order < 0 : a.event < b.event;
  });
  row_events_.reserve(entries.size());
  for (size_t i = 0; i < entries.size(); ++i) {
    if (i > 0 && entries[i].id == entries[i - 1].id) {
      fates_[entries[i].event] = Fate::kDuplicate;
      followers_.push_back({static_cast<uint32_t>(row_events_.size() - 1), entries[i].event});
    } else {
      row_events_.push_back(entries[i].event);
    }
  }
  MakeRows();
}

void MessageBatch::MakeRows() {
  raw_.statement = InsertMessages();
  raw_.rows.columns = kColumns.size();
  std::vector<mysql::Value>& values = raw_.rows.values;
  values.reserve(row_events_.size() * kColumns.size());
  for (const uint32_t index : row_events_) {
    const event::EventView& event = Read(events_[index]);
    const event::MessageView& message = event.message();
    values.emplace_back(message.ig_message_id);
    values.emplace_back(message.ig_sender_id);
    values.emplace_back(message.ig_recipient_id);
    values.push_back(Optional(message.text));
    values.push_back(Optional(message.attachments_json));
    values.emplace_back(message.timestamp_ms);
    values.push_back(Optional(message.raw_json));
    values.push_back(Optional(message.conversation_id));
    values.emplace_back(message.direction == v1::DIRECTION_OUT ? absl::string_view("out")
                                                               : absl::string_view("in"));
    values.push_back(Optional(message.sender_username));
    values.push_back(Optional(message.story_id));
    values.push_back(Optional(message.story_url));
    values.push_back(Optional(message.ad_id));
    values.push_back(Optional(message.ad_link));
    values.push_back(Optional(message.ad_title));
    values.push_back(Optional(message.ad_image_url));
    values.push_back(Optional(message.ad_name));
    values.push_back(Optional(message.referral_json));
    values.emplace_back(event::OccurredAt(event));
  }
}

std::vector<size_t> MessageBatch::Reject(size_t row) {
  std::vector<size_t> rejected = {EventOfRow(row)};
  const auto [first, last] = std::equal_range(
      followers_.begin(), followers_.end(), Follower{static_cast<uint32_t>(row), 0},
      [](const Follower& a, const Follower& b) { return a.row < b.row; });
  for (auto follower = first; follower != last; ++follower) rejected.push_back(follower->event);
  for (const size_t event : rejected) fates_[event] = Fate::kRejected;
  return rejected;
}

absl::Status MessageBatch::Learn(const mysql::ResultRow&) {
  return absl::InternalError("messages are told apart by their ids alone; nothing was asked");
}

}  // namespace holdfast::statement
