// Decoding of everything that stands in a segment. The first byte of the input says what the rest
// is; its high bit, whether checksums are put right first: without that nothing random is ever
// whole.

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "server/base/check.h"
#include "server/journal/format.h"
#include "server/journal/scanner.h"
#include "tests/fuzz/folder.h"
#include "tests/fuzz/targets.h"
#include "tests/support/forgetful_disk.h"

namespace holdfast::fuzz {
namespace {

using namespace holdfast::journal;

constexpr size_t kReservedInSegmentHeader = 12;
constexpr size_t kReservedInFrameHeader = 6;

// What decodes, encodes to what it was made from.
void SegmentHeaderGoesBothWays(std::string block, bool repair) {
  block.resize(kBlockBytes);
  if (repair) RepairSegmentHeader(&block, 0);
  const absl::StatusOr<SegmentHeader> header = DecodeSegmentHeader(block);
  if (!header.ok()) return;
  SegmentHeader again = *header;
  const std::string copies = EncodeSegmentHeader(&again);
  HOLDFAST_CHECK(copies.size() == kFramesBegin);
  HOLDFAST_CHECK(copies.substr(0, kBlockBytes) == copies.substr(kBlockBytes));
  if (block.substr(kReservedInSegmentHeader, 4) != std::string(4, '\0')) return;
  HOLDFAST_CHECK(copies.substr(0, kSegmentHeaderBytes) == block.substr(0, kSegmentHeaderBytes));
  HOLDFAST_CHECK(again.checksum == header->checksum);
}

void FrameHeaderGoesBothWays(std::string frame, bool repair) {
  if (repair) RepairFrame(&frame, 0);
  ByteCursor fields(absl::string_view(frame).substr(std::min<size_t>(32, frame.size())));
  const uint64_t position = fields.U64();
  const absl::StatusOr<FrameHeader> header = DecodeFrameHeader(frame, position);
  HOLDFAST_CHECK(!DecodeFrameHeader(frame, position + kBlockBytes).ok());
  if (!header.ok()) return;
  HOLDFAST_CHECK(header->end_offset() >= header->first_offset);
  HOLDFAST_CHECK(header->bytes_on_disk() >= kBlockBytes);
  if (frame.size() != kFrameHeaderBytes + header->payload_bytes) return;
  if (frame.substr(kReservedInFrameHeader, 2) != std::string(2, '\0')) return;
  if (Checksum(absl::string_view(frame).substr(kFrameHeaderBytes), header->salt) !=
      header->payload_checksum) {
    return;
  }
  disk::Buffer built;
  FrameBuilder builder(&built);
  builder.AddPayload(absl::string_view(frame).substr(kFrameHeaderBytes));
  const FrameHeader again = builder.Finish(*header);
  HOLDFAST_CHECK(again.checksum == header->checksum);
  HOLDFAST_CHECK(absl::string_view(built).substr(0, frame.size()) == frame);
}

// Puts what a payload says into another one.
class PayloadWriter {
 public:
  void Copy(RecordCursor& records) {
    while (records.Next()) {
      if (records.type() == RecordType::kLanes) {
        LanePositions heads;
        well_formed_ &= DecodeLanes(records.body(), &heads);
        if (well_formed_) frame_.AddLanes(heads);
      } else if (records.type() == RecordType::kProducers) {
        std::vector<ProducerState> producers;
        well_formed_ &= DecodeProducers(records.body(), &producers);
        HOLDFAST_CHECK(producers.size() * 32 <= records.body().size());
        if (well_formed_) frame_.AddProducers(producers);
      } else {
        CopyBatch(records.body());
      }
    }
    well_formed_ &= records.well_formed();
  }

  bool well_formed() const { return well_formed_; }
  std::string Take() {
    frame_.Finish(FrameHeader{});
    return std::string(bytes_);
  }

