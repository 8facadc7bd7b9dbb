// What the journal, the lanes and the clock tell the pipeline.

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

#include "server/base/check.h"
#include "server/base/log.h"
#include "server/pipeline/pipeline_impl.h"

namespace holdfast::pipeline {
namespace {

constexpr absl::Duration kTick = absl::Seconds(1);

// What costs something for every producer or segment is done at most so often after commits; the
// tick does what was left out.
constexpr absl::Duration kSweepEvery = absl::Milliseconds(100);

// Producers of which more is kept than the journal keeps itself.
constexpr size_t kProducersMax = 10'000;

}  // namespace

void PipelineImpl::OnNumbered(absl::Span<const journal::Durable> group) {
  Arrivals arrivals;
  for (const journal::Durable& durable : group) Distribute(durable, &arrivals);
  for (size_t lane = 0; lane < arrivals.size(); ++lane) {
    if (arrivals[lane] == nullptr) continue;
    lanes_[lane]->feed().OnNumbered(std::move(*arrivals[lane]));
    numbered_lanes_.push_back(static_cast<event::Lane>(lane));
  }
}

void PipelineImpl::OnDurable(absl::Span<const journal::Durable> group) {
  {
    absl::MutexLock lock(&mu_);
    for (const journal::Durable& durable : group) {
      HOLDFAST_CHECK(in_journal_ > 0);
      --in_journal_;
      progress_.OnDurable(durable);
      receipts_.OnDurable(durable, progress_);
      if (!durable.batch->producer.is_nil()) PostMoved(durable.batch->producer);
    }
  }
  if (tap().listening()) tap().OnDurable(group, clock_.Now());
  // The lanes come after the books: nothing is settled that is not in them.
  for (const event::Lane lane : numbered_lanes_) lanes_[lane]->feed().OnDurable();
  numbered_lanes_.clear();
  Deliver();
  OfferRoom();
}

void PipelineImpl::Distribute(const journal::Durable& durable, Arrivals* arrivals) {
  const event::Batch& batch = *durable.batch;
  std::array<bool, event::kLaneCount> seen{};
  std::array<bool, event::kLaneCount> hot{};
  std::shared_ptr<const event::Batch> owner;
  bool room = true;
  const event::Trace* const trace = batch.trace.is_set() ? &batch.trace : nullptr;
  for (size_t i = durable.first_new_item; i < batch.items.size(); ++i) {
    const event::Item& item = batch.items[i];
    std::unique_ptr<Arrival>& arrival = (*arrivals)[item.lane];
    if (arrival == nullptr) {
      arrival = std::make_unique<Arrival>();
      arrival->first_ordinal = durable.ordinals[i];
      arrival->accepted_at = batch.accepted_at;
    }
    arrival->last_ordinal = durable.ordinals[i];
    arrival->last_offset = durable.last_offset - (batch.items.size() - 1 - i);
    if (!seen[item.lane]) {
      seen[item.lane] = true;
      hot[item.lane] = lanes_[item.lane]->feed().TakesMore();
    }
    if (!hot[item.lane] || !room) continue;
    if (owner == nullptr) owner = memory_.TryHold(durable.batch);
    room = owner != nullptr;
    if (!room) continue;
    event::Accepted accepted;
    accepted.offset = arrival->last_offset;
    accepted.ordinal = durable.ordinals[i];
    accepted.producer = batch.producer;
    accepted.sequence = item.sequence;
    accepted.accepted_at = batch.accepted_at;
    accepted.bytes = item.bytes;
    accepted.trace = trace;
    accepted.owner = owner;
    arrival->events.push_back(std::move(accepted));
  }
}

void PipelineImpl::OnFailure(const absl::Status& failure) {
  {
    absl::MutexLock lock(&mu_);
    ended_ = absl::DataLossError(absl::StrCat(
        "the local journal failed, nothing more is acknowledged: ", failure.message()));
    streams_.PostEnd(ended_);
    receipts_.CancelAll(ended_);
  }
  for (const event::Lane lane : lane_numbers_) lanes_[lane]->feed().OnFailure();
  Deliver();
}

void PipelineImpl::OnSeated(event::Lane lane, uint64_t position) {
  bool went_back = false;
  {
    absl::MutexLock lock(&mu_);
    went_back = position < progress_.position(lane);
    progress_.OnSeated(lane, position);
    receipts_.OnSettled(lane, position);
    PostAllMoved();
  }
  Deliver();
  if (!went_back) return;
  // What the lane needs again must not go before it has been written.
  ReleaseSettled();
  // What happened to this lane has happened to all: the idle ones look now, while the journal still
  // has what they wrote.
  AskLanesToLook();
}

void PipelineImpl::OnSettled(const Settled& settled) {
  if (tap().listening()) {
    tap().OnSettled(settled.lane, settled.position, settled.rejections, clock_.Now());
  }
  bool release = false;
  {
    absl::MutexLock lock(&mu_);
    progress_.OnSettled(settled.lane, settled.position, settled.offset);
    for (const writer::Rejection& rejection : settled.rejections) {
      if (!rejection.producer.is_nil()) streams_.PostRejection(rejection.producer, rejection);
      receipts_.OnRejected(rejection);
    }
    for (const event::Id& producer : settled.producers) {
      if (progress_.Update(producer)) PostMoved(producer);
    }
    receipts_.OnSettled(settled.lane, settled.position);
    // What was lost had no producers.
    if (settled.producers.empty() || clock_.Steady() - last_sweep_ >= kSweepEvery) {
      last_sweep_ = clock_.Steady();
      PostAllMoved();
      release = true;
    }
  }
  Deliver();
  if (release) ReleaseSettled();
}

void PipelineImpl::ReleaseSettled() {
  absl::MutexLock in_order(&release_mu_);
  absl::Time seen_at = absl::InfiniteFuture();
  for (const event::Lane lane : lane_numbers_) {
    seen_at = std::min(seen_at, lanes_[lane]->seen_at());
  }
  journal::LanePositions positions;
  {
    absl::MutexLock lock(&mu_);
    positions = progress_.Positions();
  }
  journal_.Release(positions, seen_at);
}

// What held it up is over, most likely for all: the others need not wait out what they have drawn.
void PipelineImpl::OnRecovered(event::Lane recovered) {
  for (const event::Lane lane : lane_numbers_) {
    if (lane != recovered) lanes_[lane]->Hurry();
  }
}

void PipelineImpl::OnFenced(event::Lane lane) {
  absl::MutexLock lock(&mu_);
  progress_.OnFenced(lane);
}

void PipelineImpl::PostMoved(const event::Id& producer) {
  const Reached reached = progress_.Of(producer);
  streams_.PostProgress(producer, reached);
  receipts_.OnCommitted(producer, reached.committed_through);
}

void PipelineImpl::PostAllMoved() {
  for (const event::Id& producer : progress_.UpdateAll()) PostMoved(producer);
}

void PipelineImpl::Deliver() {
  std::vector<Answer> answers;
  {
    absl::MutexLock lock(&mu_);
    answers = receipts_.TakeAnswers();
  }
  streams_.Deliver();
  Send(std::move(answers));
}

void PipelineImpl::OfferRoom() {
  if (!streams_.AnyWantsRoom() || !journal_.HasRoom()) return;
  streams_.PostRoom();
  streams_.Deliver();
}

void PipelineImpl::Poke() {
  absl::MutexLock lock(&housekeeper_mu_);
  poked_ = true;
}

void PipelineImpl::AskLanesToLook() {
  for (const event::Lane lane : lane_numbers_) lanes_[lane]->AskToLook();
}

void PipelineImpl::Housekeep() {
  absl::Time next_tick = clock_.Steady();
  next_look_ = next_tick + look_every_;
  while (true) {
    bool stops = false;
    {
      absl::MutexLock lock(&housekeeper_mu_);
      clock_.AwaitWithTimeout(housekeeper_mu_, absl::Condition(this, &PipelineImpl::IsPoked),
                              std::max(next_tick - clock_.Steady(), absl::ZeroDuration()));
      poked_ = false;
      stops = housekeeper_stops_;
    }
    if (clock_.Steady() >= next_tick) {
      Tick();
      if (clock_.Steady() >= next_look_) {
        AskLanesToLook();
        next_look_ = clock_.Steady() + look_every_;
      }
      next_tick = clock_.Steady() + kTick;
    }
    Deliver();
    if (stops) return;
  }
}

void PipelineImpl::Tick() {
  {
    absl::MutexLock lock(&mu_);
    PostAllMoved();
    progress_.Thin(kProducersMax, [this](const event::Id& producer) {
      return journal_.LastSequence(producer) != 0;
    });
  }
  ReleaseSettled();
  OfferRoom();
  Export();
}

void PipelineImpl::Export() {
  std::array<uint64_t, event::kKindCount> pending{};
  std::array<absl::Duration, event::kKindCount> oldest{};
  for (const event::Lane lane : lane_numbers_) {
    const LaneReport report = lanes_[lane]->Report();
    // Of a lane without a seat only this run's events are known to be pending.
    const uint64_t settled = report.seated ? report.seat.position : recovered_heads_[lane];
    const size_t kind = static_cast<size_t>(event::KindOfLane(lane));
    pending[kind] += report.head - std::min(settled, report.head);
    oldest[kind] = std::max(oldest[kind], report.oldest_age);
  }
  for (size_t kind = 0; kind < pending.size(); ++kind) {
    metrics_.events_pending[kind]->Set(static_cast<double>(pending[kind]));
    metrics_.oldest_pending_seconds[kind]->Set(absl::ToDoubleSeconds(oldest[kind]));
  }
  metrics_.memory_batches_bytes->Set(static_cast<double>(memory_.used_bytes()));
}

}  // namespace holdfast::pipeline
