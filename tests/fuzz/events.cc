// What a gateway sends, from its bytes to the rows that would be written. The first byte says what
// the rest is: a request as it came over the wire, or directions for building events field by
// field, which reaches the rules behind the parser.

#include <google/protobuf/descriptor.h>

#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "holdfast/v1/ingest.pb.h"
#include "server/base/check.h"
#include "server/event/batch.h"
#include "server/event/envelope.h"
#include "server/event/view.h"
#include "server/event/wire.h"
#include "server/journal/format.h"
#include "server/statement/batch.h"
#include "tests/fuzz/targets.h"

namespace holdfast::fuzz {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using journal::ByteCursor;

constexpr int64_t kInteresting[] = {0,
                                    1,
                                    -1,
                                    999,
                                    1'000'000'000,
                                    1'767'263'415,
                                    253'402'300'799,
                                    253'402'300'800,
                                    100'000'000'000'000,
                                    std::numeric_limits<uint32_t>::max(),
                                    std::numeric_limits<int32_t>::min(),
                                    std::numeric_limits<int64_t>::max(),
                                    std::numeric_limits<int64_t>::min()};
constexpr size_t kLengths[] = {0, 1, 16, 32, 64, 128, 255, 500, 512, 2048, 65535};

int64_t TakeInteger(ByteCursor& in) {
  const uint8_t which = in.U8();
  if (which < 128) return which;
  if (which < 192) return kInteresting[which % std::size(kInteresting)];
  return static_cast<int64_t>(in.U64());
}

// Long strings from few bytes, about the lengths that the rules know.
std::string TakeString(ByteCursor& in) {
  const uint8_t which = in.U8();
  if (which < 64) return std::string(in.Take(std::min<size_t>(which, in.size())));
  const size_t length = kLengths[which % std::size(kLengths)] + which / 128;
  return std::string(length, static_cast<char>('a' + which % 26));
}

// Sets what the input says of `message`: a byte tells for every field whether it is there.
void Build(ByteCursor& in, Message* message) {
  const Reflection& reflection = *message->GetReflection();
  for (int i = 0; i < message->GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor* const field = message->GetDescriptor()->field(i);
    if (in.U8() % 4 == 0) continue;
    switch (field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_MESSAGE:
        Build(in, reflection.MutableMessage(message, field));
        break;
      case FieldDescriptor::CPPTYPE_STRING:
        reflection.SetString(message, field, TakeString(in));
        break;
      case FieldDescriptor::CPPTYPE_INT64:
        reflection.SetInt64(message, field, TakeInteger(in));
        break;
      case FieldDescriptor::CPPTYPE_INT32:
        reflection.SetInt32(message, field, static_cast<int32_t>(TakeInteger(in)));
        break;
      case FieldDescriptor::CPPTYPE_UINT64:
        reflection.SetUInt64(message, field, static_cast<uint64_t>(TakeInteger(in)));
        break;
      case FieldDescriptor::CPPTYPE_UINT32:
        reflection.SetUInt32(message, field, static_cast<uint32_t>(TakeInteger(in)));
        break;
      case FieldDescriptor::CPPTYPE_BOOL:
        reflection.SetBool(message, field, TakeInteger(in) != 0);
        break;
      case FieldDescriptor::CPPTYPE_ENUM:
        reflection.SetEnumValue(message, field, static_cast<int>(TakeInteger(in)));
        break;
      case FieldDescriptor::CPPTYPE_DOUBLE:
      case FieldDescriptor::CPPTYPE_FLOAT:
        HOLDFAST_CHECK(false && "the contract has no floating point");
        break;
    }
  }
}

std::string BuildBatch(ByteCursor& in) {
  v1::EventBatch batch;
  batch.set_first_sequence(in.U8() % 8 == 0 ? in.U64() : 1);
  for (int events = 0; events < 16 && !in.empty(); ++events) {
    v1::Event* const event = batch.add_events();
    // Members of a oneof drive each other out, so the last one built would win always.
    switch (in.U8() % 4) {
      case 0:
        Build(in, event);
        continue;
      case 1:
        Build(in, event->mutable_usage());
        break;
      case 2:
        Build(in, event->mutable_rate_limit());
        break;
      default:
        Build(in, event->mutable_message());
        break;
    }
    event->mutable_occurred_at()->set_seconds(TakeInteger(in));
    event->mutable_occurred_at()->set_nanos(static_cast<int32_t>(TakeInteger(in)));
  }
  return batch.SerializeAsString();
}

// The rows and counters of what was accepted can be made.
void MakeRows(const event::Batch& batch) {
  for (const event::Kind kind : event::kKinds) {
    std::vector<event::Accepted> events;
    for (const event::Item& item : batch.items) {
      if (event::KindOfLane(item.lane) != kind) continue;
      event::Accepted accepted;
      accepted.offset = accepted.ordinal = events.size() + 1;
      accepted.producer = batch.producer;
      accepted.sequence = item.sequence;
      accepted.accepted_at = batch.accepted_at;
      accepted.bytes = item.bytes;
      events.push_back(std::move(accepted));
    }
    if (events.empty()) continue;
    const std::unique_ptr<statement::Batch> rows = statement::Batch::Make(
        kind, events, {.tag = 1, .stats_utc_offset = absl::Hours(8), .hash_api_keys = true});
    HOLDFAST_CHECK(rows->raw().rows.size() <= events.size());
    rows->Counters();
    const statement::Tally tally = rows->Count();
    HOLDFAST_CHECK(tally.fresh + tally.duplicate + tally.conflict + tally.rejected ==
                   events.size());
  }
}

// What is read in place is what the generated parser reads, field by field; and whatever that one
// writes can be read in place.
void CompareView(absl::string_view bytes) {
  event::EventView view;
  const bool in_place = event::ReadView(bytes, &view);
  v1::Event parsed;
  const bool parses = parsed.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
  if (in_place) HOLDFAST_CHECK(parses && view == event::EventView(parsed));
  if (!parses) return;
  parsed.DiscardUnknownFields();
  const std::string usual = parsed.SerializeAsString();
  HOLDFAST_CHECK(event::ReadView(usual, &view) && view == event::EventView(parsed));
}

void CompareViews(absl::string_view batch) {
  event::WireReader reader(batch);
  event::WireField field;
  while (reader.Next(&field)) {
    if (field.number == v1::EventBatch::kEventsFieldNumber && field.is_bytes) {
      CompareView(field.bytes);
    }
  }
}

// Every event is taken or refused, in its order, and none disturbs another.
void TakeApart(const std::string& encoded, const event::Id& producer) {
  CompareViews(encoded);
  const absl::Time now = absl::FromUnixSeconds(1'767'263'500);
  const absl::StatusOr<std::unique_ptr<event::Batch>> batch =
      event::Batch::Read(encoded, producer, 3, now);
  v1::EventBatch parsed;
  const bool parses = parsed.ParseFromString(encoded);
  if (!batch.ok()) {
    HOLDFAST_CHECK(absl::IsInvalidArgument(batch.status()));
    return;
  }
  const uint64_t count = (*batch)->items.size() + (*batch)->refusals.size();
  HOLDFAST_CHECK((*batch)->last_sequence - (*batch)->first_sequence + 1 == count);
  HOLDFAST_CHECK(!parses || count == static_cast<uint64_t>(parsed.events_size()));
  uint64_t last = (*batch)->first_sequence - 1;
  for (const event::Item& item : (*batch)->items) {
    HOLDFAST_CHECK(item.sequence > last && item.sequence <= (*batch)->last_sequence);
    last = item.sequence;
    HOLDFAST_CHECK(item.lane < event::kLaneCount);
    v1::Event again;
    HOLDFAST_CHECK(again.ParseFromArray(item.bytes.data(), static_cast<int>(item.bytes.size())));
    HOLDFAST_CHECK(event::KindOfLane(item.lane) == event::KindOf(again));
    HOLDFAST_CHECK(!event::Validate(again, now).has_value());
  }
  for (const event::Refusal& refusal : (*batch)->refusals) {
    HOLDFAST_CHECK(!refusal.fault.reason.empty() && !refusal.fault.label.empty());
  }
  // What the journal gives back is what was put in.
  event::Batch back;
  for (const event::Item& item : (*batch)->items) {
    HOLDFAST_CHECK(back.Add(item.sequence, item.lane, item.bytes).ok());
  }
  MakeRows(**batch);
}

// The envelope is read as the generated parser reads it, but for what is inside the batch.
void ReadStream(absl::string_view bytes, const event::Id& producer) {
  const absl::StatusOr<event::StreamEnvelope> envelope =
      event::ReadStreamRequest(std::string(bytes));
  v1::StreamRequest parsed;
  const bool parses = parsed.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
  HOLDFAST_CHECK(envelope.ok() || absl::IsInvalidArgument(envelope.status()));
  if (parses) {
    HOLDFAST_CHECK(envelope.ok() == (parsed.request_case() != v1::StreamRequest::REQUEST_NOT_SET));
    if (envelope.ok()) HOLDFAST_CHECK(envelope->hello.has_value() == parsed.has_hello());
    if (parsed.has_hello()) {
      HOLDFAST_CHECK(envelope->hello->SerializeAsString() == parsed.hello().SerializeAsString());
    }
  }
  if (envelope.ok() && !envelope->hello.has_value())
    TakeApart(std::string(envelope->batch.view()), producer);
}

void ReadWrite(absl::string_view bytes, const event::Id& producer) {
  const absl::StatusOr<event::WriteEnvelope> envelope = event::ReadWriteRequest(std::string(bytes));
  v1::WriteRequest parsed;
  const bool parses = parsed.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
  HOLDFAST_CHECK(envelope.ok() || absl::IsInvalidArgument(envelope.status()));
  if (parses) {
    HOLDFAST_CHECK(envelope.ok() ==
                   (parsed.has_batch() && v1::AckLevel_IsValid(parsed.wait_for())));
    if (envelope.ok()) {
      HOLDFAST_CHECK(envelope->producer_id == parsed.producer_id());
      HOLDFAST_CHECK(envelope->wait_for == parsed.wait_for());
    }
  }
  if (envelope.ok()) TakeApart(std::string(envelope->batch.view()), producer);
}

}  // namespace

void Events(absl::string_view input) {
  ByteCursor in(input);
  const uint8_t mode = in.U8();
  event::Id producer;
  producer.bytes[15] = mode >> 7;
  const absl::string_view rest = in.Take(in.size());
  switch (mode % 4) {
    case 0:
      return ReadStream(rest, producer);
    case 1:
      return ReadWrite(rest, producer);
    case 2:
      return TakeApart(std::string(rest), producer);
    default: {
      ByteCursor directions(rest);
      return TakeApart(BuildBatch(directions), producer);
    }
  }
}

}  // namespace holdfast::fuzz
