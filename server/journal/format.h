// The bytes of FORMAT.md: encoding, decoding, checksums. No I/O, no state. Everything that decodes
// takes any bytes: it checks every length before it uses it and allocates nothing on their word.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"

#include "server/disk/buffer.h"
#include "server/event/event_id.h"
#include "server/event/trace.h"
#include "server/journal/journal.h"

namespace holdfast::journal {

inline constexpr uint32_t kFormatVersion = 1;

// Frames begin on these, so that a torn write never touches what was synced before it.
inline constexpr uint64_t kBlockBytes = 4096;
// Two copies of the header, a block each; then frames.
inline constexpr uint64_t kFramesBegin = 2 * kBlockBytes;
inline constexpr size_t kFrameHeaderBytes = 88;
inline constexpr uint64_t kFramePayloadBytesMax = uint64_t{16} << 20;
inline constexpr uint64_t kSegmentBytesMax = uint64_t{1} << 30;
// No offset, ordinal or segment number of ours comes near; what claims to be above is damage.
// Leaves room for arithmetic without overflow.
inline constexpr uint64_t kNumberMax = uint64_t{1} << 60;

constexpr uint64_t AlignToBlock(uint64_t bytes) {
  return (bytes + kBlockBytes - 1) / kBlockBytes * kBlockBytes;
}

// XXH3, 64 bits. Seeded by the segment's salt, so that what another segment wrote never passes.
uint64_t Checksum(absl::string_view bytes, uint64_t seed);

struct SegmentHeader {
  event::Id journal_id;
  uint64_t segment_id = 0;
  uint64_t salt = 0;
  uint64_t file_bytes = 0;
  uint64_t first_offset = 0;       // The lowest that a frame of this segment may hold.
  uint64_t previous_id = 0;        // 0: there was none.
  uint64_t previous_end_byte = 0;  // Where its last frame ends; what is behind that does not count.
  uint64_t previous_chain = 0;     // Checksum of the header of its last frame.
  uint64_t born_bytes = 0;         // What was synced before the file got its name.
  uint64_t born_offset = 0;        // The last offset that was durable then.
  // From this byte on nothing proved what stands in the previous segment durable, so it was copied
  // into this one before anything else; 0: all was proven. Not to find it there again is no loss.
  uint64_t previous_unproven_byte = 0;
  uint64_t checksum = 0;  // Set by encoding and decoding.
};

// Both copies: kFramesBegin bytes. Sets header->checksum.
std::string EncodeSegmentHeader(SegmentHeader* header);

// Reads one copy. DATA_LOSS if it is damaged; FAILED_PRECONDITION if it is whole, and of a newer
// version.
absl::StatusOr<SegmentHeader> DecodeSegmentHeader(absl::string_view block);

enum class FrameKind : uint8_t {
  kState = 1,   // Lane heads and producers: first in every segment.
  kGroup = 2,   // One group commit.
  kMarker = 3,  // No events; proves that what stands before it was durable.
};

struct FrameHeader {
  FrameKind kind = FrameKind::kGroup;
  uint32_t payload_bytes = 0;
  uint32_t event_count = 0;
  uint64_t salt = 0;
  uint64_t number = 0;          // In its segment, from 0.
  uint64_t position = 0;        // Its own first byte in the file.
  uint64_t first_offset = 0;    // Of its first event; without events, the next offset to be given.
  uint64_t durable_offset = 0;  // The last that was known durable when this was written.
  uint64_t lanes = 0;           // Bit n: holds events of lane n.
  uint64_t chain = 0;           // Checksum of the header before it: a frame's, or the segment's.
  uint64_t payload_checksum = 0;
  uint64_t checksum = 0;  // Of this header. Set by encoding and decoding.

  uint64_t end_offset() const { return first_offset + event_count; }
  uint64_t bytes_on_disk() const { return AlignToBlock(kFrameHeaderBytes + payload_bytes); }
};

// Reads the header that stands at byte `position` of its file. DATA_LOSS if there is no whole
// header of a frame made for this place. Its salt is for the caller to compare.
absl::StatusOr<FrameHeader> DecodeFrameHeader(absl::string_view bytes, uint64_t position);

// A field of a v1::Event that no event has, and that a journal puts behind the bytes of the first
// event of a batch: the trace of the call that brought it. Whoever does not know it takes it for a
// field of a later contract and passes over it.
inline constexpr int kTraceFieldNumber = 15;
inline constexpr size_t kTraceFieldBytes = 2 + 16 + 8 + 1;

// The field for `trace`, set or not.
std::string EncodeTraceField(const event::Trace& trace);
// The field that `event_bytes` end in; empty if they do not.
absl::string_view TraceFieldOf(absl::string_view event_bytes);

// Builds one frame at the end of a buffer of whole blocks: the records in order, then Finish.
class FrameBuilder {
 public:
  // `buffer` must outlive the builder.
  explicit FrameBuilder(disk::Buffer* buffer);

