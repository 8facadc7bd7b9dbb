#include "server/journal/reader.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace holdfast::journal {
namespace {

// With something in hand, a call does not look through more than this for the rest.
constexpr uint64_t kScanBytesMax = uint64_t{16} << 20;

}  // namespace

absl::StatusOr<std::vector<Reader::Record>> LaneReader::NextUpTo(uint64_t last, size_t bytes_max) {
  found_.clear();
  found_begin_.clear();
  data_.clear();
  scanned_bytes_ = 0;
  while (true) {
    if (in_frame_ && !TakeItems(last, bytes_max)) break;
    if (!found_.empty() && scanned_bytes_ > kScanBytesMax) break;
    const absl::StatusOr<Step> step = NextFrame();
    if (!step.ok()) {
      // What was found is good; the trouble, if it lasts, meets the next call.
      if (!found_.empty()) break;
      return absl::UnavailableError(step.status().message());
    }
    if (*step == Step::kEnd) break;
  }
  return Found();
}

std::vector<Reader::Record> LaneReader::Found() {
  for (size_t i = 0; i < found_.size(); ++i) {
    const size_t end = i + 1 < found_.size() ? found_begin_[i + 1] : data_.size();
    found_[i].bytes = absl::string_view(data_).substr(found_begin_[i], end - found_begin_[i]);
  }
  return std::move(found_);
}

absl::StatusOr<LaneReader::Step> LaneReader::NextFrame() {
  if (!scanner_.has_value() || scanner_->position() >= segment_.end_byte) return NextSegment();
  const uint64_t begin = scanner_->position();
  absl::StatusOr<FrameScanner::Found> found =
      scanner_->Next(segment_.end_byte, uint64_t{1} << lane_);
  if (!found.ok()) return std::move(found).status();
  scanned_bytes_ += scanner_->position() - begin;
  if (*found == FrameScanner::Found::kFrame) {
    OnFrame(scanner_->header());
  } else if (*found == FrameScanner::Found::kDamage) {
    CloseGap(expected_);
    damage_ = scanner_->damage();
  }
  return Step::kGoOn;
}

void LaneReader::OnFrame(const FrameHeader& header) {
  // A state frame counts what was known when it was written; a copied frame with lower offsets may
  // follow.
  if (header.kind == FrameKind::kState) return;
  CloseGap(header.first_offset);
  expected_ = std::max(expected_, header.end_offset());
  in_frame_ = (header.lanes >> lane_ & 1) != 0;
  if (in_frame_) {
    records_ = RecordCursor(scanner_->payload());
    in_batch_ = false;
    item_offset_ = header.first_offset;
  } else {
    read_through_ = std::max(read_through_, header.end_offset() - 1);
  }
}

// A frame that is whole but makes no sense ends early here; recovery has reported it.
bool LaneReader::TakeItems(uint64_t last, size_t bytes_max) {
  while (true) {
    BatchCursor::Item item;
    while (in_batch_ && batch_.Next(&item)) {
      const uint64_t offset = item_offset_++;
      if (item.lane != lane_ || item.ordinal <= last_ordinal_) continue;
      Take(item, offset);
      if (item.ordinal >= last || data_.size() >= bytes_max) return false;
    }
    in_batch_ = false;
    if (!records_.Next()) break;
    if (records_.type() != RecordType::kBatch) continue;
    batch_ = BatchCursor(records_.body());
    in_batch_ = true;
  }
  in_frame_ = false;
  read_through_ = std::max(read_through_, scanner_->header().end_offset() - 1);
  return true;
}

void LaneReader::Take(const BatchCursor::Item& item, uint64_t offset) {
  found_begin_.push_back(data_.size());
  data_.append(item.bytes.data(), item.bytes.size());
  found_.push_back({.offset = offset,
                    .ordinal = item.ordinal,
                    .producer = batch_.producer(),
                    .sequence = item.sequence,
                    .accepted_at = batch_.accepted_at(),
                    .trace = batch_.trace(),
                    .bytes = {}});
  last_ordinal_ = item.ordinal;
  read_through_ = std::max(read_through_, offset);
}

absl::StatusOr<LaneReader::Step> LaneReader::NextSegment() {
  if (segment_.sealed && segment_.id != 0) CloseGap(segment_.end_offset);
  const uint64_t from = segment_.sealed ? segment_.id + 1 : segment_.id;
  uint64_t durable_offset = 0;
  std::optional<Place> located = catalog_.Locate(from, lane_, last_ordinal_, &durable_offset);
  if (!located.has_value()) {
    // What holds nothing of this lane is never entered; but the segment at hand may have been
    // sealed since, and then it is not asked for again.
    read_through_ = std::max(read_through_, durable_offset);
    return Step::kEnd;
  }
  if (located->segment.id != segment_.id) {
    const absl::Status entered = Enter(*std::move(located));
    if (!entered.ok()) return entered;
    return Step::kGoOn;
  }
  const bool news = located->segment.end_byte > segment_.end_byte || located->segment.sealed;
  segment_ = std::move(located->segment);
  if (news) return Step::kGoOn;
  read_through_ = std::max(read_through_, durable_offset);
  return Step::kEnd;
}

absl::Status LaneReader::Enter(Place place) {
  absl::StatusOr<std::unique_ptr<disk::File>> file = disk_.Open(place.segment.name);
  if (!file.ok() && !absl::IsNotFound(file.status())) return std::move(file).status();
  scanner_.reset();
  damage_.reset();
  file_ = nullptr;
  segment_ = std::move(place.segment);
  expected_ = place.begin_offset;
  if (file.ok()) {
    file_ = *std::move(file);
    scanner_.emplace(*file_, segment_.salt, FrameScanner::ReadErrors::kReturn, segment_.unreadable,
                     place.begin_byte);
    return absl::OkStatus();
  }
  // Deleted since it was located, because all of it is settled; or by somebody else.
  uint64_t unused = 0;
  const std::optional<Place> again = catalog_.Locate(segment_.id, lane_, last_ordinal_, &unused);
  if (again.has_value() && again->segment.id == segment_.id) {
    catalog_.Report(segment_.id, {.segment = segment_.name,
                                  .first_byte = 0,
                                  .end_byte = segment_.file_bytes,
                                  .first_offset = segment_.first_offset,
                                  .end_offset = segment_.end_offset,
                                  .reason = "the file is gone"});
  }
  segment_.sealed = true;
  return absl::OkStatus();
}

void LaneReader::CloseGap(uint64_t first_offset) {
  if (!damage_.has_value()) return;
  catalog_.Report(segment_.id, {.segment = segment_.name,
                                .first_byte = damage_->bytes.begin,
                                .end_byte = damage_->bytes.end,
                                .first_offset = expected_,
                                .end_offset = std::max(expected_, first_offset),
                                .reason = damage_->reason});
  damage_.reset();
}

}  // namespace holdfast::journal
