#include "server/pipeline/streams.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

#include "server/base/check.h"

namespace holdfast::pipeline {

void Streams::Attach(const event::Id& producer, StreamObserver* observer, const Reached& reached,
                     const absl::Status& ended) {
  HOLDFAST_CHECK(!producer.is_nil());
  absl::MutexLock lock(&mu_);
  HOLDFAST_CHECK(!streams_.contains(observer));
  const auto stream = std::make_shared<Stream>();
  stream->producer = producer;
  stream->observer = observer;
  streams_[observer] = stream;
  StreamPtr& current = by_producer_[producer];
  if (current != nullptr) {
    current->end = absl::AbortedError(
        absl::StrCat("another stream took over producer_id ", event::FormatUuid(producer),
                     ": a producer_id is for one client at a time, made anew when it starts"));
    MakeReady(current);
  }
  current = stream;
  stream->end = ended;
  if (reached.journaled_through > 0) stream->progress = reached;
  MakeReady(stream);
}

void Streams::Detach(StreamObserver* observer) {
  absl::MutexLock lock(&mu_);
  const auto it = streams_.find(observer);
  if (it == streams_.end()) return;
  const StreamPtr stream = it->second;
  streams_.erase(it);
  stream->attached = false;
  if (stream->wants_room) --wanting_room_;
  stream->wants_room = false;
  const auto current = by_producer_.find(stream->producer);
  if (current != by_producer_.end() && current->second == stream) by_producer_.erase(current);
  clock_.Await(mu_, absl::Condition(
                        +[](Stream* waited_for) { return !waited_for->delivering; }, stream.get()));
}

Streams::Stream* Streams::Of(const event::Id& producer) {
  const auto it = by_producer_.find(producer);
  if (it == by_producer_.end() || !it->second->end.ok()) return nullptr;
  MakeReady(it->second);
  return it->second.get();
}

void Streams::PostProgress(const event::Id& producer, const Reached& reached) {
  absl::MutexLock lock(&mu_);
  if (Stream* stream = Of(producer)) stream->progress = reached;
}

void Streams::PostRejection(const event::Id& producer, const writer::Rejection& rejection) {
  absl::MutexLock lock(&mu_);
  if (Stream* stream = Of(producer)) stream->rejections.push_back(rejection);
}

void Streams::PostEnd(const absl::Status& reason) {
  absl::MutexLock lock(&mu_);
  for (const auto& [observer, stream] : streams_) {
    if (stream->end.ok()) stream->end = reason;
    MakeReady(stream);
  }
}

bool Streams::WantRoom(StreamObserver* observer) {
  absl::MutexLock lock(&mu_);
  const auto it = streams_.find(observer);
  if (it == streams_.end() || it->second->ended) return false;
  if (!it->second->wants_room) ++wanting_room_;
  it->second->wants_room = true;
  return true;
}

bool Streams::NeedNoRoom(StreamObserver* observer) {
  absl::MutexLock lock(&mu_);
  const auto it = streams_.find(observer);
  if (it == streams_.end() || !it->second->wants_room) return false;
  it->second->wants_room = false;
  --wanting_room_;
  return true;
}

bool Streams::AnyWantsRoom() const {
  absl::MutexLock lock(&mu_);
  return wanting_room_ > 0;
}

void Streams::PostRoom() {
  absl::MutexLock lock(&mu_);
  if (wanting_room_ == 0) return;
  for (const auto& [observer, stream] : streams_) {
    if (!stream->wants_room) continue;
    stream->wants_room = false;
    stream->room = true;
    MakeReady(stream);
  }
  wanting_room_ = 0;
}

void Streams::MakeReady(const StreamPtr& stream) {
  if (stream->queued || stream->ended) return;
  stream->queued = true;
  ready_.push_back(stream);
}

void Streams::Deliver() {
  absl::MutexLock lock(&mu_);
  while (!ready_.empty()) {
    const StreamPtr stream = std::move(ready_.front());
    ready_.pop_front();
    stream->queued = false;
    // The thread that is within a call looks again before it leaves.
    if (!stream->delivering) DeliverOne(stream);
  }
}

void Streams::DeliverOne(const StreamPtr& stream) {
  stream->delivering = true;
  while (stream->attached && !stream->ended) {
    const auto rejections = std::exchange(stream->rejections, {});
    const auto progress = std::exchange(stream->progress, std::nullopt);
    const bool room = std::exchange(stream->room, false);
    const absl::Status end = stream->end;
    stream->ended = !end.ok();
    if (rejections.empty() && !progress.has_value() && !room && end.ok()) break;
    mu_.Unlock();
    StreamObserver& observer = *stream->observer;
    for (const writer::Rejection& rejection : rejections) observer.OnRejected(rejection);
    if (progress.has_value()) {
      observer.OnProgress(progress->journaled_through, progress->committed_through);
    }
    if (room) observer.OnRoom();
    if (!end.ok()) observer.OnEnd(end);
    mu_.Lock();
  }
  stream->delivering = false;
}

size_t Streams::count() const {
  absl::MutexLock lock(&mu_);
  return streams_.size();
}

}  // namespace holdfast::pipeline
