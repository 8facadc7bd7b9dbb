// The pipeline put together: what is guarded by one lock, and which thread does what.
//
//   journal's thread   OnNumbered: lanes, which may begin
//                      OnDurable: books, then lanes, which may commit, then gateways
//   a lane's thread    OnSeated, OnSettled, OnFenced: books, then gateways, then the journal's
//                      release; OnRecovered: the other lanes
//   the housekeeper    every second: gauges and what was put off; at once: what Attach has posted
//
// Locks: release_mu_, then mu_. Under mu_ Streams may take its own; nothing else of this room is
// locked under it, and no gateway, lane or sink is called.

#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/span.h"

#include "server/base/clock.h"
#include "server/journal/journal.h"
#include "server/metrics/metrics.h"
#include "server/pipeline/lane.h"
#include "server/pipeline/memory.h"
#include "server/pipeline/pipeline.h"
#include "server/pipeline/progress.h"
#include "server/pipeline/receipts.h"
#include "server/pipeline/sink.h"
#include "server/pipeline/streams.h"

namespace holdfast::pipeline {

class PipelineImpl final : public Pipeline, private journal::Listener, private LaneListener {
 public:
  PipelineImpl(const PipelineOptions& options, std::vector<event::Lane> lanes,
               journal::Journal& journal, const SinkFactory& sinks, base::Clock& clock,
               metrics::Metrics& metrics);
  ~PipelineImpl() override;

  void Start() override;
  uint64_t Attach(const event::Id& producer, StreamObserver* observer) override;
  void Detach(const event::Id& producer, StreamObserver* observer) override;
  absl::Status Submit(std::shared_ptr<const event::Batch> batch) override;
  uint64_t SubmitAndWait(std::shared_ptr<const event::Batch> batch, bool until_committed,
                         absl::AnyInvocable<void(Receipt)> done) override;
  void Cancel(uint64_t number) override;
  bool RoomOrNotify(StreamObserver* observer) override;
  PipelineStatus Status() const override;
  bool Drain(absl::Time deadline, absl::AnyInvocable<bool()> give_up) override;
  void Stop() override;

 private:
  void OnNumbered(absl::Span<const journal::Durable> group) override;
  void OnDurable(absl::Span<const journal::Durable> group) override;
  void OnFailure(const absl::Status& failure) override;
  void OnSeated(event::Lane lane, uint64_t position) override;
  void OnSettled(const Settled& settled) override;
  void OnRecovered(event::Lane lane) override;
  void OnFenced(event::Lane lane) override;

  // The events of a group for each lane that got any.
  using Arrivals = std::array<std::unique_ptr<Arrival>, event::kLaneCount>;

  absl::Status Admit() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Distribute(const journal::Durable& durable, Arrivals* arrivals);
  void PostMoved(const event::Id& producer) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void PostAllMoved() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ReleaseSettled() ABSL_LOCKS_EXCLUDED(release_mu_, mu_);
  void Deliver();
  void OfferRoom();
  bool IsDrained() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  void Housekeep();
  void Tick();
  void AskLanesToLook();
  void Export();
  void Poke();
  bool IsPoked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(housekeeper_mu_) {
    return poked_ || housekeeper_stops_;
  }

  journal::Journal& journal_;
  base::Clock& clock_;
  metrics::Metrics& metrics_;
  const absl::Duration look_every_;
  const journal::LanePositions recovered_heads_;
  const std::vector<event::Lane> lane_numbers_;
  Memory memory_;
  Streams streams_;

  mutable absl::Mutex mu_;
  Progress progress_ ABSL_GUARDED_BY(mu_);
  Receipts receipts_ ABSL_GUARDED_BY(mu_);
  absl::Status ended_ ABSL_GUARDED_BY(mu_);  // Why nothing more will be acknowledged.
  bool draining_ ABSL_GUARDED_BY(mu_) = false;
  // Batches that the journal has taken, or is being asked to, and has not told of yet.
  uint64_t in_journal_ ABSL_GUARDED_BY(mu_) = 0;
  absl::Time last_sweep_ ABSL_GUARDED_BY(mu_) = absl::InfinitePast();

  // Held while the journal is told what may go, so that it never hears the older positions last:
  // they go down when the database has lost something. Before mu_.
  absl::Mutex release_mu_;

  absl::Mutex housekeeper_mu_;
  bool poked_ ABSL_GUARDED_BY(housekeeper_mu_) = false;
  bool housekeeper_stops_ ABSL_GUARDED_BY(housekeeper_mu_) = false;

  absl::Mutex stop_mu_;
  bool stopped_ ABSL_GUARDED_BY(stop_mu_) = false;
  base::Thread housekeeper_;
  absl::Time next_look_ = absl::InfiniteFuture();  // The housekeeper's own.
  // The journal's thread's own: which lanes have events in the group that goes to the disk.
  std::vector<event::Lane> numbered_lanes_;

  // By number; null for those not in use. Last: the lanes' events are counted in memory_.
  std::array<std::unique_ptr<Lane>, event::kLaneCount> lanes_;
};

}  // namespace holdfast::pipeline
