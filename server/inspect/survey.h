// What a journal's folder holds, every byte of it: the daemon's own recovery, watched. So what is
// said here of a folder is what a daemon that starts on it will find.

#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "server/disk/disk.h"
#include "server/event/event_id.h"
#include "server/journal/journal.h"
#include "server/journal/recovery.h"

namespace holdfast::inspect {

// Producers that are counted one by one; the events of others are only counted together.
inline constexpr size_t kProducersMax = 10000;

// A file under a segment's name. The bytes of the file are the sum of the five kinds.
struct SegmentSurvey {
  std::string name;
  uint64_t bytes = 0;
  uint64_t header_bytes = 0;   // Whole copies of the header.
  uint64_t frame_bytes = 0;    // Whole frames, the zeros up to the next block included.
  uint64_t corrupt_bytes = 0;  // Acknowledged once, and not what was written.
  uint64_t torn_bytes = 0;     // Never acknowledged.
  uint64_t unused_bytes = 0;   // Behind the last frame: zeros, or what an earlier start dropped.
  uint64_t end_byte = 0;       // Behind it nothing counts.

  uint64_t frames = 0;
  uint64_t events = 0;        // Those that no segment before it has.
  uint64_t first_offset = 0;  // Of these; 0: there are none.
  uint64_t last_offset = 0;
  absl::Time first_accepted_at = absl::InfiniteFuture();
  absl::Time last_accepted_at = absl::InfinitePast();
};

struct LaneSurvey {
  uint64_t events = 0;
  uint64_t first_ordinal = 0;
  uint64_t last_ordinal = 0;
};

struct ProducerSurvey {
  event::Id producer;
  uint64_t events = 0;
  uint64_t first_sequence = 0;
  uint64_t last_sequence = 0;
  absl::Time last_accepted_at = absl::InfinitePast();
};

// Bytes that were never acknowledged.
struct Torn {
  std::string segment;
  journal::ByteRange bytes;
  std::string reason;
};

enum class Finding { kWhole, kTorn, kCorrupt };

struct Survey {
  event::Id journal_id;                 // Nil: there is no segment with a whole header.
  bool in_use = false;                  // A daemon wrote on while this looked.
  std::vector<SegmentSurvey> segments;  // By number.
  std::vector<std::string> set_aside;   // *.corrupt: found by an earlier start, never deleted.
  std::array<LaneSurvey, event::kLaneCount> lanes;
  std::vector<ProducerSurvey> producers;  // The first kProducersMax, by their first event.
  uint64_t other_producers_events = 0;
  uint64_t events = 0;
  uint64_t first_offset = 0;  // 0: there are no events.
  uint64_t next_offset = 1;
  std::vector<journal::Corruption> corruptions;
  std::vector<Torn> torn;

  Finding finding() const {
    return !corruptions.empty() ? Finding::kCorrupt
           : !torn.empty()      ? Finding::kTorn
                                : Finding::kWhole;
  }
};

// Bytes that have been looked at, of so many.
using Progress = absl::FunctionRef<void(uint64_t done, uint64_t all)>;

// The bytes of all segments.
absl::StatusOr<uint64_t> SegmentBytes(disk::Disk& disk);

// Looks at all of it, and changes nothing. Beside a daemon (`is_in_use`), what looks damaged may
// only be half written: it counts as corrupt if a second look finds the same. Memory: one frame,
// and what a Survey holds. Errors as journal::Recover's.
absl::StatusOr<Survey> Look(disk::Disk& disk, absl::FunctionRef<absl::StatusOr<bool>()> is_in_use,
                            Progress progress);

// Walks the events of a frame. Sees each event once, though a frame may stand in two segments.
class EventWalk {
 public:
  struct Event {
    uint64_t offset = 0;
    uint64_t sequence = 0;
    uint64_t ordinal = 0;
    event::Lane lane = 0;
    event::Id producer;
    absl::Time accepted_at;
    absl::string_view bytes;  // As the gateway encoded it.
  };
  void OnFrame(const journal::FrameHeader& header, absl::string_view payload,
               absl::FunctionRef<void(const Event&)> on_event);

 private:
  uint64_t last_offset_ = 0;
};

}  // namespace holdfast::inspect
