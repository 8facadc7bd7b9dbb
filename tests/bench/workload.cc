#include "tests/bench/workload.h"

#include <array>
#include <map>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "server/base/check.h"
#include "server/event/event_id.h"

namespace holdfast::bench {
namespace {

// SplitMix64: one number to the next, the same on every machine.
uint64_t Mix(uint64_t value) {
  value += 0x9e3779b97f4a7c15;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

// A UUID of version 7: rising with `number`, as time-ordered ids do.
std::string TimeOrderedUuid(uint64_t number) {
  const uint64_t random = Mix(number);
  return absl::StrFormat("%08x-%04x-7%03x-%04x-%012x", 0x01945000 + (number >> 28),
                         (number >> 12) & 0xffff, number & 0xfff, 0x8000 | (random & 0x3fff),
                         random >> 16);
}

void FillUsage(uint64_t number, uint64_t keys, v1::UsageEvent* usage) {
  const uint64_t random = Mix(number * 3 + 1);
  const uint64_t key = random % keys;
  usage->set_event_id(TimeOrderedUuid(number));
  usage->set_api_key_id(absl::StrFormat("key-%08d", key));
  usage->set_account_id(absl::StrFormat("acct-%04d", key % 50));
  usage->set_account_type("claude");
  usage->set_model(key % 3 == 0 ? "claude-sonnet-4-5" : "claude-haiku-4-5");
  usage->set_request_id(absl::StrFormat("req_%016x", random));
  usage->set_endpoint("/v1/messages");
  usage->set_method("POST");
  usage->set_status_code(200);
  usage->set_stream(true);
  usage->set_duration_ms(static_cast<int64_t>(random % 30000));
  usage->set_input_tokens(static_cast<int64_t>(random % 8000));
  usage->set_output_tokens(static_cast<int64_t>((random >> 13) % 2000));
  usage->set_cache_read_tokens(static_cast<int64_t>((random >> 26) % 20000));
  usage->set_cost_micros(static_cast<int64_t>(random % 90000));
  usage->set_real_cost_micros(static_cast<int64_t>(random % 90000));
}

void FillMessage(uint64_t number, uint64_t keys, v1::MessageEvent* message) {
  const uint64_t random = Mix(number * 3 + 2);
  const uint64_t conversation = random % keys;
  message->set_ig_message_id(absl::StrFormat("m_%016x", number));
  message->set_ig_sender_id(absl::StrFormat("%017d", conversation));
  message->set_ig_recipient_id("17841400000000000");
  message->set_text("Hello, is the blue one still available in size 42?");
  message->set_timestamp_ms(static_cast<int64_t>(1767225600000 + number));
  message->set_conversation_id(static_cast<int64_t>(conversation + 1));
  message->set_direction(v1::DIRECTION_IN);
}

std::array<uint32_t, 256> MakeCrcTable() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < table.size(); ++i) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? 0xedb88320 : 0);
    table[i] = value;
  }
  return table;
}

// As SQL's CRC32().
uint32_t Crc32(absl::string_view text) {
  static const std::array<uint32_t, 256> table = MakeCrcTable();
  uint32_t crc = ~uint32_t{0};
  for (const char c : text) crc = table[(crc ^ static_cast<uint8_t>(c)) & 0xff] ^ (crc >> 8);
  return ~crc;
}

std::string RowText(const v1::UsageEvent& usage, int64_t occurred_at) {
  std::string id = usage.event_id();
  std::erase(id, '-');
  return absl::StrCat(
      absl::StrCat(id, "|", usage.api_key_id(), "|", usage.account_id(), "|", usage.account_type(),
                   "|", usage.model(), "|", usage.request_id(), "|", usage.endpoint(), "|",
                   usage.method(), "|", usage.status_code()),
      absl::StrCat("|", usage.stream() ? 1 : 0, "|", usage.duration_ms(), "|", usage.input_tokens(),
                   "|", usage.output_tokens(), "|", usage.cache_read_tokens(), "|",
                   usage.cost_micros(), "|", usage.real_cost_micros(), "|", occurred_at));
}

std::string RowText(const v1::MessageEvent& message, int64_t occurred_at) {
  return absl::StrCat(message.ig_message_id(), "|", message.ig_sender_id(), "|",
                      message.ig_recipient_id(), "|", message.text(), "|", message.timestamp_ms(),
                      "|", message.conversation_id(), "|in|", occurred_at);
}

}  // namespace

void AddTo(Expectation* expectation, const std::vector<v1::Event>& events) {
  for (const v1::Event& event : events) {
    const int64_t occurred_at = event.occurred_at().seconds();
    ++expectation->rows;
    if (event.has_message()) {
      expectation->checksum += Crc32(RowText(event.message(), occurred_at));
      continue;
    }
    const v1::UsageEvent& usage = event.usage();
    expectation->checksum += Crc32(RowText(usage, occurred_at));
    expectation->input_tokens += static_cast<uint64_t>(usage.input_tokens());
    expectation->output_tokens += static_cast<uint64_t>(usage.output_tokens());
    expectation->cache_read_tokens += static_cast<uint64_t>(usage.cache_read_tokens());
    expectation->cost_micros += static_cast<uint64_t>(usage.cost_micros());
    expectation->real_cost_micros += static_cast<uint64_t>(usage.real_cost_micros());
  }
}

std::vector<v1::Event> MakeEvents(event::Kind kind, uint64_t first, size_t count, uint64_t keys) {
  std::vector<v1::Event> events(count);
  for (size_t i = 0; i < count; ++i) {
    const uint64_t number = first + i;
    // A thousand events a second, so that a run stays within a few hours of counters.
    events[i].mutable_occurred_at()->set_seconds(
        static_cast<int64_t>(1767225600 + number / 1000 % 14400));
    if (kind == event::Kind::kUsage) {
      FillUsage(number, keys, events[i].mutable_usage());
    } else {
      HOLDFAST_CHECK(kind == event::Kind::kMessage);
      FillMessage(number, keys, events[i].mutable_message());
    }
  }
  return events;
}

std::vector<LaneWork> MakeLaneWork(const std::vector<v1::Event>& events, int lanes, size_t rows,
                                   absl::Time now) {
  std::map<event::Lane, LaneWork> work;
  std::map<event::Lane, uint64_t> ordinals;
  uint64_t offset = 0;
  for (size_t first = 0; first < events.size(); first += rows) {
    auto owner = std::make_shared<event::Batch>();
    owner->accepted_at = now;
    const size_t end = std::min(events.size(), first + rows);
    for (size_t i = first; i < end; ++i) {
      HOLDFAST_CHECK(
          owner->Add(i + 1, event::LaneOf(events[i], lanes), events[i].SerializeAsString()).ok());
    }
    const std::shared_ptr<const event::Batch> shared = std::move(owner);
    for (const event::Item& item : shared->items) {
      LaneWork& lane = work[item.lane];
      lane.lane = item.lane;
      if (lane.batches.empty() || lane.batches.back().size() >= rows) lane.batches.emplace_back();
      lane.batches.back().push_back({.offset = ++offset,
                                     .ordinal = ++ordinals[item.lane],
                                     .producer = shared->producer,
                                     .sequence = item.sequence,
                                     .accepted_at = now,
                                     .bytes = item.bytes,
                                     .owner = shared});
    }
  }
  std::vector<LaneWork> result;
  for (auto& [lane, one] : work) result.push_back(std::move(one));
  return result;
}

}  // namespace holdfast::bench
