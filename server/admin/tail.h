// Brings what the pipeline's tap shows to the callers of AdminService.Tail.

#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"

#include "holdfast/v1/admin.pb.h"
#include "server/admin/daemon_view.h"
#include "server/base/clock.h"
#include "server/pipeline/tap.h"

namespace holdfast::admin {

// InvalidArgument names the field.
absl::Status ReadTail(const v1::TailRequest& request, pipeline::TapOptions* options);

// What `taken` looks like to a caller.
v1::TailResponse TailOf(const pipeline::TapQueue::Taken& taken);

// Thread-safe. One thread looks at all listeners' queues ten times a second, and sleeps while there
// is none.
class Tail final {
 public:
  // Both must outlive it.
  Tail(DaemonView& daemon, base::Clock& clock);
  // REQUIRES: no call is open.
  ~Tail();

  Tail(const Tail&) = delete;
  Tail& operator=(const Tail&) = delete;

  // The answer to a call; it belongs to gRPC.
  grpc::ServerWriteReactor<v1::TailResponse>* Open(const v1::TailRequest& request);

 private:
  class Stream;

  void Run();
  void Leave(Stream* stream);
  bool HasWork() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return stopping_ || !streams_.empty(); }

  DaemonView& daemon_;
  base::Clock& clock_;

  absl::Mutex mu_;
  std::vector<Stream*> streams_ ABSL_GUARDED_BY(mu_);
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;

  std::thread thread_;
};

}  // namespace holdfast::admin
