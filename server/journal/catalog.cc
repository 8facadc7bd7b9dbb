#include "server/journal/catalog.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

#include "server/base/check.h"
#include "server/base/log.h"
#include "server/base/seeded_bug.h"

namespace holdfast::journal {
namespace {

// Of damaged places, so many are kept for Status; all are counted.
constexpr size_t kCorruptionsMax = 100;
// And so many are known again when a reader meets them.
constexpr size_t kReportedMax = 1000;
// Marks in a segment, at most.
constexpr uint64_t kMarksMax = 32;
// While a segment waits only for the database to be seen.
constexpr absl::Duration kAskAgainAfter = absl::Seconds(1);

bool AllAtMost(const LanePositions& heads, const LanePositions& settled) {
  const size_t lanes = heads.size() - HOLDFAST_SEEDED_BUG(kDeletedOneLaneTooEarly);
  for (size_t lane = 0; lane < lanes; ++lane) {
    if (heads[lane] > settled[lane]) return false;
  }
  return true;
}

}  // namespace

void Catalog::Add(Segment segment) {
  absl::MutexLock lock(&mu_);
  HOLDFAST_CHECK(segments_.empty() || segments_.back().id < segment.id);
  if (!segments_.empty()) segments_.back().sealed = true;
  segments_.push_back(std::move(segment));
  ShowLocked();
}

void Catalog::Advance(uint64_t end_byte, uint64_t end_offset, const LanePositions& heads) {
  absl::MutexLock lock(&mu_);
  HOLDFAST_CHECK(!segments_.empty() && !segments_.back().sealed);
  Segment& current = segments_.back();
  std::vector<Mark>& marks = marks_[current.id];
  const uint64_t marked = marks.empty() ? 0 : marks.back().byte;
  if (current.end_byte >= marked + current.file_bytes / kMarksMax) {
    marks.push_back({current.end_byte, current.end_offset, current.heads});
  }
  current.holds_events |= end_offset > current.end_offset;
  current.end_byte = end_byte;
  current.end_offset = end_offset;
  current.heads = heads;
  end_offset_ = end_offset;
  heads_ = heads;
}

std::optional<Place> Catalog::Locate(uint64_t from_id, event::Lane lane, uint64_t after,
                                     uint64_t* durable_offset) const {
  absl::MutexLock lock(&mu_);
  *durable_offset = end_offset_ - 1;
  for (const Segment& segment : segments_) {
    if (segment.id < from_id || segment.heads[lane] <= after || segment.condemned) continue;
    Place place = {.segment = segment, .begin_offset = segment.first_offset};
    const auto marks = marks_.find(segment.id);
    if (marks == marks_.end()) return place;
    for (const Mark& mark : marks->second) {
      if (mark.heads[lane] > after) break;
      place.begin_byte = mark.byte;
      place.begin_offset = mark.offset;
    }
    return place;
  }
  return std::nullopt;
}

void Catalog::Report(uint64_t segment_id, Corruption corruption) {
  absl::MutexLock lock(&mu_);
  std::vector<ByteRange>& known = reported_[segment_id];
  for (const ByteRange& range : known) {
    if (range.begin <= corruption.first_byte && corruption.end_byte <= range.end) return;
  }
  if (known.size() < kReportedMax) known.push_back({corruption.first_byte, corruption.end_byte});
  metrics_.journal_corruptions->Increment();
  base::LogError("the journal is damaged; what is whole is delivered, nothing is deleted",
                 {{"segment", corruption.segment},
                  {"first_byte", corruption.first_byte},
                  {"end_byte", corruption.end_byte},
                  {"first_offset_lost", corruption.first_offset},
                  {"end_offset_lost", corruption.end_offset},
                  {"reason", corruption.reason}});
  if (corruptions_.size() < kCorruptionsMax) corruptions_.push_back(std::move(corruption));
}

bool Catalog::Release(const LanePositions& settled, absl::Time now, absl::Time seen_at) {
  absl::MutexLock lock(&mu_);
  seen_at_ = std::max(seen_at_, seen_at);
  bool released = false;
  bool kept_again = false;
  for (Segment& segment : segments_) {
    const bool may_go = segment.sealed && AllAtMost(segment.heads, settled);
    if (may_go == segment.released_at.has_value() || segment.condemned) continue;
    if (may_go) {
      segment.released_at = now;
      released = true;
    } else {
      segment.released_at.reset();
      kept_again = true;
    }
  }
  if (released || kept_again) ShowLocked();
  return released;
}

bool Catalog::OldestMayGo() const {
  return segments_.size() > 1 && segments_.front().released_at.has_value();
}

std::optional<Segment> Catalog::Condemn(const JournalOptions& options, absl::Time now,
                                        bool room_needed) {
  absl::MutexLock lock(&mu_);
  if (!OldestMayGo()) return std::nullopt;
  Segment& oldest = segments_.front();
  uint64_t released_bytes = 0;
  for (const Segment& segment : segments_) {
    if (segment.released_at.has_value()) released_bytes += segment.file_bytes;
  }
  const bool is_old = options.retention == absl::ZeroDuration() ||
                      *oldest.released_at + options.retention <= std::min(now, seen_at_);
  if (oldest.condemned || room_needed || !oldest.holds_events ||
      released_bytes > options.retention_bytes || is_old) {
    oldest.condemned = true;
    return oldest;
  }
  return std::nullopt;
}

absl::Time Catalog::NextExpiry(const JournalOptions& options, absl::Time now) const {
  absl::MutexLock lock(&mu_);
  if (!OldestMayGo()) return absl::InfiniteFuture();
  const absl::Time expiry = *segments_.front().released_at + options.retention;
  return expiry <= now && expiry > seen_at_ ? now + kAskAgainAfter : expiry;
}

void Catalog::Remove(uint64_t segment_id) {
  absl::MutexLock lock(&mu_);
  HOLDFAST_CHECK(!segments_.empty() && segments_.front().id == segment_id &&
                 segments_.front().condemned);
  segments_.pop_front();
  marks_.erase(segment_id);
  reported_.erase(segment_id);
  ShowLocked();
}

uint64_t Catalog::UnreleasedBytes() const {
  absl::MutexLock lock(&mu_);
  return UnreleasedBytesLocked();
}

uint64_t Catalog::UnreleasedBytesLocked() const {
  uint64_t bytes = 0;
  for (const Segment& segment : segments_) {
    if (!segment.released_at.has_value()) bytes += segment.file_bytes;
  }
  return bytes;
}

uint64_t Catalog::AllBytes() const {
  absl::MutexLock lock(&mu_);
  uint64_t bytes = 0;
  for (const Segment& segment : segments_) bytes += segment.file_bytes;
  return bytes;
}

void Catalog::Describe(JournalStatus* status) const {
  absl::MutexLock lock(&mu_);
  status->used_bytes = UnreleasedBytesLocked();
  status->segments = segments_.size();
  status->corruptions = corruptions_;
  status->last_offset = end_offset_ - 1;
  status->lane_heads = heads_;
}

void Catalog::ShowLocked() {
  metrics_.journal_used_bytes->Set(static_cast<double>(UnreleasedBytesLocked()));
  metrics_.journal_segments->Set(static_cast<double>(segments_.size()));
}

}  // namespace holdfast::journal
