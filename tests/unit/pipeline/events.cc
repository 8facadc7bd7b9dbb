#include "tests/unit/pipeline/events.h"

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

#include "holdfast/v1/ingest.pb.h"
#include "server/base/check.h"

namespace holdfast::test {
namespace {

// 2026-01-01T00:00:00Z.
const int64_t kOccurredAt = 1767225600;

}  // namespace

event::Id ProducerId(uint8_t number) {
  event::Id id;
  id.bytes[0] = 0x70;
  id.bytes[15] = number;
  return id;
}

std::string EventText(const event::Id& producer, uint64_t sequence) {
  return absl::StrCat("event-", static_cast<int>(producer.bytes[15]), "-", sequence);
}

std::string TextOf(const v1::Event& event) {
  return event.has_usage() ? event.usage().event_id() : event.message().ig_message_id();
}

std::shared_ptr<const event::Batch> MakeBatch(const event::Id& producer, uint64_t first_sequence,
                                              absl::string_view letters, size_t padding,
                                              int lanes_per_kind, int keys) {
  v1::EventBatch batch;
  batch.set_first_sequence(producer.is_nil() ? 0 : first_sequence);
  uint64_t sequence = first_sequence;
  for (const char letter : letters) {
    v1::Event& event = *batch.add_events();
    event.mutable_occurred_at()->set_seconds(kOccurredAt);
    const std::string text = EventText(producer, sequence);
    if (letter == 'u') {
      event.mutable_usage()->set_event_id(text);
      const uint64_t key = sequence % static_cast<uint64_t>(keys);
      event.mutable_usage()->set_api_key_id(absl::StrCat("key-", key));
    } else {
      v1::MessageEvent& message = *event.mutable_message();
      message.set_ig_message_id(letter == 'x' ? "" : text);
      message.set_ig_sender_id("sender");
      message.set_ig_recipient_id("recipient");
      message.set_direction(v1::DIRECTION_IN);
      if (padding > 0) message.set_raw_json(std::string(padding, 'p'));
    }
    ++sequence;
  }
  auto read = event::Batch::Read(batch.SerializeAsString(), producer, lanes_per_kind,
                                 absl::FromUnixSeconds(kOccurredAt + 1));
  HOLDFAST_CHECK(read.ok());
  return std::move(read).value();
}

event::Trace TraceOf(uint8_t number) {
  event::Trace trace;
  trace.id.bytes[15] = number;
  trace.parent[7] = 1;
  return trace;
}

std::shared_ptr<const event::Batch> MakeTracedBatch(const event::Id& producer, uint64_t sequence,
                                                    const event::Trace& trace) {
  v1::EventBatch batch;
  batch.set_first_sequence(sequence);
  v1::Event& event = *batch.add_events();
  event.mutable_occurred_at()->set_seconds(kOccurredAt);
  event.mutable_usage()->set_event_id(EventText(producer, sequence));
  event.mutable_usage()->set_api_key_id("key-0");
  auto read = event::Batch::Read(batch.SerializeAsString(), producer, 1,
                                 absl::FromUnixSeconds(kOccurredAt + 1));
  HOLDFAST_CHECK(read.ok());
  (*read)->trace = trace;
  return std::move(read).value();
}

}  // namespace holdfast::test
