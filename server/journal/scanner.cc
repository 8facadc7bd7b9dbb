#include "server/journal/scanner.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

#include "server/base/seeded_bug.h"
#include "server/base/status_macros.h"

namespace holdfast::journal {
namespace {

// Read ahead so far: small frames come many to a system call.
constexpr uint64_t kWindowBytes = uint64_t{256} << 10;

bool AllZero(absl::string_view bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](char byte) { return byte == 0; });
}

}  // namespace

FrameScanner::FrameScanner(disk::File& file, uint64_t salt, ReadErrors read_errors,
                           std::vector<ByteRange> unreadable, uint64_t position)
    : file_(file),
      salt_(salt),
      read_errors_(read_errors),
      unreadable_(std::move(unreadable)),
      position_(position) {}

absl::StatusOr<FrameScanner::Found> FrameScanner::Next(uint64_t end, uint64_t lanes) {
  payload_ = {};
  const uint64_t begin = position_;
  uint64_t at = begin;
  while (at < end) {
    uint64_t next = end;
    const absl::Status status = TryFrame(at, end, lanes, &next);
    if (status.ok() && at == begin) {
      position_ = next;
      return Found::kFrame;
    }
    if (status.ok()) break;  // The damage before it comes first; then this frame is found again.
    const bool unreadable = status.code() != absl::StatusCode::kDataLoss;
    if (unreadable && read_errors_ == ReadErrors::kReturn) return status;
    if (HOLDFAST_SEEDED_BUG(kReadErrorIsEndOfLog) && unreadable) return Found::kEnd;
    if (at == begin) damage_ = Damage{.bytes = {begin, begin}, .written_end = begin, .reason = ""};
    NoteDamage(at, next, unreadable, status);
    at = next;
  }
  if (at == begin) return Found::kEnd;
  payload_ = {};
  damage_.bytes.end = at;
  position_ = at;
  return Found::kDamage;
}

absl::Status FrameScanner::TryFrame(uint64_t at, uint64_t end, uint64_t lanes, uint64_t* next) {
  if (const ByteRange* range = UnreadableAt(at); range != nullptr) {
    *next = std::min(end, range->end);
    return absl::DataLossError("could not be read at the start");
  }
  *next = std::min(end, at + kBlockBytes);
  HOLDFAST_ASSIGN_OR_RETURN(const absl::string_view head, Fetch(at, *next - at, end));
  if (head.empty()) {
    *next = end;
    return absl::DataLossError("the file ends too early");
  }
  HOLDFAST_ASSIGN_OR_RETURN(const FrameHeader header, DecodeFrameHeader(head, at));
  if (header.salt != salt_) return absl::DataLossError("a frame of another segment is here");
  *next = at + header.bytes_on_disk();
  if (*next > end) {
    *next = end;
    return absl::DataLossError("a frame is cut off");
  }
  header_ = header;
  if ((header.lanes & lanes) == 0 && lanes != kAllLanes) return absl::OkStatus();
  HOLDFAST_ASSIGN_OR_RETURN(const absl::string_view frame,
                            Fetch(at, kFrameHeaderBytes + header.payload_bytes, end));
  if (frame.size() < kFrameHeaderBytes + header.payload_bytes) {
    return absl::DataLossError("a frame is cut off");
  }
  payload_ = frame.substr(kFrameHeaderBytes);
  if (Checksum(payload_, salt_) != header.payload_checksum) {
    return absl::DataLossError("the payload of a frame is damaged");
  }
  return absl::OkStatus();
}

absl::StatusOr<absl::string_view> FrameScanner::Fetch(uint64_t at, uint64_t length, uint64_t end) {
  if (at < window_begin_ || at + length > window_begin_ + window_.size()) {
    const uint64_t ahead = std::max(length, std::min(kWindowBytes, end - at));
    // One large frame must not keep its memory for good.
    if (window_.capacity() > 4 * kWindowBytes && ahead <= kWindowBytes) std::string().swap(window_);
    absl::Status status = file_.Read(at, ahead, &window_);
    // What cannot be read may lie ahead of what is asked for.
    if (!status.ok() && ahead > length) status = file_.Read(at, length, &window_);
    window_begin_ = at;
    if (!status.ok()) {
      window_.clear();
      return status;
    }
  }
  return absl::string_view(window_).substr(at - window_begin_, length);
}

const ByteRange* FrameScanner::UnreadableAt(uint64_t at) const {
  for (const ByteRange& range : unreadable_) {
    if (range.begin <= at && at < range.end) return &range;
  }
  return nullptr;
}

void FrameScanner::NoteDamage(uint64_t at, uint64_t next, bool unreadable,
                              const absl::Status& why) {
  if (damage_.reason.empty()) damage_.reason = std::string(why.message());
  if (unreadable) {
    damage_.unreadable = true;
    damage_.written_end = next;
    if (!unreadable_.empty() && unreadable_.back().end == at) {
      unreadable_.back().end = next;
    } else {
      unreadable_.push_back({at, next});
    }
    return;
  }
  const uint64_t window_end = window_begin_ + window_.size();
  const uint64_t seen_end = std::min(next, window_end);
  const bool seen = at >= window_begin_ && at < seen_end;
  if (!seen || !AllZero(absl::string_view(window_).substr(at - window_begin_, seen_end - at))) {
    damage_.written_end = next;
  }
}

}  // namespace holdfast::journal
