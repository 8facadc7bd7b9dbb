#include "server/event/batch.h"

#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"

#include "holdfast/v1/ingest.pb.h"
#include "server/base/check.h"
#include "server/base/status_macros.h"
#include "server/event/wire.h"

namespace holdfast::event {
namespace {

using google::protobuf::Arena;

// What a v1::EventBatch says, its events not yet parsed.
struct RawBatch {
  uint64_t first_sequence = 0;
  std::vector<absl::string_view> events;
};

absl::StatusOr<RawBatch> Split(absl::string_view encoded) {
  if (encoded.size() > kBatchBytesMax) {
    return absl::InvalidArgumentError(absl::StrCat(
        "batch: is ", encoded.size(), " bytes long; at most ", kBatchBytesMax, " are allowed"));
  }
  RawBatch raw;
  WireReader reader(encoded);
  WireField field;
  while (reader.Next(&field)) {
    if (field.number == v1::EventBatch::kFirstSequenceFieldNumber && !field.is_bytes) {
      raw.first_sequence = field.varint;
    } else if (field.number == v1::EventBatch::kEventsFieldNumber && field.is_bytes) {
      if (raw.events.size() == kBatchEventsMax) {
        return absl::InvalidArgumentError(
            absl::StrCat("events: are too many; at most ", kBatchEventsMax, " are allowed"));
      }
      raw.events.push_back(field.bytes);
    }
  }
  if (!reader.ok()) return absl::InvalidArgumentError("batch: is not a holdfast.v1.EventBatch");
  if (raw.events.empty()) return absl::InvalidArgumentError("events: are required; there is none");
  return raw;
}

// A producer's sequences start at 1; anonymous events have none, and get theirs only to be told
// apart within their call.
absl::StatusOr<uint64_t> FirstSequence(const RawBatch& raw, const Id& producer) {
  if (producer.is_nil()) {
    if (raw.first_sequence == 0) return 1;
    return absl::InvalidArgumentError(
        "first_sequence: must be left out where there is no producer_id");
  }
  if (raw.first_sequence == 0) {
    return absl::InvalidArgumentError("first_sequence: is required; the first one is 1");
  }
  if (raw.first_sequence > UINT64_MAX - (raw.events.size() - 1)) {
    return absl::InvalidArgumentError("first_sequence: is too large for so many events");
  }
  return raw.first_sequence;
}

std::optional<Fault> DecodeAndValidate(absl::string_view bytes, absl::Time now, Decoded* event) {
  if (bytes.size() > kEventBytesMax) {
    return Fault{
        "",
        absl::StrCat("is ", bytes.size(), " bytes long; at most ", kEventBytesMax, " are allowed"),
        "too_large"};
  }
  if (auto fault = Decode(bytes, event)) return fault;
  return Validate(event->view, now);
}

google::protobuf::ArenaOptions RoomForManyEvents() {
  google::protobuf::ArenaOptions options;
  options.start_block_size = 1 << 10;
  options.max_block_size = 1 << 16;
  return options;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Batch>> Batch::Read(Encoded encoded, const Id& producer,
                                                   int lanes_per_kind, absl::Time now) {
  HOLDFAST_CHECK(lanes_per_kind >= 1 && lanes_per_kind <= kLanesPerKindMax);
  auto batch = std::make_unique<Batch>();
  batch->encoded_ = std::move(encoded);
  HOLDFAST_ASSIGN_OR_RETURN(const RawBatch raw, Split(batch->encoded_.view()));
  HOLDFAST_ASSIGN_OR_RETURN(batch->first_sequence, FirstSequence(raw, producer));
  batch->producer = producer;
  batch->last_sequence = batch->first_sequence + (raw.events.size() - 1);
  batch->accepted_at = now;
  batch->items.reserve(raw.events.size());
  uint64_t sequence = batch->first_sequence;
  Decoded event;
  for (const absl::string_view bytes : raw.events) {
    if (auto fault = DecodeAndValidate(bytes, now, &event)) {
      batch->refusals.push_back(Refusal{sequence, *std::move(fault)});
    } else {
      batch->items.push_back(Item{sequence, LaneOf(event.view, lanes_per_kind), bytes});
    }
    ++sequence;
  }
  batch->Weigh();
  return batch;
}

absl::Status Batch::Add(uint64_t sequence, Lane lane, absl::string_view event_bytes) {
  Decoded event;
  if (Decode(event_bytes, &event).has_value()) {
    return absl::DataLossError(absl::StrCat("sequence ", sequence, " of producer ",
                                            FormatUuid(producer), " in lane ", LaneName(lane),
                                            " is not a holdfast.v1.Event"));
  }
  char* const copy = Arena::CreateArray<char>(&Texts(), event_bytes.size());
  std::memcpy(copy, event_bytes.data(), event_bytes.size());
  items.push_back(Item{sequence, lane, absl::string_view(copy, event_bytes.size())});
  Weigh();
  return absl::OkStatus();
}

const Trace* Batch::AddTrace(const Trace& of_event) {
  if (last_trace_ == nullptr || *last_trace_ != of_event) {
    last_trace_ = Arena::Create<Trace>(&Texts(), of_event);
    Weigh();
  }
  return last_trace_;
}

Arena& Batch::Texts() {
  if (!texts_.has_value()) texts_.emplace(RoomForManyEvents());
  return *texts_;
}

void Batch::Weigh() {
  bytes = sizeof(Batch) + encoded_.whole.capacity() +
          (texts_.has_value() ? texts_->SpaceAllocated() : 0) + items.capacity() * sizeof(Item) +
          refusals.capacity() * sizeof(Refusal);
}

}  // namespace holdfast::event
