// Keeps room: prepares the next segment ahead of need and deletes released ones, on a thread of its
// own so that neither holds up an acknowledgement. Says when the journal is full.

#pragma once

#include <cstdint>
#include <optional>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"

#include "server/base/clock.h"
#include "server/disk/disk.h"
#include "server/journal/catalog.h"
#include "server/journal/journal.h"
#include "server/journal/segment.h"
#include "server/metrics/metrics.h"

namespace holdfast::journal {

// Thread-safe.
class Keeper {
 public:
  // Everything given must outlive the keeper.
  Keeper(const JournalOptions& options, uint64_t next_segment_id, disk::Disk& disk,
         base::Clock& clock, Catalog& catalog, metrics::Metrics& metrics);
  ~Keeper() { Stop(); }

  void Start();
  void Stop();  // Idempotent.

  // The next segment, prepared now if it was not. For before Start. RESOURCE_EXHAUSTED: there is no
  // room.
  absl::StatusOr<Blank> MakeFirst(uint64_t file_bytes);

  // The next segment; waits for it. nullopt if there is no room and GiveUp was called.
  std::optional<Blank> Take();
  // What was taken is in the catalog now.
  void TakenIsInUse();
  // From now on Take does not wait for room.
  void GiveUp();

  // Segments were released: see what can go.
  void Wake();

  // New events are to be refused: no segment is ready, and there is no room for one.
  bool full() const;

 private:
  void Loop();
  bool DeleteOne();
  void PrepareBlank();
  void Judge();
  bool RoomForOne() const ABSL_SHARED_LOCKS_REQUIRED(mu_);
  void Rest();
  bool Woken() const ABSL_SHARED_LOCKS_REQUIRED(mu_) { return woken_ || stopping_; }
  bool CanAnswer() const ABSL_SHARED_LOCKS_REQUIRED(mu_) {
    return blank_.has_value() || stopping_ || (giving_up_ && full_);
  }

  const JournalOptions options_;
  disk::Disk& disk_;
  base::Clock& clock_;
  Catalog& catalog_;
  metrics::Metrics& metrics_;

  base::Thread thread_;

  mutable absl::Mutex mu_;
  uint64_t next_segment_id_ ABSL_GUARDED_BY(mu_);
  std::optional<Blank> blank_ ABSL_GUARDED_BY(mu_);
  uint64_t next_bytes_ ABSL_GUARDED_BY(mu_);       // Size of the next segment.
  uint64_t taken_bytes_ ABSL_GUARDED_BY(mu_) = 0;  // Not in the catalog yet.
  bool full_ ABSL_GUARDED_BY(mu_) = false;
  bool closed_by_limit_ ABSL_GUARDED_BY(mu_) = false;  // Why it is full: bytes_max, or the volume.
  uint64_t closed_at_bytes_ ABSL_GUARDED_BY(mu_) = 0;
  // The last attempt failed: to prepare a segment, or to delete one. Tried again after a while.
  bool cannot_prepare_ ABSL_GUARDED_BY(mu_) = false;
  // Because there was no room: only then is giving up what is kept for a failover of any use.
  bool volume_is_full_ ABSL_GUARDED_BY(mu_) = false;
  bool cannot_delete_ ABSL_GUARDED_BY(mu_) = false;
  bool woken_ ABSL_GUARDED_BY(mu_) = false;
  bool giving_up_ ABSL_GUARDED_BY(mu_) = false;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace holdfast::journal
