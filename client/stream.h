// One stream to the daemon, as a mailbox: what arrives waits to be taken, what is sent goes out one
// request at a time. It decides nothing.

#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/grpcpp.h"
#include "grpcpp/impl/codegen/proto_utils.h"  // How TemplatedGenericStub reads a message.

#include "client/client.h"
#include "holdfast/v1/ingest.pb.h"

namespace holdfast::client {

// How a stream ended.
struct StreamEnd {
  absl::Status status;
  std::optional<std::string> pushback;  // grpc-retry-pushback-ms, if the daemon sent it.
};

// All methods are called by one thread, the worker's, and without `mu` unless they say so; gRPC's
// threads only move what they bring into guarded members. `mu` is the worker's, so that it can wait
// for the stream and for its callers with one condition.
class Stream final : private grpc::ClientBidiReactor<grpc::ByteBuffer, v1::StreamResponse> {
 public:
  // Opens a stream and sends the Hello. Every stream has a channel of its own, so that the pauses
  // between attempts are ours alone and not also the channel's, and certificates are read anew.
  Stream(const std::shared_ptr<grpc::Channel>& channel, const v1::Hello& hello, absl::Mutex* mu);

  // REQUIRES: Finish was called.
  ~Stream() override = default;

  // Tells the thread-safety analysis, and in debug checks, that the worker holds `mu`.
  void AssertLocked() const ABSL_ASSERT_EXCLUSIVE_LOCK(mu_) { mu_.AssertHeld(); }

  // Whether there is something to take.
  bool HasResponses() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return !inbox_.empty(); }
  // Whether the last write is through.
  bool CanWrite() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return !writing_ && !broken_; }
  // Whether nothing more will arrive.
  bool broken() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return broken_; }

  // What has arrived, in order.
  std::vector<v1::StreamResponse> TakeResponses() ABSL_LOCKS_EXCLUDED(mu_);

  // Writes a serialized StreamRequest. REQUIRES: CanWrite().
  void Write(const std::string& request) ABSL_LOCKS_EXCLUDED(mu_);

  // Says that nothing more will be written. REQUIRES: CanWrite().
  void WritesDone() { StartWritesDone(); }

  // Ends the stream at once.
  void Cancel() { context_.TryCancel(); }

  // Waits until gRPC has let go. REQUIRES: broken(), or Cancel was called. Call once.
  StreamEnd Finish() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  // Responses that wait to be taken, at most; then no more are read.
  static constexpr size_t kInboxMax = 256;

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnDone(const grpc::Status& status) override;

  bool finished() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return finished_; }

  absl::Mutex& mu_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::TemplatedGenericStub<grpc::ByteBuffer, v1::StreamResponse>> stub_;

  grpc::ByteBuffer request_;     // Of the write in flight.
  v1::StreamResponse response_;  // Of the read in flight.

  std::deque<v1::StreamResponse> inbox_ ABSL_GUARDED_BY(mu_);
  bool reading_ ABSL_GUARDED_BY(mu_) = true;
  bool writing_ ABSL_GUARDED_BY(mu_) = true;
  bool broken_ ABSL_GUARDED_BY(mu_) = false;
  bool finished_ ABSL_GUARDED_BY(mu_) = false;
  grpc::Status status_ ABSL_GUARDED_BY(mu_);
};

// gRPC's status as Abseil's; the codes are the same.
absl::Status FromGrpc(const grpc::Status& status);

// A channel to `target` for one use: no shared connections, no proxy, no retries of gRPC's own.
// Fails as ReadTls does.
absl::StatusOr<std::shared_ptr<grpc::Channel>> OpenChannel(const std::string& target,
                                                           const TlsOptions& tls);

}  // namespace holdfast::client
