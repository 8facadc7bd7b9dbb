#include "server/pipeline/pipeline.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

#include "server/base/seeded_bug.h"
#include "server/base/status_macros.h"
#include "server/pipeline/pipeline_impl.h"

namespace holdfast::pipeline {
namespace {

constexpr size_t kMemoryBytesMin = size_t{1} << 20;
constexpr size_t kBatchBytesMin = size_t{4} << 10;

// How often Drain asks whether to give up.
constexpr absl::Duration kGiveUpPoll = absl::Milliseconds(100);

constexpr char kNotTaken[] =
    "the daemon is draining and takes no more events; send them again later";

// Those of the setting, and those of an earlier one that may still hold events.
std::vector<event::Lane> LanesInUse(int lanes_per_kind, const journal::LanePositions& heads) {
  std::vector<event::Lane> lanes;
  for (const event::Kind kind : event::kKinds) {
    for (int index = 0; index < event::kLanesPerKindMax; ++index) {
      const event::Lane lane = event::MakeLane(kind, index);
      if (index < lanes_per_kind || heads[lane] > 0) lanes.push_back(lane);
    }
  }
  return lanes;
}

}  // namespace

absl::Status PipelineOptions::Validate() const {
  if (lanes_per_kind < 1 || lanes_per_kind > event::kLanesPerKindMax) {
    return absl::InvalidArgumentError(absl::StrCat("lanes_per_kind is ", lanes_per_kind,
                                                   ": must be 1 to ", event::kLanesPerKindMax));
  }
  if (memory_bytes_max < kMemoryBytesMin) {
    return absl::InvalidArgumentError(absl::StrCat("memory_bytes_max is ", memory_bytes_max,
                                                   ": must be at least ", kMemoryBytesMin));
  }
  if (batch_bytes_max < kBatchBytesMin) {
    return absl::InvalidArgumentError(absl::StrCat("batch_bytes_max is ", batch_bytes_max,
                                                   ": must be at least ", kBatchBytesMin));
  }
  if (look_every <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError(
        absl::StrCat("look_every is ", absl::FormatDuration(look_every), ": must be above zero"));
  }
  HOLDFAST_RETURN_IF_ERROR(retry.Validate());
  return writer.Validate();
}

std::unique_ptr<Pipeline> MakePipeline(const PipelineOptions& options, journal::Journal& journal,
                                       const SinkFactory& sinks, base::Clock& clock,
                                       metrics::Metrics& metrics) {
  return std::make_unique<PipelineImpl>(
      options, LanesInUse(options.lanes_per_kind, journal.recovered_heads()), journal, sinks, clock,
      metrics);
}

PipelineImpl::PipelineImpl(const PipelineOptions& options, std::vector<event::Lane> lanes,
                           journal::Journal& journal, const SinkFactory& sinks, base::Clock& clock,
                           metrics::Metrics& metrics)
    : Pipeline(options.lanes_per_kind),
      journal_(journal),
      clock_(clock),
      metrics_(metrics),
      look_every_(options.look_every),
      recovered_heads_(journal.recovered_heads()),
      lane_numbers_(std::move(lanes)),
      memory_(options.memory_bytes_max, static_cast<int>(lane_numbers_.size())),
      streams_(clock),
      progress_(lane_numbers_, recovered_heads_, journal.Status().last_offset,
                journal.producers()) {
  LaneListener* const listener = this;
  const uint64_t last_offset = journal.Status().last_offset;
  FeedLimits limits;
  limits.rows_max = static_cast<size_t>(options.writer.rows_max);
  limits.bytes_max = options.batch_bytes_max;
  for (const event::Lane lane : lane_numbers_) {
    const uint64_t head = recovered_heads_[lane];
    auto feed = std::make_unique<Feed>(lane, head, last_offset, limits, journal, memory_, clock);
    lanes_[lane] = std::make_unique<Lane>(lane, options, sinks(lane, head), std::move(feed), clock,
                                          metrics, listener);
  }
}

PipelineImpl::~PipelineImpl() { Stop(); }

void PipelineImpl::Start() {
  for (const event::Lane lane : lane_numbers_) lanes_[lane]->Start();
  housekeeper_ = clock_.StartThread([this] { Housekeep(); });
  journal_.Start(this);
}

uint64_t PipelineImpl::Attach(const event::Id& producer, StreamObserver* observer) {
  {
    absl::MutexLock lock(&mu_);
    // Forgotten there, and not yet here.
    if (journal_.LastSequence(producer) < progress_.Of(producer).journaled_through) {
      progress_.Forget(producer);
    }
    progress_.Update(producer);
    streams_.Attach(producer, observer, progress_.Of(producer), ended_);
  }
  Poke();
  return journal_.LastSequence(producer) + HOLDFAST_SEEDED_BUG(kResumeAfterOneTooHigh);
}

void PipelineImpl::Detach(const event::Id& /*producer*/, StreamObserver* observer) {
  streams_.Detach(observer);
}

absl::Status PipelineImpl::Admit() {
  if (!ended_.ok()) return ended_;
  if (draining_) return absl::UnavailableError(kNotTaken);
  return absl::OkStatus();
}

absl::Status PipelineImpl::Submit(std::shared_ptr<const event::Batch> batch) {
  {
    absl::MutexLock lock(&mu_);
    HOLDFAST_RETURN_IF_ERROR(Admit());
    ++in_journal_;
  }
  const absl::Status appended = journal_.Append(std::move(batch));
  if (!appended.ok()) {
    absl::MutexLock lock(&mu_);
    --in_journal_;
  }
  return appended;
}

uint64_t PipelineImpl::SubmitAndWait(std::shared_ptr<const event::Batch> batch,
                                     bool until_committed, absl::AnyInvocable<void(Receipt)> done) {
  uint64_t number = 0;
  absl::Status status;
  {
    absl::MutexLock lock(&mu_);
    status = Admit();
    if (status.ok()) {
      number = receipts_.Add(batch.get(), until_committed, done);
      if (number == 0) {
        status = absl::ResourceExhaustedError(
            absl::StrCat(Receipts::kReceiptsMax, " calls wait already; try again later"));
      } else {
        ++in_journal_;
      }
    }
  }
  if (!status.ok()) {
    Receipt receipt;
    receipt.status = status;
    std::move(done)(std::move(receipt));
    return 0;
  }
  const absl::Status appended = journal_.Append(std::move(batch));
  if (appended.ok()) return number;
  std::optional<Answer> answer;
  {
    absl::MutexLock lock(&mu_);
    --in_journal_;
    answer = receipts_.Cancel(number, appended);
  }
  if (answer.has_value()) std::move(answer->done)(std::move(answer->receipt));
  return number;
}

void PipelineImpl::Cancel(uint64_t number) {
  std::optional<Answer> answer;
  {
    absl::MutexLock lock(&mu_);
    answer = receipts_.Cancel(number, absl::CancelledError("the caller no longer waits"));
  }
  if (answer.has_value()) std::move(answer->done)(std::move(answer->receipt));
}

bool PipelineImpl::RoomOrNotify(StreamObserver* observer) {
  {
    absl::MutexLock lock(&mu_);
    if (!ended_.ok()) return false;  // OnEnd is on its way.
  }
  if (journal_.HasRoom()) return true;
  if (!streams_.WantRoom(observer)) return false;
  // Room that came before the mark was set would be told to nobody.
  return journal_.HasRoom() && streams_.NeedNoRoom(observer);
}

PipelineStatus PipelineImpl::Status() const {
  PipelineStatus status;
  for (const event::Lane lane : lane_numbers_) status.lanes.push_back(lanes_[lane]->Report());
  status.journal = journal_.Status();
  status.streams = streams_.count();
  return status;
}

bool PipelineImpl::IsDrained() const {
  const bool settled = progress_.AllSettled() || HOLDFAST_SEEDED_BUG(kDrainLeavesALaneBehind);
  return settled && (in_journal_ == 0 || !ended_.ok());
}

bool PipelineImpl::Drain(absl::Time deadline, absl::AnyInvocable<bool()> give_up) {
  {
    absl::MutexLock lock(&mu_);
    draining_ = true;
  }
  metrics_.draining->Set(1);
  for (const event::Lane lane : lane_numbers_) lanes_[lane]->Hurry();
  while (true) {
    {
      absl::MutexLock lock(&mu_);
      const absl::Duration left = deadline - clock_.Steady();
      if (clock_.AwaitWithTimeout(mu_, absl::Condition(this, &PipelineImpl::IsDrained),
                                  std::clamp(left, absl::ZeroDuration(), kGiveUpPoll))) {
        return true;
      }
      const bool none_to_come = in_journal_ == 0 || !ended_.ok();
      const bool hopeless = none_to_come && !progress_.MaySettle();
      if (hopeless || clock_.Steady() >= deadline) return false;
    }
    if (give_up()) return false;
  }
}

void PipelineImpl::Stop() {
  absl::MutexLock stop_lock(&stop_mu_);
  if (stopped_) return;
  stopped_ = true;
  {
    absl::MutexLock lock(&mu_);
    draining_ = true;
  }
  journal_.Stop();
  for (const event::Lane lane : lane_numbers_) lanes_[lane]->Stop();
  for (const event::Lane lane : lane_numbers_) lanes_[lane]->Join();
  {
    absl::MutexLock lock(&mu_);
    if (ended_.ok()) {
      ended_ = absl::UnavailableError(
          "the daemon stops; what is journaled goes on when it starts again");
    }
    streams_.PostEnd(ended_);
    receipts_.CancelAll(ended_);
  }
  {
    absl::MutexLock lock(&housekeeper_mu_);
    housekeeper_stops_ = true;
  }
  if (housekeeper_.joinable()) {
    housekeeper_.Join();  // It delivers once more.
  } else {
    Deliver();
  }
}

}  // namespace holdfast::pipeline
