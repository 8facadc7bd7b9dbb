#include "server/journal/format.h"

#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

#include "server/base/check.h"
#include "server/event/kind.h"
#include "server/event/wire.h"

namespace holdfast::journal {
namespace {

constexpr absl::string_view kSegmentMagic = "HLDFJRNL";
constexpr absl::string_view kFrameMagic = "HFRM";
constexpr size_t kSegmentChecksumAt = 112;
constexpr size_t kFrameChecksumAt = 80;
constexpr size_t kRecordHeaderBytes = 5;
constexpr size_t kLaneBytes = 10;
constexpr size_t kProducerBytes = 32;
constexpr size_t kBatchHeaderBytes = 44;
constexpr size_t kItemHeaderBytes = 18;
// Tag and length of the trace field on the wire: length-delimited, a byte each.
constexpr char kTraceFieldBegin[] = {kTraceFieldNumber << 3 | 2, kTraceFieldBytes - 2};

static_assert(event::kLaneCount <= 64, "the frame header has a bit for each lane");

template <typename T>
void Store(char* out, T value) {
  static_assert(std::is_unsigned_v<T>);
  if constexpr (std::endian::native == std::endian::little) {
    std::memcpy(out, &value, sizeof(T));
  } else {
    for (size_t i = 0; i < sizeof(T); ++i) {
      out[i] = static_cast<char>(static_cast<uint8_t>(value >> (8 * i)));
    }
  }
}

template <typename String, typename T>
void Append(String* out, T value) {
  char bytes[sizeof(T)];
  Store(bytes, value);
  out->append(bytes, sizeof(T));
}

template <typename String>
void Append(String* out, const event::Id& id) {
  out->append(id.view().data(), 16);
}

template <typename String>
void Append(String* out, absl::string_view bytes) {
  out->append(bytes.data(), bytes.size());
}

void AppendRecordHeader(disk::Buffer* out, RecordType type, size_t body_bytes) {
  Append(out, static_cast<uint8_t>(type));
  Append(out, static_cast<uint32_t>(body_bytes));
}

size_t LanesInUse(const LanePositions& heads) {
  return heads.size() - static_cast<size_t>(std::count(heads.begin(), heads.end(), uint64_t{0}));
}

// The fields of a frame's header up to its checksum.
std::string FrameFields(const FrameHeader& header) {
  std::string out;
  out.reserve(kFrameHeaderBytes);
  Append(&out, kFrameMagic);
  Append(&out, static_cast<uint8_t>(kFormatVersion));
  Append(&out, static_cast<uint8_t>(header.kind));
  Append(&out, uint16_t{0});
  Append(&out, header.payload_bytes);
  Append(&out, header.event_count);
  Append(&out, header.salt);
  Append(&out, header.number);
  Append(&out, header.position);
  Append(&out, header.first_offset);
  Append(&out, header.durable_offset);
  Append(&out, header.lanes);
  Append(&out, header.chain);
  Append(&out, header.payload_checksum);
  return out;
}

}  // namespace

uint64_t Checksum(absl::string_view bytes, uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

std::string EncodeSegmentHeader(SegmentHeader* header) {
  std::string copy;
  Append(&copy, kSegmentMagic);
  Append(&copy, kFormatVersion);
  Append(&copy, uint32_t{0});
  Append(&copy, header->journal_id);
  Append(&copy, header->segment_id);
  Append(&copy, header->salt);
  Append(&copy, header->file_bytes);
  Append(&copy, header->first_offset);
  Append(&copy, header->previous_id);
  Append(&copy, header->previous_end_byte);
  Append(&copy, header->previous_chain);
  Append(&copy, header->born_bytes);
  Append(&copy, header->born_offset);
  Append(&copy, header->previous_unproven_byte);
  HOLDFAST_CHECK(copy.size() == kSegmentChecksumAt);
  header->checksum = Checksum(copy, header->salt);
  Append(&copy, header->checksum);
  copy.resize(kBlockBytes);
  return copy + copy;
}

absl::StatusOr<SegmentHeader> DecodeSegmentHeader(absl::string_view block) {
  ByteCursor in(block);
  SegmentHeader header;
  const bool magic = in.Take(kSegmentMagic.size()) == kSegmentMagic;
  const uint32_t version = in.U32();
  in.U32();
  header.journal_id = in.TakeId();
  header.segment_id = in.U64();
  header.salt = in.U64();
  header.file_bytes = in.U64();
  header.first_offset = in.U64();
  header.previous_id = in.U64();
  header.previous_end_byte = in.U64();
  header.previous_chain = in.U64();
  header.born_bytes = in.U64();
  header.born_offset = in.U64();
  header.previous_unproven_byte = in.U64();
  header.checksum = in.U64();
  if (!in.ok() || !magic ||
      header.checksum != Checksum(block.substr(0, kSegmentChecksumAt), header.salt)) {
    return absl::DataLossError("the header is damaged");
  }
  if (version != kFormatVersion) {
    return absl::FailedPreconditionError(absl::StrCat("written in version ", version,
                                                      " of the format; this program reads version ",
                                                      kFormatVersion));
  }
  if (std::max({header.segment_id, header.first_offset, header.previous_id, header.born_offset}) >
          kNumberMax ||
      header.first_offset == 0 || header.file_bytes > 2 * kSegmentBytesMax) {
    return absl::DataLossError("the header says what cannot be");
  }
  return header;
}

absl::StatusOr<FrameHeader> DecodeFrameHeader(absl::string_view bytes, uint64_t position) {
  ByteCursor in(bytes);
  if (in.Take(kFrameMagic.size()) != kFrameMagic) return absl::DataLossError("no frame is here");
  FrameHeader header;
  const uint8_t version = in.U8();
  header.kind = static_cast<FrameKind>(in.U8());
  in.U16();
  header.payload_bytes = in.U32();
  header.event_count = in.U32();
  header.salt = in.U64();
  header.number = in.U64();
  header.position = in.U64();
  header.first_offset = in.U64();
  header.durable_offset = in.U64();
  header.lanes = in.U64();
  header.chain = in.U64();
  header.payload_checksum = in.U64();
  header.checksum = in.U64();
  if (!in.ok() || header.checksum != Checksum(bytes.substr(0, kFrameChecksumAt), header.salt)) {
    return absl::DataLossError("the header of a frame is damaged");
  }
  if (header.position != position) {
    return absl::DataLossError(absl::StrCat("a frame made for byte ", header.position, " is here"));
  }
  const bool known = header.kind == FrameKind::kState || header.kind == FrameKind::kGroup ||
                     header.kind == FrameKind::kMarker;
  if (version != kFormatVersion || !known || header.payload_bytes > kFramePayloadBytesMax ||
      header.first_offset == 0 || header.first_offset > kNumberMax ||
      header.durable_offset > kNumberMax) {
    return absl::DataLossError("the header of a frame says what cannot be");
  }
  return header;
}

std::string EncodeTraceField(const event::Trace& trace) {
  std::string field(kTraceFieldBegin, sizeof(kTraceFieldBegin));
  Append(&field, trace.id);
  field.append(trace.parent.begin(), trace.parent.end());
  Append(&field, trace.flags);
  HOLDFAST_CHECK(field.size() == kTraceFieldBytes);
  return field;
}

absl::string_view TraceFieldOf(absl::string_view event_bytes) {
  if (event_bytes.size() < kTraceFieldBytes) return {};
  const absl::string_view end = event_bytes.substr(event_bytes.size() - kTraceFieldBytes);
  if (end[0] != kTraceFieldBegin[0] || end[1] != kTraceFieldBegin[1]) return {};
  // It may as well be the end of a text: only the fields before it tell.
  event::WireReader reader(event_bytes);
  event::WireField field;
  bool is_field = false;
  while (reader.Next(&field)) {
    is_field = field.is_bytes && field.whole.data() == end.data() &&
               field.whole.size() == kTraceFieldBytes;
  }
  return reader.ok() && is_field ? end : absl::string_view();
}

FrameBuilder::FrameBuilder(disk::Buffer* buffer) : buffer_(*buffer), begin_(buffer->size()) {
  HOLDFAST_CHECK(begin_ % kBlockBytes == 0);
  buffer_.resize(begin_ + kFrameHeaderBytes);
}

void FrameBuilder::AddLanes(const LanePositions& heads) {
  AppendRecordHeader(&buffer_, RecordType::kLanes, LanesRecordBytes(heads) - kRecordHeaderBytes);
  Append(&buffer_, static_cast<uint16_t>(LanesInUse(heads)));
  for (size_t lane = 0; lane < heads.size(); ++lane) {
    if (heads[lane] == 0) continue;
    Append(&buffer_, static_cast<uint16_t>(lane));
    Append(&buffer_, heads[lane]);
  }
}

void FrameBuilder::AddProducers(absl::Span<const ProducerState> producers) {
  AppendRecordHeader(&buffer_, RecordType::kProducers,
                     ProducersRecordBytes(producers.size()) - kRecordHeaderBytes);
  Append(&buffer_, static_cast<uint32_t>(producers.size()));
  for (const ProducerState& producer : producers) {
    Append(&buffer_, producer.producer);
    Append(&buffer_, producer.last_sequence);
    Append(&buffer_, producer.last_offset);
  }
}

void FrameBuilder::BeginBatch(const event::Id& producer, uint64_t first_sequence,
                              uint64_t last_sequence, absl::Time accepted_at, uint32_t item_count,
                              uint64_t item_bytes) {
  AppendRecordHeader(&buffer_, RecordType::kBatch,
                     BatchRecordBytes(item_count, item_bytes) - kRecordHeaderBytes);
  Append(&buffer_, producer);
  Append(&buffer_, first_sequence);
  Append(&buffer_, last_sequence);
  Append(&buffer_, static_cast<uint64_t>(absl::ToUnixMicros(accepted_at)));
  Append(&buffer_, item_count);
}

void FrameBuilder::AddItem(uint32_t sequence_delta, event::Lane lane, uint64_t ordinal,
                           absl::string_view bytes, absl::string_view trace_field) {
  char header[kItemHeaderBytes];
  Store(header, sequence_delta);
  Store(header + 4, lane);
  Store(header + 6, ordinal);
  Store(header + 14, static_cast<uint32_t>(bytes.size() + trace_field.size()));
  buffer_.append(header, sizeof(header));
  Append(&buffer_, bytes);
  if (!trace_field.empty()) Append(&buffer_, trace_field);
}

void FrameBuilder::AddPayload(absl::string_view payload) { Append(&buffer_, payload); }

FrameHeader FrameBuilder::Finish(FrameHeader header) {
  const absl::string_view payload = absl::string_view(buffer_).substr(begin_ + kFrameHeaderBytes);
  HOLDFAST_CHECK(payload.size() <= kFramePayloadBytesMax);
  header.payload_bytes = static_cast<uint32_t>(payload.size());
  header.payload_checksum = Checksum(payload, header.salt);
  std::string fields = FrameFields(header);
  HOLDFAST_CHECK(fields.size() == kFrameChecksumAt);
  header.checksum = Checksum(fields, header.salt);
  Append(&fields, header.checksum);
  std::memcpy(&buffer_[begin_], fields.data(), fields.size());
  buffer_.resize(AlignToBlock(buffer_.size()));
  return header;
}

size_t LanesRecordBytes(const LanePositions& heads) {
  return kRecordHeaderBytes + 2 + kLaneBytes * LanesInUse(heads);
}

size_t LanesRecordBytesMax() { return kRecordHeaderBytes + 2 + kLaneBytes * event::kLaneCount; }

size_t ProducersRecordBytes(size_t producers) {
  return kRecordHeaderBytes + 4 + kProducerBytes * producers;
}

size_t BatchRecordBytes(size_t items, size_t item_bytes) {
  return kRecordHeaderBytes + kBatchHeaderBytes + kItemHeaderBytes * items + item_bytes;
}

uint64_t MarkerBytesMax() { return AlignToBlock(kFrameHeaderBytes + LanesRecordBytesMax()); }

absl::string_view ByteCursor::Take(size_t length) {
  if (length > rest_.size()) ok_ = false;
  if (!ok_) return {};
  const absl::string_view taken = rest_.substr(0, length);
  rest_.remove_prefix(length);
  return taken;
}

event::Id ByteCursor::TakeId() {
  event::Id id;
  const absl::string_view bytes = Take(id.bytes.size());
  if (ok_) std::memcpy(id.bytes.data(), bytes.data(), bytes.size());
  return id;
}

uint64_t ByteCursor::Little(size_t length) {
  const absl::string_view bytes = Take(length);
  uint64_t value = 0;
  for (size_t i = 0; i < bytes.size(); ++i) {
    value |= uint64_t{static_cast<uint8_t>(bytes[i])} << (8 * i);
  }
  return value;
}

bool RecordCursor::Next() {
  if (!well_formed_ || bytes_.empty()) return false;
  type_ = static_cast<RecordType>(bytes_.U8());
  body_ = bytes_.Take(bytes_.U32());
  well_formed_ = bytes_.ok() && (type_ == RecordType::kLanes || type_ == RecordType::kProducers ||
                                 type_ == RecordType::kBatch);
  return well_formed_;
}

bool DecodeLanes(absl::string_view body, LanePositions* heads) {
  ByteCursor in(body);
  heads->fill(0);
  for (size_t left = in.U16(); left > 0 && in.ok(); --left) {
    const uint16_t lane = in.U16();
    const uint64_t head = in.U64();
    if (lane >= heads->size() || head > kNumberMax) return false;
    (*heads)[lane] = head;
  }
  return in.ok() && in.empty();
}

bool DecodeProducers(absl::string_view body, std::vector<ProducerState>* producers) {
  ByteCursor in(body);
  producers->clear();
  const size_t count = in.U32();
  if (count * kProducerBytes != in.size()) return false;
  producers->reserve(count);
  for (size_t i = 0; i < count; ++i) {
    ProducerState state;
    state.producer = in.TakeId();
    state.last_sequence = in.U64();
    state.last_offset = in.U64();
    producers->push_back(state);
  }
  return in.ok();
}

BatchCursor::BatchCursor(absl::string_view body) : bytes_(body) {
  producer_ = bytes_.TakeId();
  first_sequence_ = bytes_.U64();
  last_sequence_ = bytes_.U64();
  accepted_at_ = absl::FromUnixMicros(static_cast<int64_t>(bytes_.U64()));
  items_left_ = bytes_.U32();
  well_formed_ = bytes_.ok();
}

bool BatchCursor::Next(Item* item) {
  if (!well_formed_) return false;
  if (items_left_ == 0) {
    well_formed_ = bytes_.empty();
    return false;
  }
  --items_left_;
  item->sequence = first_sequence_ + bytes_.U32();
  item->lane = bytes_.U16();
  item->ordinal = bytes_.U64();
  item->bytes = bytes_.Take(bytes_.U32());
  if (std::exchange(at_first_, false)) TakeTrace(&item->bytes);
  well_formed_ = bytes_.ok() && item->lane < event::kLaneCount && item->ordinal != 0 &&
                 item->ordinal <= kNumberMax;
  return well_formed_;
}

void BatchCursor::TakeTrace(absl::string_view* event_bytes) {
  trace_field_ = TraceFieldOf(*event_bytes);
  if (trace_field_.empty()) return;
  event_bytes->remove_suffix(kTraceFieldBytes);
  ByteCursor in(trace_field_.substr(sizeof(kTraceFieldBegin)));
  trace_.id = in.TakeId();
  const absl::string_view parent = in.Take(trace_.parent.size());
  std::memcpy(trace_.parent.data(), parent.data(), parent.size());
  trace_.flags = in.U8();
}

}  // namespace holdfast::journal