  void AddLanes(const LanePositions& heads);
  void AddProducers(absl::Span<const ProducerState> producers);
  // REQUIRES: exactly `item_count` calls of AddItem with `item_bytes` bytes in all follow.
  void BeginBatch(const event::Id& producer, uint64_t first_sequence, uint64_t last_sequence,
                  absl::Time accepted_at, uint32_t item_count, uint64_t item_bytes);
  // `trace_field`: may be given with the first item of a batch, and must be if `bytes` end in one.
  void AddItem(uint32_t sequence_delta, event::Lane lane, uint64_t ordinal, absl::string_view bytes,
               absl::string_view trace_field = {});
  // The records of another frame as they are.
  void AddPayload(absl::string_view payload);

  // Fills in lengths and checksums and pads to whole blocks. Returns the header as written.
  FrameHeader Finish(FrameHeader header);

 private:
  disk::Buffer& buffer_;
  const size_t begin_;
};

// Sizes in a payload, for planning.
size_t LanesRecordBytes(const LanePositions& heads);
size_t LanesRecordBytesMax();
size_t ProducersRecordBytes(size_t producers);
size_t BatchRecordBytes(size_t items, size_t item_bytes);
// On disk.
uint64_t MarkerBytesMax();

// Takes integers and byte strings off the front of `bytes`. After the first that is missing, `ok`
// is false and everything else is 0 or empty.
class ByteCursor {
 public:
  explicit ByteCursor(absl::string_view bytes = {}) : rest_(bytes) {}
  uint8_t U8() { return static_cast<uint8_t>(Little(1)); }
  uint16_t U16() { return static_cast<uint16_t>(Little(2)); }
  uint32_t U32() { return static_cast<uint32_t>(Little(4)); }
  uint64_t U64() { return Little(8); }
  absl::string_view Take(size_t length);
  event::Id TakeId();
  bool ok() const { return ok_; }
  bool empty() const { return rest_.empty(); }
  size_t size() const { return rest_.size(); }

 private:
  uint64_t Little(size_t length);

  absl::string_view rest_;
  bool ok_ = true;
};

enum class RecordType : uint8_t { kLanes = 1, kProducers = 2, kBatch = 3 };

// Walks the records of a payload.
class RecordCursor {
 public:
  explicit RecordCursor(absl::string_view payload = {}) : bytes_(payload) {}
  // False at the end, or where the payload is not well-formed.
  bool Next();
  RecordType type() const { return type_; }
  absl::string_view body() const { return body_; }
  bool well_formed() const { return well_formed_; }

 private:
  ByteCursor bytes_;
  RecordType type_ = RecordType::kLanes;
  absl::string_view body_;
  bool well_formed_ = true;
};

// The bodies. False if they are not well-formed.
bool DecodeLanes(absl::string_view body, LanePositions* heads);
bool DecodeProducers(absl::string_view body, std::vector<ProducerState>* producers);

// Walks the items of a batch.
class BatchCursor {
 public:
  struct Item {
    uint64_t sequence = 0;
    event::Lane lane = 0;
    uint64_t ordinal = 0;
    absl::string_view bytes;  // Without the trace field.
  };

  explicit BatchCursor(absl::string_view body = {});
  // False at the end, or where the record is not well-formed.
  bool Next(Item* item);

  const event::Id& producer() const { return producer_; }
  uint64_t first_sequence() const { return first_sequence_; }
  uint64_t last_sequence() const { return last_sequence_; }
  absl::Time accepted_at() const { return accepted_at_; }
  // Of the call that brought the batch, and the field that says so: known after the first Next.
  const event::Trace& trace() const { return trace_; }
  absl::string_view trace_field() const { return trace_field_; }
  uint32_t items_left() const { return items_left_; }
  bool well_formed() const { return well_formed_; }

 private:
  void TakeTrace(absl::string_view* event_bytes);

  ByteCursor bytes_;
  event::Id producer_;
  uint64_t first_sequence_ = 0;
  uint64_t last_sequence_ = 0;
  absl::Time accepted_at_;
  event::Trace trace_;
  absl::string_view trace_field_;
  uint32_t items_left_ = 0;
  bool at_first_ = true;
  bool well_formed_ = true;
};

}  // namespace holdfast::journal
