#include "server/admin/tail.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "google/protobuf/util/time_util.h"

namespace holdfast::admin {
namespace {

using google::protobuf::util::TimeUtil;
using pipeline::Tapped;

constexpr uint32_t kRateMax = 1000;
constexpr absl::Duration kLookEvery = absl::Milliseconds(100);

// How long an event is waited for to reach the database.
constexpr absl::Duration kPatience = absl::Seconds(1);

v1::TailOutcome OutcomeOf(Tapped::Outcome outcome) {
  switch (outcome) {
    case Tapped::Outcome::kJournaled:
      return v1::TAIL_OUTCOME_JOURNALED;
    case Tapped::Outcome::kCommitted:
      return v1::TAIL_OUTCOME_COMMITTED;
    case Tapped::Outcome::kQuarantined:
      return v1::TAIL_OUTCOME_QUARANTINED;
    case Tapped::Outcome::kRefused:
      return v1::TAIL_OUTCOME_REFUSED;
  }
  return v1::TAIL_OUTCOME_UNSPECIFIED;
}

void Describe(const Tapped& tapped, v1::TailedEvent* event) {
  if (tapped.lane.has_value()) {
    event->set_kind(std::string(event::KindName(event::KindOfLane(*tapped.lane))));
    event->set_lane(event::LaneName(*tapped.lane));
    *event->mutable_age() = TimeUtil::MicrosecondsToDuration(
        absl::ToInt64Microseconds(tapped.accepted_at - tapped.occurred_at));
  }
  if (!tapped.producer.is_nil()) event->set_producer_id(event::FormatUuid(tapped.producer));
  event->set_sequence(tapped.sequence);
  event->set_bytes(tapped.bytes);
  *event->mutable_accepted_at() =
      TimeUtil::MicrosecondsToTimestamp(absl::ToUnixMicros(tapped.accepted_at));
  *event->mutable_took() = TimeUtil::MicrosecondsToDuration(
      absl::ToInt64Microseconds(tapped.known_at - tapped.accepted_at));
  event->set_outcome(OutcomeOf(tapped.outcome));
  event->set_reason(tapped.reason);
  if (!tapped.content.empty()) event->mutable_event()->ParseFromString(tapped.content);
}

}  // namespace

absl::Status ReadTail(const v1::TailRequest& request, pipeline::TapOptions* options) {
  if (request.rate_max() > kRateMax) {
    return absl::InvalidArgumentError(absl::StrCat("rate_max: must be 0 to ", kRateMax));
  }
  if (request.rate_max() > 0) options->rate_max = request.rate_max();
  options->content = request.include_content();
  if (request.kind().empty()) return absl::OkStatus();
  for (const event::Kind kind : event::kKinds) {
    if (event::KindName(kind) == request.kind()) options->kind = kind;
  }
  if (options->kind.has_value()) return absl::OkStatus();
  return absl::InvalidArgumentError("kind: must be rate_limit, usage, message or empty");
}

v1::TailResponse TailOf(const pipeline::TapQueue::Taken& taken) {
  v1::TailResponse response;
  for (const Tapped& tapped : taken.events) Describe(tapped, response.add_events());
  response.set_not_sampled(taken.not_sampled);
  response.set_dropped(taken.dropped);
  return response;
}

// One caller. While a response is on its way to him nothing is taken from the queue: what he does
// not read in time is dropped there. Deletes itself.
class Tail::Stream final : public grpc::ServerWriteReactor<v1::TailResponse> {
 public:
  // `queue` is nullptr if he cannot listen.
  Stream(Tail& tail, std::shared_ptr<pipeline::TapQueue> queue)
      : tail_(tail), queue_(std::move(queue)) {}

  void Refuse(const absl::Status& refusal) {
    FinishOnce(grpc::Status(static_cast<grpc::StatusCode>(refusal.code()),
                            std::string(refusal.message())));
  }

  // Hands over what there is.
  void Look(absl::Time now) {
    absl::MutexLock lock(&mu_);
    if (writing_ || finished_) return;
    const pipeline::TapQueue::Taken taken = queue_->Take(now, kPatience);
    if (taken.empty()) return;
    response_ = TailOf(taken);
    writing_ = true;
    StartWrite(&response_);
  }

  // The daemon stops.
  void End() { FinishOnce(grpc::Status(grpc::StatusCode::UNAVAILABLE, "the daemon is stopping")); }

  void OnWriteDone(bool ok) override {
    {
      absl::MutexLock lock(&mu_);
      writing_ = false;
    }
    if (!ok) FinishOnce(grpc::Status::CANCELLED);
  }
  void OnCancel() override { FinishOnce(grpc::Status::CANCELLED); }
  void OnDone() override {
    tail_.Leave(this);
    delete this;
  }

  const std::shared_ptr<pipeline::TapQueue>& queue() const { return queue_; }

 private:
  void FinishOnce(const grpc::Status& status) {
    absl::MutexLock lock(&mu_);
    if (!std::exchange(finished_, true)) Finish(status);
  }

  Tail& tail_;
  const std::shared_ptr<pipeline::TapQueue> queue_;

  absl::Mutex mu_;
  v1::TailResponse response_;  // gRPC's while `writing_`.
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  bool finished_ ABSL_GUARDED_BY(mu_) = false;
};

Tail::Tail(DaemonView& daemon, base::Clock& clock)
    : daemon_(daemon), clock_(clock), thread_([this] { Run(); }) {}

Tail::~Tail() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
  }
  thread_.join();
}

grpc::ServerWriteReactor<v1::TailResponse>* Tail::Open(const v1::TailRequest& request) {
  pipeline::TapOptions options;
  absl::Status refusal = ReadTail(request, &options);
  std::shared_ptr<pipeline::TapQueue> queue =
      refusal.ok() ? daemon_.Tap().Listen(options) : nullptr;
  auto* const stream = new Stream(*this, queue);
  if (queue == nullptr) {
    if (refusal.ok()) {
      refusal = absl::ResourceExhaustedError(
          absl::StrCat(pipeline::Tap::kListenersMax, " others listen already; end one of them"));
    }
    stream->Refuse(refusal);
    return stream;
  }
  absl::MutexLock lock(&mu_);
  streams_.push_back(stream);
  return stream;
}

void Tail::Leave(Stream* stream) {
  if (stream->queue() == nullptr) return;
  daemon_.Tap().Leave(stream->queue());
  absl::MutexLock lock(&mu_);
  streams_.erase(std::remove(streams_.begin(), streams_.end(), stream), streams_.end());
}

void Tail::Run() {
  absl::MutexLock lock(&mu_);
  while (true) {
    mu_.Await(absl::Condition(this, &Tail::HasWork));
    if (stopping_) return;
    // Under the lock: a stream leaves before it goes. One that stayed would hold up the drain.
    const bool ends = daemon_.Facts().draining;
    for (Stream* stream : streams_) ends ? stream->End() : stream->Look(clock_.Now());
    mu_.AwaitWithTimeout(absl::Condition(&stopping_), kLookEvery);
  }
}

}  // namespace holdfast::admin
