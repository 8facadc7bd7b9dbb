// One Write call: a batch in, an answer once every event of it has come as far as was asked.

#pragma once

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"

#include "server/ingress/door.h"

namespace holdfast::ingress {

// Owned by itself until OnDone, and by whoever hands its batch in.
class UnaryWrite final : public grpc::ServerUnaryReactor,
                         public std::enable_shared_from_this<UnaryWrite> {
 public:
  // The reactor for gRPC. `door` must outlive the call; `request` and `response` live as long as
  // it.
  static grpc::ServerUnaryReactor* Begin(Door& door, grpc::CallbackServerContext* context,
                                         const grpc::ByteBuffer* request,
                                         grpc::ByteBuffer* response);

  UnaryWrite(Door& door, grpc::CallbackServerContext* context, size_t request_bytes,
             grpc::ByteBuffer* response);

 private:
  void OnCancel() override;
  void OnDone() override;

  absl::Status HandIn(const grpc::ByteBuffer& request);
  void Answer(const event::Batch& batch, const pipeline::Receipt& receipt);
  void End(const absl::Status& status);

  Door& door_;
  grpc::CallbackServerContext* const context_;
  const size_t request_bytes_;
  grpc::ByteBuffer* const response_;
  std::shared_ptr<UnaryWrite> self_;  // Until OnDone.
  bool entered_ = false;

  absl::Mutex mu_;
  bool handed_in_ ABSL_GUARDED_BY(mu_) = false;
  bool cancelled_ ABSL_GUARDED_BY(mu_) = false;
  uint64_t number_ ABSL_GUARDED_BY(mu_) = 0;  // For Pipeline::Cancel, once handed in.
};

}  // namespace holdfast::ingress
