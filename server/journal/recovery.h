// Reads what a former process left. Total: whatever the bytes in the folder are, they come out as
// whole frames, as a torn tail that was never acknowledged (dropped), or as damage, reported with
// its exact range.
//
// What tells the last two apart: every frame and every segment header says what was durable when it
// was written. Damage before such a proof was acknowledged; damage behind the last proof never was.

#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

#include "server/disk/disk.h"
#include "server/event/event_id.h"
#include "server/journal/candidate.h"
#include "server/journal/format.h"
#include "server/journal/journal.h"
#include "server/journal/segment.h"

namespace holdfast::journal {

// The last frame, if nothing behind it proves that it is durable: it may live in the page cache
// alone, behind a sync that failed. It goes into the new segment once more before anything else
// does, or, without room for one, is written once more where it is; readers take each ordinal once.
struct RecoveredTail {
  bool present = false;
  std::string file;
  FrameHeader header;
  std::string payload;
};

struct Recovered {
  event::Id journal_id;  // Nil: there was no journal.
  uint64_t next_segment_id = 1;
  uint64_t end_offset = 1;  // The next offset to be given; none below is ever given again.
  LanePositions heads{};
  std::vector<ProducerState> producers;  // The longest silent first.
  std::vector<Segment> segments;
  RecoveredTail tail;
  // The link from the next segment to the last one here.
  uint64_t previous_id = 0;
  uint64_t previous_end_byte = 0;
  uint64_t previous_chain = 0;
  uint64_t previous_unproven_byte = 0;
  // With the number of the segment each is in.
  std::vector<std::pair<uint64_t, Corruption>> corruptions;
};

// Is shown what recovery sees, in the order of the bytes: for those who look into a folder.
class Witness {
 public:
  virtual ~Witness() = default;
  // A file under a segment's name; what stands in it behind byte `end` does not count.
  virtual void OnSegment(const Candidate& candidate, uint64_t end) = 0;
  // A whole frame of that segment, up to byte `end`. The views are valid during the call.
  virtual void OnFrame(const FrameHeader& header, absl::string_view payload, uint64_t end) = 0;
  // Bytes that were never acknowledged, in a segment that was shown before.
  virtual void OnTorn(absl::string_view segment, const ByteRange& bytes,
                      absl::string_view reason) = 0;
};

// Fails if the folder cannot be read or written (UNAVAILABLE, RESOURCE_EXHAUSTED), or if a segment
// was written by a newer version (FAILED_PRECONDITION): that is no damage, and to go on without it
// would leave acknowledged events behind. The same if a file's number leaves none for new segments.
// Bytes that cannot be read are damage. Removes blanks that were never put into use; renames
// segments in which nothing is whole to *.corrupt.
absl::StatusOr<Recovered> Recover(disk::Disk& disk, size_t producers_max,
                                  Witness* witness = nullptr);

}  // namespace holdfast::journal
