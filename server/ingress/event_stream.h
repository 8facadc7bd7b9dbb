// One open stream of a gateway.
//
//   opened --Hello--> flowing --half-close--> owing --all acknowledged--> OK
//      |                 |
//      +---- a fault, drain, take-over: `end_` is set; what is due goes out; then Finish ----+
//
// Invariants:
//
//  1. At most one read, one write and one Finish are under way, and none starts after Finish.
//  2. A batch is read only while there is room for it: in the pipeline, in what this stream may
//     have waiting for the journal, and in the errors that its client has still to read.
//  3. An error goes out before the acknowledgement that covers it (outbox.h); on a stream that
//     brings again what an earlier one brought, also an error that was lost with that one.
//  4. It deletes itself in OnDone, after it has left the pipeline: nobody calls it any more.
//
// gRPC's callbacks and the pipeline's come on their own threads; each takes `mu_`, changes the
// state and calls Advance, which starts whatever may start. The pipeline's Submit, Attach and
// Detach are called without it.

#pragma once

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"

#include "server/ingress/door.h"
#include "server/ingress/open_calls.h"
#include "server/ingress/outbox.h"

namespace holdfast::ingress {

class EventStream final : public grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>,
                          public pipeline::StreamObserver,
                          public Drainable {
 public:
  // Deletes itself. `door` must outlive it, `context` lives as long as the call.
  EventStream(Door& door, grpc::CallbackServerContext* context);

  void Drain() override;

 private:
  // Why the stream ends, and what comes before.
  struct Ending {
    absl::Status status;
    bool await_journal = false;  // Acknowledge first what is on its way to the journal.
  };
  // A batch that is handed in and not yet journaled.
  struct Waiting {
    uint64_t last_sequence = 0;
    size_t bytes = 0;
  };

  ~EventStream() override = default;

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

  void OnProgress(uint64_t journaled_through, uint64_t committed_through) override;
  void OnRejected(const writer::Rejection& rejection) override;
  void OnRoom() override;
  void OnEnd(const absl::Status& reason) override;

  absl::Status TakeRequest();
  absl::Status TakeHello(const v1::Hello& hello);
  absl::Status TakeBatch(event::Encoded encoded);

  // Acknowledges the progress, as far as it may be told already.
  void AcknowledgeCarried() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Sets the end unless there is one.
  void End(Ending ending) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Advance() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void WriteIfDue() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void FinishIfDue() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ReadIfRoom() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool MayRead() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool EverythingAcknowledged() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Finish(const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  Door& door_;
  grpc::CallbackServerContext* const context_;
  const event::Trace trace_;

  // Touched only between a read and its OnReadDone, and in OnDone.
  grpc::ByteBuffer read_;
  std::optional<event::Id> attached_;

  // Touched only between a write and its OnWriteDone.
  grpc::ByteBuffer written_;

  absl::Mutex mu_;
  v1::AckLevel ack_level_ ABSL_GUARDED_BY(mu_) = v1::ACK_LEVEL_UNSPECIFIED;  // Known after Hello.
  Outbox outbox_ ABSL_GUARDED_BY(mu_);
  Outbox::Progress progress_ ABSL_GUARDED_BY(mu_);  // As last told by the pipeline.
  // Acknowledged no further than this: set if the client said where the stream begins.
  std::optional<uint64_t> carried_through_ ABSL_GUARDED_BY(mu_);
  std::deque<Waiting> waiting_ ABSL_GUARDED_BY(mu_);
  size_t waiting_bytes_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t handed_in_through_ ABSL_GUARDED_BY(mu_) = 0;
  std::optional<Ending> end_ ABSL_GUARDED_BY(mu_);
  bool reading_ ABSL_GUARDED_BY(mu_) = false;  // Until what was read has been handed in.
  bool taking_ ABSL_GUARDED_BY(mu_) = false;   // Something was read and is being handed in.
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  bool awaits_room_ ABSL_GUARDED_BY(mu_) = false;
  bool stalled_ ABSL_GUARDED_BY(mu_) = false;
  bool half_closed_ ABSL_GUARDED_BY(mu_) = false;
  bool broken_ ABSL_GUARDED_BY(mu_) = false;  // Cancelled, or nobody is there to write to.
  bool finished_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace holdfast::ingress
