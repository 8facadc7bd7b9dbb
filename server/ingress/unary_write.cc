#include "server/ingress/unary_write.h"

#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"

#include "server/base/status_macros.h"
#include "server/event/envelope.h"
#include "server/ingress/call_status.h"

namespace holdfast::ingress {
namespace {

// The results of a batch in its order: what was refused, what was quarantined, and the rest.
v1::WriteResponse ResultsOf(const event::Batch& batch, const pipeline::Receipt& receipt) {
  absl::flat_hash_map<uint64_t, v1::EventError> errors;
  for (const event::Refusal& refusal : batch.refusals) {
    errors[refusal.sequence] = RefusedError(refusal);
  }
  for (const writer::Rejection& rejection : receipt.rejections) {
    errors[rejection.sequence] = QuarantinedError(rejection);
  }
  v1::WriteResponse response;
  for (uint64_t sequence = batch.first_sequence; sequence <= batch.last_sequence; ++sequence) {
    v1::EventResult* result = response.add_results();
    const auto found = errors.find(sequence);
    if (found == errors.end()) {
      result->set_outcome(receipt.committed ? v1::OUTCOME_COMMITTED : v1::OUTCOME_JOURNALED);
      continue;
    }
    const v1::EventError& error = found->second;
    result->set_outcome(error.disposition() == v1::DISPOSITION_REFUSED ? v1::OUTCOME_REFUSED
                                                                       : v1::OUTCOME_QUARANTINED);
    result->set_field(error.field());
    result->set_reason(error.reason());
    result->set_code(error.code());
  }
  return response;
}

}  // namespace

grpc::ServerUnaryReactor* UnaryWrite::Begin(Door& door, grpc::CallbackServerContext* context,
                                            const grpc::ByteBuffer* request,
                                            grpc::ByteBuffer* response) {
  auto write = std::make_shared<UnaryWrite>(door, context, request->Length(), response);
  write->self_ = write;
  const absl::Status handed_in = write->HandIn(*request);
  if (!handed_in.ok()) write->End(handed_in);
  // Alive until gRPC has called OnDone, which it does only after it has got the reactor.
  return write.get();
}

UnaryWrite::UnaryWrite(Door& door, grpc::CallbackServerContext* context, size_t request_bytes,
                       grpc::ByteBuffer* response)
    : door_(door), context_(context), request_bytes_(request_bytes), response_(response) {}

absl::Status UnaryWrite::HandIn(const grpc::ByteBuffer& request) {
  if (door_.calls.draining()) {
    return absl::UnavailableError("the daemon is draining; connect again and repeat the call");
  }
  HOLDFAST_ASSIGN_OR_RETURN(std::string bytes, BytesOf(request, door_.options.request_bytes_max));
  HOLDFAST_ASSIGN_OR_RETURN(event::WriteEnvelope envelope,
                            event::ReadWriteRequest(std::move(bytes)));
  event::Id producer;
  if (!envelope.producer_id.empty()) {
    HOLDFAST_ASSIGN_OR_RETURN(producer, ReadProducer("producer_id", envelope.producer_id));
  }
  entered_ = door_.calls.EnterWrite(request_bytes_);
  if (!entered_) {
    return absl::ResourceExhaustedError("too many Write calls are open; wait, or use a stream");
  }
  HOLDFAST_ASSIGN_OR_RETURN(
      const std::shared_ptr<const event::Batch> batch,
      ReadBatch(door_, std::move(envelope.batch), producer, TraceOf(*context_)));
  const v1::AckLevel level = envelope.wait_for == v1::ACK_LEVEL_UNSPECIFIED
                                 ? door_.options.default_ack_level
                                 : envelope.wait_for;
  // `done` may run before SubmitAndWait has returned, and on this thread: it takes no lock of ours.
  const uint64_t number = door_.pipeline.SubmitAndWait(
      batch, level == v1::ACK_LEVEL_COMMITTED,
      [write = shared_from_this(), batch](const pipeline::Receipt& receipt) {
        write->Answer(*batch, receipt);
      });
  bool cancelled = false;
  {
    absl::MutexLock lock(&mu_);
    handed_in_ = true;
    number_ = number;
    cancelled = cancelled_;
  }
  if (cancelled) door_.pipeline.Cancel(number);
  return absl::OkStatus();
}

void UnaryWrite::OnCancel() {
  uint64_t number = 0;
  {
    absl::MutexLock lock(&mu_);
    cancelled_ = true;
    if (!handed_in_) return;  // HandIn sees to it.
    number = number_;
  }
  door_.pipeline.Cancel(number);
}

void UnaryWrite::Answer(const event::Batch& batch, const pipeline::Receipt& receipt) {
  if (receipt.status.ok()) *response_ = BufferOf(ResultsOf(batch, receipt));
  End(receipt.status);
}

void UnaryWrite::End(const absl::Status& status) {
  if (status.code() == absl::StatusCode::kResourceExhausted) {
    context_->AddTrailingMetadata(kPushbackKey, Pushback());
  }
  door_.metrics.Requests("Write", CodeName(status.code())).Increment();
  Finish(ToGrpc(status));
}

void UnaryWrite::OnDone() {
  if (entered_) door_.calls.LeaveWrite(request_bytes_);
  self_.reset();
}

}  // namespace holdfast::ingress