 private:
  void CopyBatch(absl::string_view body) {
    std::vector<BatchCursor::Item> items;
    BatchCursor batch(body);
    BatchCursor::Item item;
    size_t item_bytes = 0;
    while (batch.Next(&item)) {
      HOLDFAST_CHECK(item.bytes.data() >= body.data() &&
                     item.bytes.data() + item.bytes.size() <= body.data() + body.size());
      item_bytes += item.bytes.size();
      items.push_back(item);
    }
    well_formed_ &= batch.well_formed();
    if (!well_formed_) return;
    item_bytes += batch.trace_field().size();
    frame_.BeginBatch(batch.producer(), batch.first_sequence(), batch.last_sequence(),
                      batch.accepted_at(), static_cast<uint32_t>(items.size()), item_bytes);
    absl::string_view trace_field = batch.trace_field();
    for (const BatchCursor::Item& one : items) {
      frame_.AddItem(static_cast<uint32_t>(one.sequence - batch.first_sequence()), one.lane,
                     one.ordinal, one.bytes, std::exchange(trace_field, absl::string_view()));
    }
  }

  disk::Buffer bytes_;
  FrameBuilder frame_{&bytes_};
  bool well_formed_ = true;
};

// What is read from a payload, written and read again, is the same.
void PayloadGoesBothWays(absl::string_view payload) {
  if (payload.size() > kFramePayloadBytesMax / 2) return;
  PayloadWriter first;
  RecordCursor records(payload);
  first.Copy(records);
  if (!first.well_formed()) return;
  const std::string once = first.Take();
  const absl::StatusOr<FrameHeader> header = DecodeFrameHeader(once, 0);
  // Its first offset is 0, which is not a frame that a segment may hold.
  HOLDFAST_CHECK(!header.ok());
  ByteCursor length(absl::string_view(once).substr(8));
  const uint32_t payload_bytes = length.U32();
  PayloadWriter second;
  RecordCursor again(absl::string_view(once).substr(kFrameHeaderBytes, payload_bytes));
  second.Copy(again);
  HOLDFAST_CHECK(second.well_formed());
  HOLDFAST_CHECK(second.Take() == once);
}

// A whole file: what is found lies within it, follows one another and comes to an end.
void ScanComesToAnEnd(absl::string_view input, bool repair) {
  ByteCursor in(input);
  const uint64_t salt = in.U64();
  const uint64_t lanes = in.U8() % 2 == 0 ? kAllLanes : uint64_t{1} << (in.U8() % 48);
  std::string file = Inflate(in.Take(in.size()));
  if (repair) {
    for (uint64_t at = kFramesBegin; at < file.size(); at += kBlockBytes) RepairFrame(&file, at);
  }
  test::ForgetfulDisk disk;
  disk.Put("segment", file);
  const std::unique_ptr<disk::File> opened = *disk.Open("segment");
  FrameScanner scanner(*opened, salt, FrameScanner::ReadErrors::kAreDamage);
  uint64_t end = kFramesBegin;
  bool damaged = false;
  for (size_t found_count = 0; found_count <= 2 * file.size() / kBlockBytes + 2; ++found_count) {
    const absl::StatusOr<FrameScanner::Found> found = scanner.Next(file.size(), lanes);
    HOLDFAST_CHECK(found.ok());
    if (*found == FrameScanner::Found::kEnd) {
      HOLDFAST_CHECK(end == std::max<uint64_t>(kFramesBegin, file.size()));
      return;
    }
    if (*found == FrameScanner::Found::kFrame) {
      HOLDFAST_CHECK(scanner.header().position == end && scanner.header().salt == salt);
      HOLDFAST_CHECK(scanner.payload().empty() ||
                     scanner.payload().size() == scanner.header().payload_bytes);
    } else {
      HOLDFAST_CHECK(!damaged && scanner.damage().bytes.begin == end);
      HOLDFAST_CHECK(scanner.damage().written_end <= scanner.damage().bytes.end);
      HOLDFAST_CHECK(!scanner.damage().reason.empty());
    }
    damaged = *found == FrameScanner::Found::kDamage;
    HOLDFAST_CHECK(scanner.position() > end && scanner.position() <= file.size());
    end = scanner.position();
  }
  HOLDFAST_CHECK(false && "the scan does not end");
}

}  // namespace

void Frames(absl::string_view input) {
  if (input.empty()) return;
  const auto mode = static_cast<uint8_t>(input[0]);
  const bool repair = (mode & 0x80) != 0;
  input.remove_prefix(1);
  switch (mode % 4) {
    case 0:
      return SegmentHeaderGoesBothWays(std::string(input), repair);
    case 1:
      return FrameHeaderGoesBothWays(std::string(input), repair);
    case 2:
      return PayloadGoesBothWays(input);
    default:
      return ScanComesToAnEnd(input, repair);
  }
}

}  // namespace holdfast::fuzz
