// What the journal knows of its segments: where the durable part of each ends, what is settled,
// what is damaged, what may be deleted. The writing thread, the keeper and the readers meet here
// and nowhere else.

#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

#include "server/journal/journal.h"
#include "server/journal/segment.h"
#include "server/metrics/metrics.h"

namespace holdfast::journal {

// A segment, and where in it to begin to read.
struct Place {
  Segment segment;
  uint64_t begin_byte = kFramesBegin;
  uint64_t begin_offset = 0;  // The lowest offset that may stand there.
};

// Thread-safe.
class Catalog {
 public:
  // `end_offset` and `heads`: what recovery found.
  Catalog(metrics::Metrics& metrics, uint64_t end_offset, const LanePositions& heads)
      : metrics_(metrics), end_offset_(end_offset), heads_(heads) {}

  // Adds a segment after all others. Seals the one before it, if it was not.
  void Add(Segment segment);
  // The last segment is durable up to here.
  void Advance(uint64_t end_byte, uint64_t end_offset, const LanePositions& heads);

  // For readers: the first segment from number `from_id` on that may hold events of `lane` after
  // ordinal `after`, or nullopt; of one that was written by this run, no more is before the place
  // to begin than a lane that has fallen behind can read in a moment. *durable_offset becomes the
  // last offset that was durable then.
  std::optional<Place> Locate(uint64_t from_id, event::Lane lane, uint64_t after,
                              uint64_t* durable_offset) const;

  // Logs, counts and remembers a damaged place, unless it lies within one that is known.
  void Report(uint64_t segment_id, Corruption corruption);

  // Everything up to `settled` may go, and nothing else: a segment that was released and holds more
  // is kept again, unless it is condemned. True if that released a segment.
  bool Release(const LanePositions& settled, absl::Time now, absl::Time seen_at);

  // The oldest segment, if it may be deleted: it is released, and had been for the retention when
  // the database was last seen, or is beyond `retention_bytes`, or holds nothing, or `room_needed`.
  // From now on no reader enters it.
  // Never the only one: it alone says whose journal this is and how far every producer has come.
  std::optional<Segment> Condemn(const JournalOptions& options, absl::Time now, bool room_needed);
  // When the oldest may be deletable for its age; InfiniteFuture if it is not released. If only the
  // database has to be seen, when to ask again.
  absl::Time NextExpiry(const JournalOptions& options, absl::Time now) const;
  // REQUIRES: it was condemned, and its file is gone for good.
  void Remove(uint64_t segment_id);

  uint64_t UnreleasedBytes() const;
  uint64_t AllBytes() const;

  // Fills in segments, used_bytes, corruptions, last_offset and lane_heads.
  void Describe(JournalStatus* status) const;

 private:
  // What stood in a segment before some byte.
  struct Mark {
    uint64_t byte = 0;
    uint64_t offset = 0;  // The first behind it.
    LanePositions heads;
  };

  bool OldestMayGo() const ABSL_SHARED_LOCKS_REQUIRED(mu_);
  void ShowLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  uint64_t UnreleasedBytesLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  metrics::Metrics& metrics_;

  mutable absl::Mutex mu_;
  std::deque<Segment> segments_ ABSL_GUARDED_BY(mu_);  // By number.
  uint64_t end_offset_ ABSL_GUARDED_BY(mu_);           // One past the last durable offset.
  LanePositions heads_ ABSL_GUARDED_BY(mu_);           // The last durable ordinals.
  absl::Time seen_at_ ABSL_GUARDED_BY(mu_) = absl::InfinitePast();
  std::vector<Corruption> corruptions_ ABSL_GUARDED_BY(mu_);  // The first of them.
  // Of segments that this run wrote: their marks, in order.
  absl::flat_hash_map<uint64_t, std::vector<Mark>> marks_ ABSL_GUARDED_BY(mu_);
  // Damaged places that were reported, by segment.
  absl::flat_hash_map<uint64_t, std::vector<ByteRange>> reported_ ABSL_GUARDED_BY(mu_);
};

}  // namespace holdfast::journal
