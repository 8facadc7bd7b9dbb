#include "tests/sim/gateway.h"

#include <algorithm>
#include <utility>

#include "server/event/event_id.h"
#include "tests/sim/events.h"

namespace holdfast::sim {

// One stream. Silent once it is forgotten.
class Gateway::Stream final : public pipeline::StreamObserver {
 public:
  explicit Stream(Gateway& gateway) : gateway_(gateway) {}

  void OnProgress(uint64_t journaled, uint64_t committed) override {
    if (!is_over_) gateway_.OnProgress(journaled, committed);
  }
  void OnRejected(const writer::Rejection& rejection) override {
    if (!is_over_) gateway_.OnRejected(rejection);
  }
  void OnRoom() override {}
  void OnEnd(const absl::Status& reason) override {
    if (!is_over_ && reason.ok()) gateway_.world_.failure->Say("a stream ended with OK");
    if (reason.code() == absl::StatusCode::kAborted && !may_be_taken_over_ && !is_over_) {
      gateway_.world_.failure->Say("a stream was taken over by nobody");
    }
    is_over_ = true;
  }

  bool is_over() const { return is_over_; }
  void Forget() { is_over_ = true; }
  void ExpectTakeOver() { may_be_taken_over_ = true; }

 private:
  Gateway& gateway_;
  bool is_over_ = false;
  bool may_be_taken_over_ = false;
};

Gateway::Gateway(const GatewayWorld& world, uint64_t number)
    : world_(world),
      number_(number),
      producer_(event::EventKey(absl::StrCat("gateway-", number))) {}

Gateway::~Gateway() = default;

void Gateway::Attach(pipeline::Pipeline& pipeline) {
  if (stream_ != nullptr) Detach();
  pipeline_ = &pipeline;
  stream_ = std::make_unique<Stream>(*this);
  Resume(pipeline.Attach(producer_, stream_.get()));
}

void Gateway::Resume(uint64_t held) {
  if (held > sent_) {
    world_.failure->Say("gateway ", number_, " is told to resume after ", held, ", sent were ",
                        sent_);
    ++world_.report->phantom;
  }
  // With damage about, what was sent beyond may be in the database, and the journal not know it.
  const bool damaged = excused_ && held < sent_;
  if (held >= accepted_ && !damaged) {
    // What was handed in during this life may not be durable yet.
    if (!sent_in_this_life_) accepted_ = held;
    sent_ = held;
    return;
  }
  if (!excused_) {
    world_.report->lost += accepted_ - held;
    world_.failure->Say("gateway ", number_, " is told to resume after ", held,
                        ", acknowledged were ", accepted_);
  }
  StartOver();
}

void Gateway::StartOver() {
  given_up_.push_back({number_, accepted_, sent_, true});
  pipeline_->Detach(producer_, stream_.get());
  ended_.push_back(std::move(stream_));
  number_ += 1000;
  producer_ = event::EventKey(absl::StrCat("gateway-", number_));
  sent_in_this_life_ = false;
  sent_ = journaled_ = committed_ = accepted_ = 0;
  excused_ = false;
  stream_ = std::make_unique<Stream>(*this);
  Resume(pipeline_->Attach(producer_, stream_.get()));
}

void Gateway::Detach() {
  if (stream_ == nullptr) return;
  pipeline_->Detach(producer_, stream_.get());
  stream_ = nullptr;
}

void Gateway::TakeOver() {
  if (stream_ == nullptr) return;
  stream_->ExpectTakeOver();
  std::unique_ptr<Stream> first = std::move(stream_);
  stream_ = std::make_unique<Stream>(*this);
  Resume(pipeline_->Attach(producer_, stream_.get()));
  pipeline_->Detach(producer_, first.get());
  ended_.push_back(std::move(first));
}

void Gateway::Forget() {
  if (stream_ == nullptr) return;
  stream_->Forget();
  sent_in_this_life_ = false;
  ended_.push_back(std::move(stream_));
  pipeline_ = nullptr;
}

void Gateway::Send(pipeline::Pipeline& pipeline, uint64_t count, uint64_t again) {
  if (stream_ == nullptr || stream_->is_over()) Attach(pipeline);
  again = std::min(again, sent_);
  v1::EventBatch message;
  message.set_first_sequence(sent_ + 1 - again);
  for (uint64_t i = 0; i < again + count; ++i) *message.add_events() = At(sent_ + 1 - again + i);
  const absl::Status taken = pipeline.Submit(
      ToBatch(std::move(message), producer_, pipeline.lanes_per_kind(), world_.clock->Now()));
  if (taken.ok()) {
    sent_ += count;
    sent_in_this_life_ = true;
    world_.report->duplicates_sent += again;
  } else if (absl::IsResourceExhausted(taken)) {
    ++world_.report->journals_full;
  } else if (!absl::IsUnavailable(taken) && !absl::IsDataLoss(taken)) {
    world_.failure->Say("gateway ", number_, ": ", taken.ToString());
  }
}

void Gateway::SendOn(pipeline::Pipeline& pipeline) {
  if (stream_ == nullptr || stream_->is_over()) Attach(pipeline);
  if (!sent_in_this_life_) Send(pipeline, 1, 0);
}

void Gateway::OnProgress(uint64_t journaled, uint64_t committed) {
  if (journaled > sent_ || committed > journaled) {
    ++world_.report->phantom;
    world_.failure->Say("gateway ", number_, " is told of ", journaled, " journaled and ",
                        committed, " committed, sent were ", sent_);
  }
  if (journaled < journaled_) {
    world_.failure->Say("gateway ", number_, ": journaled went down");
  }
  journaled_ = journaled;
  accepted_ = std::max(accepted_, journaled);
  if (committed > committed_) CheckSettled(committed_ + 1, committed);
  committed_ = std::max(committed_, committed);
}

void Gateway::CheckSettled(uint64_t first, uint64_t last) {
  if (!world_.is_settled) return;
  for (uint64_t sequence = first; sequence <= last; ++sequence) {
    if (world_.is_settled(At(sequence))) continue;
    ++world_.report->lost;
    world_.failure->Say("gateway ", number_, " is told that ", sequence,
                        " is committed, and the database does not have it");
  }
}

void Gateway::OnRejected(const writer::Rejection& rejection) {
  const v1::Event event = At(rejection.sequence);
  if (rejection.error_number != 0 && !IsPoison(event)) {
    world_.failure->Say("gateway ", number_, ": a good event was rejected: ", rejection.reason);
  }
}

v1::Event Gateway::At(uint64_t sequence) const { return MakeEvent(world_.seed, number_, sequence); }

std::vector<Gateway::Sent> Gateway::history() const {
  std::vector<Sent> history = given_up_;
  history.push_back({number_, accepted_, sent_, excused_});
  return history;
}

}  // namespace holdfast::sim
