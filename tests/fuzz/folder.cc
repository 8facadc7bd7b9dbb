#include "tests/fuzz/folder.h"

#include <algorithm>
#include <cstring>
#include <iterator>

#include "absl/strings/str_cat.h"

#include "server/journal/segment.h"

namespace holdfast::fuzz {
namespace {

using namespace holdfast::journal;

constexpr size_t kStepsMax = 48;
constexpr size_t kSegmentsMax = 6;
constexpr size_t kBlocksMax = 64;
constexpr event::Lane kLanes[] = {0, 16, 17, 47};

// Names that no journal of ours gave, or that stand at the ends of what it could give.
constexpr absl::string_view kStrangeNames[] = {
    "0000000000000000.jnl",     "0000000000000001.tmp", "0000000000000002.jnl",
    "0000000000000003.corrupt", "00000000000000ff.jnl", "0fffffffffffffff.jnl",
    "1000000000000000.jnl",     "1000000000000001.jnl", "ffffffffffffffff.jnl",
    "000000000000000A.jnl",     "0000000000000004.jn",  "writer_id",
};

uint64_t Read64(absl::string_view bytes) { return ByteCursor(bytes).U64(); }

void Put64(std::string* bytes, size_t at, uint64_t value) {
  for (size_t i = 0; i < 8; ++i) (*bytes)[at + i] = static_cast<char>((value >> (8 * i)) & 0xff);
}

}  // namespace

void RepairSegmentHeader(std::string* file, size_t at) {
  if (file->size() < at + kSegmentHeaderBytes) return;
  const absl::string_view bytes = absl::string_view(*file).substr(at);
  Put64(file, at + 112, Checksum(bytes.substr(0, 112), Read64(bytes.substr(40))));
}

void RepairFrame(std::string* file, size_t at) {
  if (file->size() < at + kFrameHeaderBytes) return;
  const absl::string_view bytes = absl::string_view(*file).substr(at);
  const uint64_t salt = Read64(bytes.substr(16));
  const uint32_t payload_bytes = ByteCursor(bytes.substr(8)).U32();
  Put64(file, at + 72, Checksum(bytes.substr(kFrameHeaderBytes, payload_bytes), salt));
  Put64(file, at + 80, Checksum(bytes.substr(0, 80), salt));
}

std::string Inflate(absl::string_view packed) {
  ByteCursor in(packed);
  std::string blocks;
  while (!in.empty() && blocks.size() < kBlocksMax * kBlockBytes) {
    const uint16_t length = in.U16();
    const absl::string_view taken = in.Take(std::min<size_t>(length, in.size()));
    blocks.append(taken.data(), taken.size());
    blocks.resize(AlignToBlock(blocks.size() + (taken.empty() ? 1 : 0)));
  }
  return blocks;
}

Folder::Folder(absl::string_view input) : in_(input) {
  journal_id_.bytes[0] = 1;
  for (size_t step = 0; step < kStepsMax && !in_.empty(); ++step) {
    const uint8_t what = in_.U8();
    if (what % 16 < 4) {
      AddSegment();
    } else if (what % 16 == 4) {
      AddStrangeFile();
    } else {
      Damage(what % 16);
    }
  }
  for (const auto& [name, bytes] : files_) disk_.Put(name, bytes);
  for (const auto& [name, ranges] : unreadable_) {
    if (!files_.contains(name)) continue;
    for (const auto& [begin, end] : ranges) disk_.MakeUnreadable(name, begin, end);
  }
}

void Folder::AddSegment() {
  if (frames_.size() > kSegmentsMax * 6 || next_id_ > kSegmentsMax) return;
  const uint8_t shape = in_.U8();
  const std::string name = SegmentName(next_id_);
  SegmentHeader header;
  header.journal_id = journal_id_;
  header.segment_id = next_id_;
  header.salt = 0x1234567 * next_id_;
  header.first_offset = end_offset_;
  header.previous_id = previous_id_;
  header.previous_end_byte = previous_end_byte_;
  header.previous_chain = chain_;
  header.born_offset = end_offset_ - 1;
  header.born_bytes = kFramesBegin + AlignToBlock(kFrameHeaderBytes + LanesRecordBytes(heads_) +
                                                  ProducersRecordBytes(1));
  const size_t frames = shape % 5;
  // Its size is part of the header, so the frames' are counted generously.
  header.file_bytes = header.born_bytes + (frames * 2 + shape % 3) * kBlockBytes;
  std::string file = EncodeSegmentHeader(&header);
  headers_.push_back({name, 0, kFramesBegin, header.born_offset, {}});
  chain_ = header.checksum;
  next_number_ = 0;
  AddFrame(&file, name, header.salt);  // The state.
  for (size_t i = 0; i < frames; ++i) AddFrame(&file, name, header.salt);
  previous_id_ = next_id_;
  previous_end_byte_ = file.size();
  file.resize(std::max<size_t>(file.size(), header.file_bytes));
  if ((shape & 0x80) != 0) {
    Forge(&file, 0, false);
    std::copy_n(file.begin(), kBlockBytes, file.begin() + kBlockBytes);
  }
  originals_[name] = file;
  files_[name] = std::move(file);
  ++next_id_;
}

void Folder::AddFrame(std::string* file, const std::string& name, uint64_t salt) {
  const bool is_state = next_number_ == 0;
  const uint8_t shape = in_.U8();
  FrameHeader header;
  header.kind = is_state         ? FrameKind::kState
                : shape % 4 == 3 ? FrameKind::kMarker
                                 : FrameKind::kGroup;
  header.salt = salt;
  header.number = next_number_++;
  header.position = file->size();
  header.first_offset = end_offset_;
  header.durable_offset = end_offset_ - 1;
  header.chain = chain_;
  Frame frame{name, file->size(), 0, end_offset_ - 1, {}};
  disk::Buffer built;
  FrameBuilder builder(&built);
  builder.AddLanes(heads_);
  if (is_state) {
    event::Id producer;
    producer.bytes[15] = 1;
    builder.AddProducers({{producer, last_sequence_, end_offset_ - 1}});
  } else if (header.kind == FrameKind::kGroup) {
    AddGroupTo(&builder, &frame, &header);
  }
  chain_ = builder.Finish(header).checksum;
  file->append(built);
  frame.end = file->size();
  if ((shape & 0x80) != 0) {
    Forge(file, frame.begin, true);
    chain_ = Read64(absl::string_view(*file).substr(frame.begin + 80));
  }
  frames_.push_back(std::move(frame));
}

void Folder::AddGroupTo(FrameBuilder* builder, Frame* frame, FrameHeader* header) {
  const size_t count = 1 + in_.U8() % 5;
  size_t bytes = 0;
  for (size_t i = 0; i < count; ++i) {
    const uint8_t which = in_.U8();
    Event event;
    event.offset = end_offset_++;
    event.lane = kLanes[which % 4];
    event.ordinal = ++heads_[event.lane];
    event.bytes = std::string(size_t{which} * 4, static_cast<char>('a' + event.offset % 26));
    absl::StrAppend(&event.bytes, event.offset);
    bytes += event.bytes.size();
    header->lanes |= uint64_t{1} << event.lane;
    frame->events.push_back(std::move(event));
  }
  header->event_count = static_cast<uint32_t>(count);
  event::Id producer;
  producer.bytes[15] = 1;
  builder->BeginBatch(producer, last_sequence_ + 1, last_sequence_ + count,
                      absl::FromUnixSeconds(1700000000), static_cast<uint32_t>(count), bytes);
  for (size_t i = 0; i < count; ++i) {
    const Event& event = frame->events[i];
    builder->AddItem(static_cast<uint32_t>(i), event.lane, event.ordinal, event.bytes);
  }
  last_sequence_ += count;
}

void Folder::Forge(std::string* file, size_t begin, bool is_frame) {
  honest_ = false;
  const size_t span = is_frame ? file->size() - begin : kSegmentHeaderBytes;
  for (size_t changes = 1 + in_.U8() % 3; changes > 0; --changes) {
    const size_t at = is_frame && in_.U8() % 2 == 0 ? in_.U16() % span : in_.U8() % 88;
    const absl::string_view bytes = in_.Take(std::min<size_t>(8, in_.size()));
    for (size_t i = 0; i < bytes.size() && at + i < span; ++i) (*file)[begin + at + i] = bytes[i];
  }
  is_frame ? RepairFrame(file, begin) : RepairSegmentHeader(file, begin);
}

void Folder::AddStrangeFile() {
  honest_ = false;
  const std::string name(kStrangeNames[in_.U8() % std::size(kStrangeNames)]);
  if (files_.contains(name)) return;
  const uint16_t length = in_.U16();
  files_[name] = Inflate(in_.Take(std::min<size_t>(length, in_.size())));
}

std::string Folder::PickFile() {
  if (files_.empty()) return "";
  return std::next(files_.begin(), static_cast<int64_t>(in_.U8() % files_.size()))->first;
}

uint64_t Folder::PickByte(const std::string& file) {
  const uint64_t block = in_.U8();
  return (block * kBlockBytes + in_.U16() % kBlockBytes) % std::max<size_t>(file.size(), 1);
}

void Folder::Damage(uint8_t how) {
  const std::string name = PickFile();
  if (name.empty()) return;
  std::string& file = files_[name];
  const uint64_t at = PickByte(file);
  const uint64_t block = at / kBlockBytes * kBlockBytes;
  switch (how) {
    case 5:
    case 6: {
      if (at < file.size()) file[at] = static_cast<char>(file[at] ^ (1 << (in_.U8() % 8)));
      return;
    }
    case 7:
    case 8: {  // Zeros, from a sector on.
      const uint64_t begin = at / 512 * 512;
      const uint64_t end = std::min<uint64_t>(file.size(), begin + 512 * (1 + in_.U8() % 24));
      std::fill(file.begin() + static_cast<int64_t>(begin),
                file.begin() + static_cast<int64_t>(end), '\0');
      return;
    }
    case 9: {
      const absl::string_view bytes = in_.Take(std::min<size_t>(in_.U8(), in_.size()));
      for (size_t i = 0; i < bytes.size() && at + i < file.size(); ++i) file[at + i] = bytes[i];
      return;
    }
    case 10: {
      file.resize(at);
      return;
    }
    case 11:
    case 12: {
      unreadable_[name].push_back({block, block + (1 + in_.U8() % 4) * kBlockBytes});
      return;
    }
    case 13: {  // A write that went to the wrong place.
      const std::string from = files_[PickFile()];
      const uint64_t source = PickByte(from) / kBlockBytes * kBlockBytes;
      for (uint64_t i = 0; i < kBlockBytes && source + i < from.size() && block + i < file.size();
           ++i) {
        file[block + i] = from[source + i];
      }
      return;
    }
    case 14: {
      honest_ = false;
      files_.erase(name);
      return;
    }
    default: {
      if (file.size() < block + kBlockBytes || block < kFramesBegin) return;
      Forge(&file, block, true);
      return;
    }
  }
}

bool Folder::IsIntact(const std::string& name, uint64_t begin, uint64_t end) const {
  const auto now = files_.find(name);
  if (now == files_.end() || now->second.size() < end) return false;
  if (now->second.compare(begin, end - begin, originals_.at(name), begin, end - begin) != 0) {
    return false;
  }
  const auto unreadable = unreadable_.find(name);
  if (unreadable == unreadable_.end()) return true;
  return std::none_of(unreadable->second.begin(), unreadable->second.end(),
                      [&](const auto& range) { return range.first < end && begin < range.second; });
}

uint64_t Folder::ProvenOffset() const {
  uint64_t proven = 0;
  for (const Frame& frame : frames_) {
    if (IsIntact(frame.file, frame.begin, frame.end)) proven = std::max(proven, frame.proves);
  }
  for (const Frame& header : headers_) {
    if (IsIntact(header.file, 0, kBlockBytes) ||
        IsIntact(header.file, kBlockBytes, 2 * kBlockBytes)) {
      proven = std::max(proven, header.proves);
    }
  }
  return proven;
}

}  // namespace holdfast::fuzz
