// Makes events survive a crash. Invariants, in the order in which the files keep them:
//
//  1. An append is reported durable only after fdatasync returned 0 for it and everything before
//     it.
//  2. After a failed write or sync this object never reports anything durable again (the page cache
//     lies after a failed fsync: Rebello et al., "Can Applications Recover from fsync Failures?",
//     USENIX ATC 2020). What was durable before can still be read.
//  3. A sequence is taken at most once for each producer, across restarts.
//  4. Offsets count all events from 1, ordinals those of one lane from 1; neither has a gap, and
//     neither is used twice.
//  5. Any bytes in the folder lead to an open journal: what is damaged is set aside and reported
//     with its range, what is whole is delivered. Nothing is ever deleted but whole segments whose
//     every event was released.
//  6. Disk use stays within `bytes_max`.
//
// The format is in FORMAT.md. One thread of the journal's own writes: a group is everything that
// waits when the last group is done, up to `group_bytes_max`; nothing waits when it is idle.

#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"

#include "server/base/clock.h"
#include "server/disk/disk.h"
#include "server/event/batch.h"
#include "server/metrics/metrics.h"

namespace holdfast::journal {

struct JournalOptions {
  // All segments together, those kept after delivery included. Full when the undelivered ones would
  // not leave room for one more. Must leave two segments of the volume free.
  uint64_t bytes_max = uint64_t{2} << 30;

  // Size of a segment file, zero-filled ahead of use. Smaller: more files and more zero-filling.
  // Larger: disk is given back later.
  uint64_t segment_bytes = uint64_t{64} << 20;

  // The most bytes of events in one group commit. Larger: fewer syncs, later acknowledgements.
  uint64_t group_bytes_max = uint64_t{4} << 20;

  // The most bytes that may wait for the writer thread; above it `HasRoom` is false.
  uint64_t queue_bytes_max = uint64_t{16} << 20;

  // Released segments are kept so long, or until they are more than `retention_bytes`, whichever
  // comes first: if the database loses its last commits in a failover, they are delivered again
  // from here. While the database does not answer no time passes for them: what it has lost shows
  // only when it is back.
  absl::Duration retention = absl::Minutes(15);
  uint64_t retention_bytes = uint64_t{256} << 20;

  // With no traffic for so long after a group, an empty frame proves that group durable.
  absl::Duration idle_marker_after = absl::Milliseconds(20);

  // Producers whose last sequence is remembered. Above it the longest silent are forgotten.
  size_t producers_max = 10000;

  // OK, or InvalidArgument naming the first field at fault.
  absl::Status Validate() const;
};

// One value for each lane.
using LanePositions = std::array<uint64_t, event::kLaneCount>;

// A batch that has become durable, or is about to.
struct Durable {
  std::shared_ptr<const event::Batch> batch;
  // The journal's last offset once this batch is in: that of its last item, or the one before it if
  // it has none (all refused).
  uint64_t last_offset = 0;
  // One for each of batch->items, in order: `first_offset` + i is its offset, ordinals[i] its
  // ordinal.
  uint64_t first_offset = 0;
  std::vector<uint64_t> ordinals;
  // Items below this index were held already and are not in the journal a second time: they have no
  // offset, and ordinals[i] is 0.
  size_t first_new_item = 0;
};

// Told of what has become durable, in order. Called on the journal's thread without its lock; must
// be quick and must not call Append.
class Listener {
 public:
  virtual ~Listener() = default;
  // One group has its offsets and ordinals and goes to the disk now. It may never be durable: begin
  // only what can be undone. OnDurable with the same group follows, or OnFailure. Not called for a
  // group of which nothing is new.
  virtual void OnNumbered(absl::Span<const Durable> /*group*/) {}
  // One group commit.
  virtual void OnDurable(absl::Span<const Durable> group) = 0;
  // Once, when the journal failed: nothing will be durable any more.
  virtual void OnFailure(const absl::Status& failure) = 0;
};

// A damaged range that recovery or a reader found.
struct Corruption {
  std::string segment;      // File name.
  uint64_t first_byte = 0;  // In that file.
  uint64_t end_byte = 0;
  uint64_t first_offset = 0;  // Events lost: [first_offset, end_offset). Both 0: nobody knows, for
  uint64_t end_offset = 0;    // nothing whole stands before the damage.
  std::string reason;
};

// What the journal knows of a producer.
struct ProducerState {
  event::Id producer;
  uint64_t last_sequence = 0;
  uint64_t last_offset = 0;
};

struct JournalStatus {
  uint64_t used_bytes = 0;  // Segments with events that are not released.
  uint64_t limit_bytes = 0;
  uint64_t segments = 0;
  bool full = false;
  absl::Status failure;
  std::vector<Corruption> corruptions;  // Since the start, the first 100.
  uint64_t last_offset = 0;             // Events accepted since the journal was made.
  LanePositions lane_heads{};           // Last durable ordinal of each lane.
};

class Reader;

// Thread-safe.
class Journal {
 public:
  // Recovers what is in the folder and opens a new segment. Fails only if the folder cannot be read
  // or written at all, or (FAILED_PRECONDITION) if a newer version of this program wrote it.
  // Without room for a new segment it opens full. Everything given must outlive the journal; it
  // starts no thread before Start.
  static absl::StatusOr<std::unique_ptr<Journal>> Open(const JournalOptions& options,
                                                       disk::Disk& disk, base::Clock& clock,
                                                       metrics::Metrics& metrics);
  virtual ~Journal() = default;  // Stops.

