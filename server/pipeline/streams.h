// The gateways' streams: who is told what, in which order, and by whom.
//
// What a stream is to be told is posted under the pipeline's lock, in the order of events, and
// delivered after it is released, by whichever thread comes first: one at a time for each stream,
// and always the latest. So a value never goes down, a rejection comes before the progress that
// covers it, and a slow observer delays nobody's bookkeeping.

#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"

#include "server/base/clock.h"
#include "server/event/event_id.h"
#include "server/pipeline/pipeline.h"
#include "server/pipeline/progress.h"
#include "server/writer/lane_writer.h"

namespace holdfast::pipeline {

// Thread-safe. Only Deliver calls observers; it must be called without any lock after posting.
class Streams final {
 public:
  explicit Streams(base::Clock& clock) : clock_(clock) {}

  // Ends the producer's earlier stream. Posts what is reached so far, or `ended` if that is not OK.
  // REQUIRES: `observer` is not attached.
  void Attach(const event::Id& producer, StreamObserver* observer, const Reached& reached,
              const absl::Status& ended);
  // Waits until no call to `observer` runs. REQUIRES: not called within one of its own calls.
  void Detach(StreamObserver* observer);

  // Does nothing if the producer has no stream.
  void PostProgress(const event::Id& producer, const Reached& reached);
  void PostRejection(const event::Id& producer, const writer::Rejection& rejection);
  // To all streams, now and later.
  void PostEnd(const absl::Status& reason);

  // Marks `observer` for the next PostRoom; false if it is not attached or has ended.
  bool WantRoom(StreamObserver* observer);
  // Takes the mark back; false if there is none any more: it was posted.
  bool NeedNoRoom(StreamObserver* observer);
  bool AnyWantsRoom() const;
  void PostRoom();

  // Calls the observers that have something to be told, until none has.
  void Deliver();

  size_t count() const;

 private:
  struct Stream {
    event::Id producer;
    StreamObserver* observer = nullptr;
    bool attached = true;
    bool delivering = false;  // A thread is within a call.
    bool queued = false;      // In ready_.
    bool ended = false;       // OnEnd was called: nothing more.
    bool wants_room = false;

    // To be told.
    std::vector<writer::Rejection> rejections;
    std::optional<Reached> progress;
    bool room = false;
    absl::Status end;
  };
  using StreamPtr = std::shared_ptr<Stream>;

  void MakeReady(const StreamPtr& stream) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void DeliverOne(const StreamPtr& stream) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The producer's stream, made ready; null if there is none or it is to end.
  Stream* Of(const event::Id& producer) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  base::Clock& clock_;

  mutable absl::Mutex mu_;
  absl::flat_hash_map<StreamObserver*, StreamPtr> streams_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<event::Id, StreamPtr> by_producer_ ABSL_GUARDED_BY(mu_);
  std::deque<StreamPtr> ready_ ABSL_GUARDED_BY(mu_);
  size_t wanting_room_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace holdfast::pipeline
