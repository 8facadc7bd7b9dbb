// The threads: journal to lanes to writers, and the watermark back.
//
//   Submit -> journal (its thread) -> OnDurable: into the lanes, tell the gateways "journaled"
//          -> lane (a thread each): take all that waits, write it -> tell the gateways "committed",
//             tell the journal what may go.
//
// A lane is fed from memory while it keeps up. One that falls behind, or is stopped, gives up what
// it holds in memory and goes on from its own place in the journal, so that memory stays bounded
// and no lane stalls another.

#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "server/base/clock.h"
#include "server/event/batch.h"
#include "server/flow/retry_policy.h"
#include "server/journal/journal.h"
#include "server/metrics/metrics.h"
#include "server/mysql/session.h"
#include "server/pipeline/tap.h"
#include "server/writer/lane_writer.h"

namespace holdfast::pipeline {

struct PipelineOptions {
  // Lanes, and so writing threads and transactions at a time, for each kind: 1 to
  // event::kLanesPerKindMax. More than the pool's size wait for each other. Lanes of an earlier
  // setting that still hold events are drained beside these.
  int lanes_per_kind = 2;

  // Events in memory over all lanes; exceeded by no more than one event for each lane.
  // Half of it is for events that come straight from the journal's thread; beyond that lanes are
  // fed from the journal, each with an equal part of the other half. Smaller: more is read back,
  // and transactions are smaller, since none is larger than a lane's part.
  size_t memory_bytes_max = size_t{32} << 20;

  // The most bytes of events in one transaction.
  size_t batch_bytes_max = size_t{4} << 20;

  // How often a lane without events compares its row in the database with what it wrote, which
  // costs a small transaction. Larger than the journal's retention: what a failover lost may be
  // gone from the journal when it is noticed.
  absl::Duration look_every = absl::Seconds(30);

  // A transaction of events that takes longer is logged as slow.
  absl::Duration slow_batch = absl::Seconds(1);

  flow::RetryOptions retry;
  writer::WriterOptions writer;

  // OK, or InvalidArgument naming the first field at fault.
  absl::Status Validate() const;
};

// A gateway's stream, as the pipeline sees it. Methods are called on the pipeline's threads, never
// after Detach has returned, never with a lock of the pipeline held; they only hand over.
class StreamObserver {
 public:
  virtual ~StreamObserver() = default;
  // How far the producer's events have come. Neither value ever goes down.
  virtual void OnProgress(uint64_t journaled_through, uint64_t committed_through) = 0;
  // Before the OnProgress that covers it.
  virtual void OnRejected(const writer::Rejection& rejection) = 0;
  // There is room again, after RoomOrNotify said no.
  virtual void OnRoom() = 0;
  // Another stream took over the producer (ABORTED); or nothing more will be acknowledged: the
  // journal failed (DATA_LOSS) or the pipeline has stopped (UNAVAILABLE). The last call.
  virtual void OnEnd(const absl::Status& reason) = 0;
};

// What became of one unary batch.
struct Receipt {
  absl::Status status;  // OK, or why the batch was not taken or not settled.
  bool committed = false;
  std::vector<writer::Rejection> rejections;  // Of this batch.
};

enum class LaneState { kIdle, kBusy, kRetrying, kStopped, kFenced };

struct LaneReport {
  event::Lane lane = 0;
  LaneState state = LaneState::kIdle;
  std::string reason;   // Why it is not moving, and what to do.
  bool seated = false;  // Whether `seat` is known.
  writer::Seat seat;
  uint64_t head = 0;  // The last journaled ordinal: pending = head - seat.position.
  // Since the oldest pending event was accepted. When that has yet to be read from the journal:
  // since the last one read before it was, or the first that this run could not take into memory.
  absl::Duration oldest_age = absl::ZeroDuration();
};

struct PipelineStatus {
  std::vector<LaneReport> lanes;  // Those in use, in order of their number.
  journal::JournalStatus journal;
  uint64_t streams = 0;
};

// Thread-safe.
class Pipeline {
 public:
  // REQUIRES: options.Validate().ok(). Everything given must outlive the pipeline.
  static std::unique_ptr<Pipeline> Make(const PipelineOptions& options, journal::Journal& journal,
                                        mysql::SessionSource& sessions, base::Clock& clock,
                                        metrics::Metrics& metrics);
  virtual ~Pipeline() = default;  // Stops.

  virtual void Start() = 0;

  int lanes_per_kind() const { return lanes_per_kind_; }

  // For those who watch.
  Tap& tap() { return tap_; }

  // Streams. Attach ends an earlier stream of the same producer (its OnEnd) and returns the last
  // sequence that is held; the observer is told at once how far the producer has come. Detach
  // returns once no call to the observer is running. REQUIRES: Attach with an observer that is not
  // attached and a producer that is not nil; Detach not within a call to the same observer.
  virtual uint64_t Attach(const event::Id& producer, StreamObserver* observer) = 0;
  virtual void Detach(const event::Id& producer, StreamObserver* observer) = 0;

  // Hands in a batch; errors as in journal::Journal::Append. Never blocks. Progress is reported to
  // the producer's observer.
  virtual absl::Status Submit(std::shared_ptr<const event::Batch> batch) = 0;

  // As Submit, and calls `done` exactly once on a thread of the pipeline (or, on an immediate
  // failure, on the caller's): once the batch is journaled, or, if `until_committed`, settled.
  // Returns a number for Cancel.
  virtual uint64_t SubmitAndWait(std::shared_ptr<const event::Batch> batch, bool until_committed,
                                 absl::AnyInvocable<void(Receipt)> done) = 0;
  // The caller no longer waits: `done` is called with CANCELLED unless it was called already. The
  // batch itself goes on.
  virtual void Cancel(uint64_t number) = 0;

  // True if another batch may be read. Otherwise `observer` is told once when there is room again.
  virtual bool RoomOrNotify(StreamObserver* observer) = 0;

  virtual PipelineStatus Status() const = 0;

  // No event is taken any more (Submit returns UNAVAILABLE); waits until everything journaled is
  // settled or `deadline` (steady clock) has passed, or `give_up` returns true. Returns whether
  // nothing is left. What is left stays in the journal.
  virtual bool Drain(absl::Time deadline, absl::AnyInvocable<bool()> give_up) = 0;

  // Stops the threads, the journal's too. Idempotent.
  virtual void Stop() = 0;

 protected:
  explicit Pipeline(int lanes_per_kind) : lanes_per_kind_(lanes_per_kind) {}

 private:
  const int lanes_per_kind_;
  Tap tap_;
};

}  // namespace holdfast::pipeline
