#include "tests/unit/ingress/fake_pipeline.h"

#include <algorithm>
#include <utility>

#include "server/base/check.h"

namespace holdfast::test {
namespace {
constexpr absl::Duration kPatience = absl::Seconds(30);
}  // namespace

void FakePipeline::Hold(const event::Id& producer, uint64_t last_sequence) {
  absl::MutexLock lock(&mu_);
  held_[producer] = last_sequence;
}

void FakePipeline::FailSubmits(absl::Status status) {
  absl::MutexLock lock(&mu_);
  submit_status_ = std::move(status);
}

void FakePipeline::CloseRoom() {
  absl::MutexLock lock(&mu_);
  has_room_ = false;
}

void FakePipeline::OpenRoom() {
  absl::MutexLock calling(&calling_);
  std::vector<pipeline::StreamObserver*> told;
  {
    absl::MutexLock lock(&mu_);
    has_room_ = true;
    told.swap(want_room_);
  }
  for (pipeline::StreamObserver* observer : told) observer->OnRoom();
}

bool FakePipeline::AwaitBatches(size_t count) {
  absl::MutexLock lock(&mu_);
  const auto there = [&]() ABSL_SHARED_LOCKS_REQUIRED(mu_) { return batches_.size() >= count; };
  return mu_.AwaitWithTimeout(absl::Condition(&there), kPatience);
}

bool FakePipeline::AwaitStreams(size_t count) {
  absl::MutexLock lock(&mu_);
  const auto there = [&]() ABSL_SHARED_LOCKS_REQUIRED(mu_) { return observers_.size() == count; };
  return mu_.AwaitWithTimeout(absl::Condition(&there), kPatience);
}

bool FakePipeline::AwaitWrites(size_t count) {
  absl::MutexLock lock(&mu_);
  const auto there = [&]() ABSL_SHARED_LOCKS_REQUIRED(mu_) { return writes_.size() == count; };
  return mu_.AwaitWithTimeout(absl::Condition(&there), kPatience);
}

bool FakePipeline::AwaitRoomAsked() {
  absl::MutexLock lock(&mu_);
  const auto asked = [&]() ABSL_SHARED_LOCKS_REQUIRED(mu_) { return !want_room_.empty(); };
  return mu_.AwaitWithTimeout(absl::Condition(&asked), kPatience);
}

std::vector<std::shared_ptr<const event::Batch>> FakePipeline::batches() const {
  absl::MutexLock lock(&mu_);
  return batches_;
}

size_t FakePipeline::cancelled() const {
  absl::MutexLock lock(&mu_);
  return cancelled_;
}

template <typename Call>
void FakePipeline::Tell(const event::Id& producer, Call call) {
  absl::MutexLock calling(&calling_);
  pipeline::StreamObserver* observer = nullptr;
  {
    absl::MutexLock lock(&mu_);
    const auto found = observers_.find(producer);
    if (found != observers_.end()) observer = found->second;
  }
  if (observer != nullptr) call(*observer);
}

void FakePipeline::Progress(const event::Id& producer, uint64_t journaled, uint64_t committed) {
  Tell(producer,
       [&](pipeline::StreamObserver& observer) { observer.OnProgress(journaled, committed); });
}

void FakePipeline::Reject(const event::Id& producer, const writer::Rejection& rejection) {
  Tell(producer, [&](pipeline::StreamObserver& observer) { observer.OnRejected(rejection); });
}

void FakePipeline::End(const event::Id& producer, const absl::Status& reason) {
  Tell(producer, [&](pipeline::StreamObserver& observer) { observer.OnEnd(reason); });
}

void FakePipeline::Answer(pipeline::Receipt receipt) {
  HOLDFAST_CHECK(AnswerIfAny(std::move(receipt)));
}

bool FakePipeline::AnswerIfAny(pipeline::Receipt receipt) {
  Waiting waiting;
  {
    absl::MutexLock lock(&mu_);
    if (writes_.empty()) return false;
    waiting = std::move(writes_.begin()->second);
    writes_.erase(writes_.begin());
  }
  std::move(waiting.done)(std::move(receipt));
  return true;
}

bool FakePipeline::OldestWaitsForCommit() const {
  absl::MutexLock lock(&mu_);
  return writes_.begin()->second.until_committed;
}

uint64_t FakePipeline::Attach(const event::Id& producer, pipeline::StreamObserver* observer) {
  absl::MutexLock lock(&mu_);
  observers_[producer] = observer;
  return held_[producer];
}

void FakePipeline::Detach(const event::Id& producer, pipeline::StreamObserver* observer) {
  absl::MutexLock calling(&calling_);
  absl::MutexLock lock(&mu_);
  const auto found = observers_.find(producer);
  if (found != observers_.end() && found->second == observer) observers_.erase(found);
  want_room_.erase(std::remove(want_room_.begin(), want_room_.end(), observer), want_room_.end());
}

absl::Status FakePipeline::Submit(std::shared_ptr<const event::Batch> batch) {
  absl::MutexLock lock(&mu_);
  if (!submit_status_.ok()) return submit_status_;
  batches_.push_back(std::move(batch));
  return absl::OkStatus();
}

uint64_t FakePipeline::SubmitAndWait(std::shared_ptr<const event::Batch> batch,
                                     bool until_committed,
                                     absl::AnyInvocable<void(pipeline::Receipt)> done) {
  pipeline::Receipt receipt;
  {
    absl::MutexLock lock(&mu_);
    if (submit_status_.ok()) {
      batches_.push_back(std::move(batch));
      writes_[++last_number_] = {until_committed, std::move(done)};
      return last_number_;
    }
    receipt.status = submit_status_;
  }
  std::move(done)(std::move(receipt));
  return 0;
}

void FakePipeline::Cancel(uint64_t number) {
  Waiting waiting;
  {
    absl::MutexLock lock(&mu_);
    const auto found = writes_.find(number);
    if (found == writes_.end()) return;
    waiting = std::move(found->second);
    writes_.erase(found);
    ++cancelled_;
  }
  pipeline::Receipt receipt;
  receipt.status = absl::CancelledError("the caller no longer waits");
  std::move(waiting.done)(std::move(receipt));
}

bool FakePipeline::RoomOrNotify(pipeline::StreamObserver* observer) {
  absl::MutexLock lock(&mu_);
  if (!has_room_) want_room_.push_back(observer);
  return has_room_;
}

pipeline::PipelineStatus FakePipeline::Status() const {
  absl::MutexLock lock(&mu_);
  pipeline::PipelineStatus status;
  status.streams = observers_.size();
  return status;
}

}  // namespace holdfast::test
