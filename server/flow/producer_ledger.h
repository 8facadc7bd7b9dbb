// Turns "these lanes have settled so far" into "this producer's events are committed through N".
//
// Completions come in any order: lanes are independent of one another, and one that is stopped must
// not hold back the acknowledgements of producers that do not use it. For each producer the ledger
// keeps the last journal offset it has in each lane, and checkpoints (offset, sequence): all of the
// producer's sequences up to `sequence` stand at offsets up to `offset`. Checkpoints may be thinned
// at will; that only makes the answer coarser, never wrong. So memory is bounded, whatever the
// backlog.

#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/types/span.h"

#include "server/event/event_id.h"
#include "server/event/kind.h"

namespace holdfast::flow {

// Said of a lane that has settled all that it ever got.
inline constexpr uint64_t kNothingPending = UINT64_MAX;

// Not thread-safe.
class ProducerLedger final {
 public:
  // Checkpoints kept for each producer, at most.
  static constexpr size_t kCheckpointsMax = 1024;

  // Lanes of which nothing has been said count as settled through 0: nothing is known of them.
  ProducerLedger();

  // `producer`'s sequences up to `last_sequence` are journaled; those of this group that were taken
  // stand at offsets up to `last_offset` (the last offset of the whole journal if none was).
  // `lanes` names each lane that got any of them with the last offset there; one that was said to
  // have nothing pending now has something. REQUIRES: calls come in journal order.
  struct LaneOffset {
    event::Lane lane;
    uint64_t last_offset;
  };
  void Journaled(const event::Id& producer, uint64_t last_sequence, uint64_t last_offset,
                 absl::Span<const LaneOffset> lanes);

  // Lane `lane` has no pending event at an offset up to `offset`, or (kNothingPending) none at all.
  // May go down (a lane that is replayed).
  void Settled(event::Lane lane, uint64_t offset);
  uint64_t settled(event::Lane lane) const;

  // The highest sequence up to which every event of `producer` is settled; 0 if none or not known.
  // Never goes down, even if a lane does: what was said was true when it was said.
  uint64_t CommittedThrough(const event::Id& producer) const;

  // Forgets a producer.
  void Forget(const event::Id& producer);

 private:
  struct Checkpoint {
    uint64_t offset;
    uint64_t sequence;
  };
  struct Producer {
    uint64_t last_sequence = 0;
    absl::flat_hash_map<event::Lane, uint64_t> last_offsets;
    // What is behind the answer is dropped when the answer is given.
    mutable std::deque<Checkpoint> checkpoints;  // Both offset and sequence rise.
    mutable uint64_t committed_through = 0;
  };
  static void Thin(std::deque<Checkpoint>* checkpoints);

  std::vector<uint64_t> settled_;   // By lane.
  uint64_t journaled_through_ = 0;  // The last offset that was told.
  absl::flat_hash_map<event::Id, Producer> producers_;
};

}  // namespace holdfast::flow
