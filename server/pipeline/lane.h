// One lane's thread: takes what its feed has, writes it, says how far it has come.
//
// Invariants:
//
//  1. The sink is handed rising ordinals, consecutive but for what the journal has lost, each after
//     the seat's position (the feed's part: feed.h).
//  2. After a failed attempt the next one is made with the same events, in the same cut, until the
//     sink has settled them or has said that the seat is elsewhere. Only what a failed journal can
//     no longer make durable is left out.
//  3. A lane that fails with more than a quick retry holds nothing but that cut, in its own share
//     of the memory: it cannot crowd out another.
//  4. A fenced lane never writes again.
//  5. Nothing is committed that is not durable. While the journal syncs, the rows are sent already.

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

#include "server/base/clock.h"
#include "server/event/batch.h"
#include "server/flow/retry_policy.h"
#include "server/metrics/metrics.h"
#include "server/pipeline/feed.h"
#include "server/pipeline/pipeline.h"
#include "server/pipeline/sink.h"

namespace holdfast::pipeline {

// How far a lane has come.
struct Settled {
  event::Lane lane = 0;
  uint64_t position = 0;             // Every event up to this ordinal is settled, or lost.
  uint64_t offset = 0;               // No event of the lane up to this offset is pending.
  std::vector<event::Id> producers;  // Those that had events in it; may repeat.
  std::vector<writer::Rejection> rejections;
};

// Told on the lane's thread, without any lock of the lane's.
class LaneListener {
 public:
  virtual ~LaneListener() = default;
  // The database says that the lane stands at `position`, which may be lower than what was settled.
  virtual void OnSeated(event::Lane lane, uint64_t position) = 0;
  virtual void OnSettled(const Settled& settled) = 0;
  // It moves again after failures that were more than a quick retry.
  virtual void OnRecovered(event::Lane lane) = 0;
  // It will not write again.
  virtual void OnFenced(event::Lane lane) = 0;
};

// Thread-safe, but for Start.
class Lane final {
 public:
  // The rest must outlive the lane, `listener` until Join has returned.
  Lane(event::Lane number, const PipelineOptions& options, std::unique_ptr<Sink> sink,
       std::unique_ptr<Feed> feed, base::Clock& clock, metrics::Metrics& metrics,
       LaneListener* listener);
  ~Lane();  // Stops.

  void Start();
  // Asks the thread to end; it does after the attempt under way.
  void Stop();
  void Join();

  // A wait before the next attempt ends now.
  void Hurry();
  // If it has nothing to write, it looks whether its row in the database is as it left it: a
  // failover may have lost what was committed, and no batch would come to notice.
  void AskToLook() { feed_->AskToLook(); }

  // When its row in the database was last seen to be as it was left. InfiniteFuture: it is
  // another's now.
  absl::Time seen_at() const;

  Feed& feed() { return *feed_; }
  LaneReport Report() const;

 private:
  // What the thread does after an attempt.
  enum class Then { kGoOn, kOpenAgain, kEnd };

  void Run();
  bool Open();
  Then DeliverAll();
  Then DeliverCut();
  Then Look();
  Then Follow(const writer::Written& written);
  void Accept(const writer::Written& written);
  Then PassOverLost();
  // Asks the database until it answers; nothing if the thread must end.
  std::optional<writer::Written> Insist(absl::FunctionRef<absl::StatusOr<writer::Written>()> ask,
                                        absl::string_view what);
  void SayWhatIsMissing(const writer::Seat& before, const writer::Seat& after) const;
  void TakeSeat();
  void Fence();
  bool FailAndWait(const absl::Status& failure, absl::string_view what);
  void Log(flow::Verdict verdict, const absl::Status& failure, absl::string_view what);
  // `journal_took`: how much of its time the journal had, whose disk must have the events first.
  void LogBatch(const writer::Written& written, absl::Duration journal_took);
  void Succeed();
  void Enter(LaneState state, std::string reason);
  void TellSettled(Settled settled);
  void NoteSeen(absl::Time at);

  bool Interrupted() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return stopping_ || hurry_; }

  const event::Lane number_;
  const std::string name_;
  const std::string writer_id_;
  const absl::Duration slow_batch_;
  base::Clock& clock_;
  metrics::Gauge& stopped_gauge_;
  LaneListener* const listener_;
  const std::unique_ptr<Feed> feed_;

  // The thread's own.
  const std::unique_ptr<Sink> sink_;
  flow::RetryPolicy retry_;
  std::vector<event::Accepted> cut_;     // Under way.
  bool gave_up_ = false;                 // The cut is in the lane's own share, the feed is closed.
  bool looking_ = false;                 // In place of a cut.
  absl::Time asked_at_;                  // When the attempt under way began.
  bool offset_known_ = false;            // The listener has an offset since the last seat.
  std::optional<flow::Verdict> logged_;  // What this run of failures was last logged as.

  base::Thread thread_;

  mutable absl::Mutex mu_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  bool hurry_ ABSL_GUARDED_BY(mu_) = false;
  LaneState state_ ABSL_GUARDED_BY(mu_) = LaneState::kRetrying;
  std::string reason_ ABSL_GUARDED_BY(mu_) = "not opened yet";
  bool seated_ ABSL_GUARDED_BY(mu_) = false;
  writer::Seat seat_ ABSL_GUARDED_BY(mu_);
  absl::Time seen_at_ ABSL_GUARDED_BY(mu_) = absl::InfinitePast();
  absl::Time cut_accepted_at_ ABSL_GUARDED_BY(mu_) = absl::InfiniteFuture();
};

}  // namespace holdfast::pipeline
