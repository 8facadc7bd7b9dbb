// What a lane has to write next, from memory while it keeps up and from the journal when it does
// not.
//
// `next` is the ordinal after the last one that was queued or handed out, `head` the last durable
// one, `numbered` the last one that is durable or on its way to the disk. `ahead` holds events that
// came straight from the journal's thread, beyond a gap that begins with `next`. Invariants:
//
//  1. What is handed out rises by one from event to event, beginning after the seat's position.
//     Only what the journal has lost (damage that it reports) is passed over.
//  2. An event that gets its ordinal is kept if the feed is open, there is memory, and it is `next`
//     (then it is queued), or follows the last one of `ahead`, or `ahead` is empty and the gap
//     before it is short. So the feed is hot when next = numbered + 1 and cold otherwise; nothing
//     else says which. A cold feed reads the gap from the journal while `ahead` grows, and when the
//     gap is closed `ahead` joins the queue: a lane that was too slow for a moment keeps up again.
//  3. The journal is read only while the queue is empty, and only up to `ahead`, so no event is
//     held twice.
//  4. What is handed out beyond `head` comes from memory, and is not committed before AwaitDurable
//     has said so. Nothing beyond it is read, even if the journal has it already: the pipeline
//     does not know of it yet.
//  5. Out of the common memory a feed holds no more than its part, and nothing while it is closed;
//     what it reads takes no more than the lane's own share, and at most one slice of reading
//     beyond it.

#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

#include "server/base/clock.h"
#include "server/event/batch.h"
#include "server/journal/journal.h"
#include "server/pipeline/memory.h"

namespace holdfast::pipeline {

struct FeedLimits {
  size_t rows_max = 0;   // Events handed out at once.
  size_t bytes_max = 0;  // Their bytes, but at least one event.
};

// Events of one lane that are on their way to the disk.
struct Arrival {
  uint64_t first_ordinal = 0;
  uint64_t last_ordinal = 0;
  uint64_t last_offset = 0;
  absl::Time accepted_at;               // Of the first.
  std::vector<event::Accepted> events;  // Those there was memory for, in order; gaps allowed.
};

// One thread tells what the journal does, one takes; Stop and the questions are for any.
class Feed final {
 public:
  // The lane's events up to ordinal `head` are durable, all of them at offsets up to `head_offset`.
  // Closed until SeatAt. The rest must outlive the feed.
  Feed(event::Lane lane, uint64_t head, uint64_t head_offset, const FeedLimits& limits,
       journal::Journal& journal, Memory& memory, base::Clock& clock);

  // For the journal's thread. Whether events are worth preparing, then the arrival itself; never
  // waits for the disk.
  bool TakesMore() const;
  void OnNumbered(Arrival arrival);
  // All that was numbered is durable.
  void OnDurable();
  // What is numbered and not durable never will be, and nothing more will come.
  void OnFailure();

  // For the lane's thread.

  // Goes on after `position` and forgets what it held.
  void SeatAt(uint64_t position);

  enum class Outcome {
    kEvents,   // `cut` holds what one transaction may.
    kLost,     // The journal has lost everything from the last event handed out through
               // handed_through().
    kLook,     // There is nothing to write, and AskToLook was called.
    kStopped,  // Stop was called.
  };
  // Waits for events and moves them to `cut`, which is empty. UNAVAILABLE: the journal cannot be
  // read just now; nothing is skipped, ask again. REQUIRES: SeatAt was called.
  absl::StatusOr<Outcome> Next(std::vector<event::Accepted>* cut);

  // Waits until everything up to `ordinal`, which was handed out, is durable. False if it never
  // will be: the journal has failed or the feed is stopped. Then TakeBack removes from `cut` what
  // is not durable, as if it had never been handed out.
  bool AwaitDurable(uint64_t ordinal);
  void TakeBack(std::vector<event::Accepted>* cut);

  // Closes: gives up the queue, and moves `cut` to the lane's own share, event by event the same.
  void GiveUp(std::vector<event::Accepted>* cut);
  // Opens again.
  void Resume();

  // The last ordinal that was handed out, or passed over as lost.
  uint64_t handed_through() const;
  // The offset up to which nothing is pending, if that is so up to `offset` and nothing is handed
  // out.
  uint64_t SettledThrough(uint64_t offset) const;

  // Ends a wait in Next, unless events come first: the lane is to look at its row.
  void AskToLook();
  void Stop();

  uint64_t head() const;
  // When the first event that is not handed out was accepted; if it is still to be read from the
  // journal, when the last one read before it was, or else the first that was not queued.
  // InfiniteFuture: there is none, or nothing is known of it.
  absl::Time oldest() const;

 private:
  // What one turn of reading brought.
  struct Read {
    std::vector<event::Accepted> events;
    uint64_t through = 0;  // The last ordinal that was read.
    absl::Time accepted_at = absl::InfiniteFuture();
    bool at_end = false;
    size_t charge = 0;
  };

  struct Queued {
    event::Accepted event;
    size_t charge = 0;
  };

  bool HasWork() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool IsDecided() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return head_ >= awaited_ || failed_ || stopped_;
  }
  bool IsStopped() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return stopped_; }
  // Whether the event that gets this ordinal next is to be kept.
  bool Follows(uint64_t ordinal) const ABSL_SHARED_LOCKS_REQUIRED(mu_);
  // The last ordinal that may be read from the journal.
  uint64_t GapEnd() const ABSL_SHARED_LOCKS_REQUIRED(mu_);
  void Push(event::Accepted event, size_t charge) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Lets `ahead` join the queue if nothing is between them any more.
  void CloseGap() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Cut(std::vector<event::Accepted>* cut) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status ReadOn();
  absl::StatusOr<Read> ReadShare(uint64_t from, uint64_t through);
  void Parse(const std::vector<journal::Reader::Record>& records, Read* read);
  void Take(Read read, uint64_t wanted, uint64_t head_offset);

  const event::Lane lane_;
  const FeedLimits limits_;
  journal::Journal& journal_;
  Memory& memory_;
  base::Clock& clock_;

  // The lane's thread's own: stands before the ordinal `reader_next_`.
  std::unique_ptr<journal::Reader> reader_;
  uint64_t reader_next_ = 0;

  mutable absl::Mutex mu_;
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
  bool failed_ ABSL_GUARDED_BY(mu_) = false;  // The journal.
  bool look_ ABSL_GUARDED_BY(mu_) = false;
  bool open_ ABSL_GUARDED_BY(mu_) = false;
  uint64_t head_ ABSL_GUARDED_BY(mu_);
  uint64_t head_offset_ ABSL_GUARDED_BY(mu_);
  uint64_t numbered_ ABSL_GUARDED_BY(mu_);
  uint64_t numbered_offset_ ABSL_GUARDED_BY(mu_);
  uint64_t awaited_ ABSL_GUARDED_BY(mu_) = 0;  // By AwaitDurable.
  uint64_t next_ ABSL_GUARDED_BY(mu_) = 1;
  uint64_t handed_ ABSL_GUARDED_BY(mu_) = 0;
  std::deque<Queued> queue_ ABSL_GUARDED_BY(mu_);
  std::deque<Queued> ahead_ ABSL_GUARDED_BY(mu_);
  size_t charge_ ABSL_GUARDED_BY(mu_) = 0;  // Of both.
  absl::Time behind_since_ ABSL_GUARDED_BY(mu_) = absl::InfiniteFuture();
};

}  // namespace holdfast::pipeline