  // Made once, with the journal: tells its positions in the database from those of another journal.
  virtual event::Id journal_id() const = 0;
  // The lane heads that recovery found: what earlier runs could have delivered.
  virtual const LanePositions& recovered_heads() const = 0;
  // The producers that recovery found.
  virtual std::vector<ProducerState> producers() const = 0;

  // Starts the writing thread. `listener` must outlive the journal's last call: until Stop returns.
  virtual void Start(Listener* listener) = 0;

  // Batches of the nil producer are always new: their sequences are neither checked nor remembered.
  // Hands in a batch; the listener is told once it is durable. Never blocks. Items that are held
  // already are dropped here. If nothing of the batch is new, the listener is told in its turn all
  // the same, after everything that this producer handed in before is durable.
  //   FAILED_PRECONDITION: a gap; the message says what was expected.
  //   RESOURCE_EXHAUSTED: full.   DATA_LOSS: the journal has failed.   UNAVAILABLE: stopped.
  virtual absl::Status Append(std::shared_ptr<const event::Batch> batch) = 0;

  // False while too much waits for the writer thread: put off reading.
  virtual bool HasRoom() const = 0;

  // The last sequence of `producer` that was handed in or recovered; 0 if it is not known.
  virtual uint64_t LastSequence(const event::Id& producer) const = 0;

  // Everything of each lane up to these ordinals is settled: segments that hold nothing else may
  // go, after the retention. Where an ordinal is lower than the last time, the database has lost
  // what it had: what is above it is kept again, as far as it is still there. `seen_at` (steady
  // time): when each lane was last seen to stand in the database where it was left.
  virtual void Release(const LanePositions& settled, absl::Time seen_at) = 0;

  // Reads one lane back, from the first event after `after_ordinal`. The reader must not outlive
  // the journal. Not thread-safe; readers are independent of each other.
  virtual std::unique_ptr<Reader> Read(event::Lane lane, uint64_t after_ordinal) = 0;

  virtual JournalStatus Status() const = 0;

  // Writes what waits, syncs, stops the thread. Idempotent.
  virtual void Stop() = 0;
};

// One lane of the journal, oldest first.
class Reader {
 public:
  virtual ~Reader() = default;

  struct Record {
    uint64_t offset = 0;
    uint64_t ordinal = 0;
    event::Id producer;
    uint64_t sequence = 0;
    absl::Time accepted_at;
    event::Trace trace;       // Of the call that brought it, if it belonged to one.
    absl::string_view bytes;  // Valid until the next call.
  };

  // The next durable records of the lane, until `bytes_max` is reached (at least one if there is
  // one); empty when everything durable has been read (ask again later). Damaged places are skipped
  // and reported in Status().corruptions; the gap shows in the ordinals. UNAVAILABLE if the disk
  // cannot be read just now: nothing is skipped for that, ask again.
  absl::StatusOr<std::vector<Record>> Next(size_t bytes_max) {
    return NextUpTo(UINT64_MAX, bytes_max);
  }

  // The same, and no more once the record with ordinal `last` is among them.
  virtual absl::StatusOr<std::vector<Record>> NextUpTo(uint64_t last, size_t bytes_max) = 0;

  // Everything of this lane up to this offset has been returned.
  virtual uint64_t read_through() const = 0;
};

}  // namespace holdfast::journal
