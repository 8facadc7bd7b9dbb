#include "server/ingress/event_stream.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <utility>

#include "server/base/status_macros.h"
#include "server/event/envelope.h"
#include "server/ingress/call_status.h"

namespace holdfast::ingress {

EventStream::EventStream(Door& door, grpc::CallbackServerContext* context)
    : door_(door), context_(context), trace_(TraceOf(*context)) {
  door_.metrics.streams->Increment();
  if (door_.calls.EnterStream(this)) {
    absl::MutexLock lock(&mu_);
    Advance();
    return;
  }
  absl::MutexLock lock(&mu_);
  End({absl::ResourceExhaustedError("too many streams are open; a gateway needs only one")});
  Advance();
}

void EventStream::Drain() {
  absl::MutexLock lock(&mu_);
  End({absl::UnavailableError("the daemon is draining; connect again and send on"), true});
  Advance();
}

void EventStream::OnReadDone(bool ok) {
  bool take = false;
  {
    absl::MutexLock lock(&mu_);
    if (!ok) half_closed_ = true;
    take = ok && !end_.has_value() && !broken_;
    taking_ = take;
  }
  const absl::Status taken = take ? TakeRequest() : absl::OkStatus();
  read_.Clear();

  absl::MutexLock lock(&mu_);
  reading_ = false;
  taking_ = false;
  if (!taken.ok()) End({taken, true});
  Advance();
}

absl::Status EventStream::TakeRequest() {
  HOLDFAST_ASSIGN_OR_RETURN(std::string bytes, BytesOf(read_, door_.options.request_bytes_max));
  HOLDFAST_ASSIGN_OR_RETURN(event::StreamEnvelope request,
                            event::ReadStreamRequest(std::move(bytes)));
  if (request.hello.has_value()) return TakeHello(*request.hello);
  return TakeBatch(std::move(request.batch));
}

absl::Status EventStream::TakeHello(const v1::Hello& hello) {
  if (attached_.has_value()) return FieldError("hello", "may only be a stream's first message");
  HOLDFAST_ASSIGN_OR_RETURN(const event::Id producer,
                            ReadProducer("hello.producer_id", hello.producer_id()));
  if (!v1::AckLevel_IsValid(hello.ack_level())) {
    return FieldError("hello.ack_level", "is not one that this daemon knows");
  }
  v1::Welcome welcome;
  welcome.set_ack_level(hello.ack_level() == v1::ACK_LEVEL_UNSPECIFIED
                            ? door_.options.default_ack_level
                            : hello.ack_level());
  welcome.set_batch_events_max(static_cast<uint32_t>(event::kBatchEventsMax));
  welcome.set_request_bytes_max(door_.options.request_bytes_max);
  attached_ = producer;
  {
    absl::MutexLock lock(&mu_);
    if (hello.first_sequence() > 0) carried_through_ = hello.first_sequence() - 1;
  }
  welcome.set_resume_after(door_.pipeline.Attach(producer, this));

  absl::MutexLock lock(&mu_);
  ack_level_ = welcome.ack_level();
  outbox_.Welcome(std::move(welcome));
  return absl::OkStatus();
}

absl::Status EventStream::TakeBatch(event::Encoded encoded) {
  if (!attached_.has_value()) return FieldError("request", "a stream's first message is hello");
  HOLDFAST_ASSIGN_OR_RETURN(const std::shared_ptr<const event::Batch> batch,
                            ReadBatch(door_, std::move(encoded), *attached_, trace_));
  bool resent = false;
  {
    // Before it is handed in: its acknowledgement may come at once, and the refusals go first. They
    // are true even if the batch is not taken after all.
    absl::MutexLock lock(&mu_);
    for (const event::Refusal& refusal : batch->refusals) outbox_.Add(RefusedError(refusal));
    resent = batch->last_sequence <= progress_.journaled_through;
    waiting_.push_back({batch->last_sequence, batch->bytes});
    waiting_bytes_ += batch->bytes;
  }
  const absl::Status submitted = door_.pipeline.Submit(batch);

  absl::MutexLock lock(&mu_);
  if (!submitted.ok()) {
    // Nothing else is added to its end: batches come one after the other.
    if (!waiting_.empty() && waiting_.back().last_sequence == batch->last_sequence) {
      waiting_bytes_ -= waiting_.back().bytes;
      waiting_.pop_back();
    }
    return submitted;
  }
  handed_in_through_ = std::max(handed_in_through_, batch->last_sequence);
  if (carried_through_.has_value()) {
    carried_through_ = std::max(*carried_through_, batch->last_sequence);
    AcknowledgeCarried();
  }
  if (resent) outbox_.Repeat();
  return absl::OkStatus();
}

void EventStream::OnProgress(uint64_t journaled_through, uint64_t committed_through) {
  absl::MutexLock lock(&mu_);
  progress_ = {journaled_through, committed_through};
  AcknowledgeCarried();
  while (!waiting_.empty() && waiting_.front().last_sequence <= journaled_through) {
    waiting_bytes_ -= waiting_.front().bytes;
    waiting_.pop_front();
  }
  Advance();
}

void EventStream::AcknowledgeCarried() {
  // The errors that would have to go out before may have been dropped.
  if (end_.has_value() && !end_->await_journal) return;
  const uint64_t limit = carried_through_.value_or(std::numeric_limits<uint64_t>::max());
  outbox_.Advance(
      {std::min(progress_.journaled_through, limit), std::min(progress_.committed_through, limit)});
}

void EventStream::OnRejected(const writer::Rejection& rejection) {
  absl::MutexLock lock(&mu_);
  if (finished_ || broken_ || (end_.has_value() && !end_->await_journal)) return;
  outbox_.Add(QuarantinedError(rejection));
  if (outbox_.errors() >= door_.options.unread_errors_end) {
    outbox_.Clear();
    end_ = Ending{absl::ResourceExhaustedError(
        "the errors of this stream are not read; what they say is in holdfast_quarantine")};
  }
  Advance();
}

void EventStream::OnRoom() {
  absl::MutexLock lock(&mu_);
  awaits_room_ = false;
  Advance();
}

void EventStream::OnEnd(const absl::Status& reason) {
  absl::MutexLock lock(&mu_);
  // Nothing more will be acknowledged here: whatever was waited for does not come.
  end_ = Ending{reason};
  Advance();
}

void EventStream::OnWriteDone(bool ok) {
  absl::MutexLock lock(&mu_);
  writing_ = false;
  if (!ok) broken_ = true;
  Advance();
}

void EventStream::OnCancel() {
  absl::MutexLock lock(&mu_);
  broken_ = true;
  Advance();
}

void EventStream::OnDone() {
  if (attached_.has_value()) door_.pipeline.Detach(*attached_, this);
  door_.metrics.streams->Decrement();
  door_.calls.LeaveStream(this);
  delete this;
}

void EventStream::End(Ending ending) {
  if (!end_.has_value()) end_ = std::move(ending);
}

void EventStream::Advance() {
  WriteIfDue();
  FinishIfDue();
  ReadIfRoom();
}

void EventStream::WriteIfDue() {
  if (writing_ || broken_ || finished_) return;
  const std::optional<v1::StreamResponse> response = outbox_.Next();
  if (!response.has_value()) return;
  if (response->has_ack()) door_.metrics.acks->Increment();
  written_ = BufferOf(*response);
  writing_ = true;
  StartWrite(&written_);
}

void EventStream::FinishIfDue() {
  if (writing_ || finished_) return;
  if (broken_) return Finish(absl::CancelledError("the client has gone"));
  if (!outbox_.empty()) return;
  if (end_.has_value()) {
    // What was read before the end is still handed in and acknowledged.
    if (end_->await_journal && (taking_ || !waiting_.empty())) return;
    return Finish(end_->status);
  }
  if (!half_closed_) return;
  if (ack_level_ == v1::ACK_LEVEL_UNSPECIFIED) {
    return Finish(FieldError("request", "a stream's first message is hello"));
  }
  if (EverythingAcknowledged()) Finish(absl::OkStatus());
}

void EventStream::ReadIfRoom() {
  if (reading_ || half_closed_ || broken_ || finished_ || end_.has_value()) return;
  if (!MayRead()) {
    if (!std::exchange(stalled_, true)) door_.metrics.stream_stalls->Increment();
    return;
  }
  stalled_ = false;
  reading_ = true;
  StartRead(&read_);
}

bool EventStream::MayRead() {
  const IngestOptions& options = door_.options;
  if (waiting_.size() >= options.waiting_batches_max ||
      waiting_bytes_ >= options.waiting_bytes_max || outbox_.errors() > options.unread_errors_max ||
      awaits_room_) {
    return false;
  }
  // Before its Hello a stream is nobody's: it has nothing to wait for, and brings nothing large.
  if (ack_level_ == v1::ACK_LEVEL_UNSPECIFIED) return true;
  awaits_room_ = !door_.pipeline.RoomOrNotify(this);
  return !awaits_room_;
}

bool EventStream::EverythingAcknowledged() const {
  const Outbox::Progress& progress = outbox_.progress();
  const uint64_t through = ack_level_ == v1::ACK_LEVEL_COMMITTED ? progress.committed_through
                                                                 : progress.journaled_through;
  return through >= handed_in_through_;
}

void EventStream::Finish(const absl::Status& status) {
  finished_ = true;
  if (status.code() == absl::StatusCode::kResourceExhausted) {
    context_->AddTrailingMetadata(kPushbackKey, Pushback());
  }
  door_.metrics.Requests("Stream", CodeName(status.code())).Increment();
  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>::Finish(ToGrpc(status));
}

}  // namespace holdfast::ingress
