// The client's one thread: opens streams, moves events out and answers in, and goes on until it is
// closed or the daemon says something that another attempt cannot mend.

#pragma once

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/random/random.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

#include "client/backoff.h"
#include "client/buffer.h"
#include "client/client.h"
#include "client/stream.h"

namespace holdfast::client {

// Thread-safe. What the public methods promise is written in client.h.
class Worker final {
 public:
  // REQUIRES: options.Validate() is OK.
  explicit Worker(const Options& options);
  ~Worker();

  absl::Status Send(std::string event, absl::Duration wait_max, Client::Callback done);
  absl::StatusOr<Opened> WaitOpened(absl::Duration wait_max);
  absl::Status Flush(absl::Duration wait_max);
  absl::Status Close(absl::Duration wait_max);
  Stats stats() const;
  // Whether this is the thread on which callbacks run: it must not wait for itself.
  bool OnOwnThread() const { return std::this_thread::get_id() == thread_.get_id(); }

 private:
  // What the thread does next on a stream.
  enum class Step { kRead, kWrite, kStop, kBroken, kSilent };

  // One stream's state; the thread's own.
  struct Turn {
    bool welcomed = false;
    Buffer::RequestLimits limits;
    absl::Time heard;  // When something last arrived, or began to be owed.
  };

  void Run();
  // Lets `pause` pass, or less if the client is to stop.
  void Pause(absl::Duration pause);
  // Opens a stream and serves it to its end; or says why there is none.
  StreamEnd Connect();
  StreamEnd Serve(Stream& stream, Turn& turn);
  // `failure` of a stream that was never welcomed, with what TLS has to do with it.
  absl::Status Explain(const absl::Status& failure);
  Step AwaitStep(Stream& stream, const Turn& turn);
  void Read(Stream& stream, Turn& turn);
  void Write(Stream& stream, Turn& turn);
  // Ends a stream that is no longer needed; in order, if there is time.
  StreamEnd Part(Stream& stream);
  // Until when to wait for the daemon to end it; nullopt: not at all.
  std::optional<absl::Time> PartingDeadline(const Stream& stream);
  // Whether something arrived; false also if nothing more will.
  bool AwaitMore(const Stream& stream, absl::Time until);
  // Decides what a stream's end means; returns how long to pause.
  absl::Duration Conclude(const StreamEnd& end);
  void GiveUpTheRest();
  void Call(std::vector<Buffer::Answer> answers);

  void OnResponse(const v1::StreamResponse& response, Turn& turn,
                  std::vector<Buffer::Answer>* answers) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void OnWelcome(const v1::Welcome& welcome, Turn& turn) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The daemon no longer knows this producer.
  void OnForgotten(absl::string_view why) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool ShouldStop() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool HasRoom(size_t bytes) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Why no event is taken any more; OK while they are.
  absl::Status Refusal() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const Options options_;

  // The thread's own.
  absl::BitGen random_;
  Backoff backoff_;
  absl::Status explained_;  // The failure that was last looked into, when, and what was found.
  absl::Time explained_at_ = absl::InfinitePast();
  absl::Status explanation_;

  mutable absl::Mutex mu_;
  Buffer buffer_ ABSL_GUARDED_BY(mu_);
  std::string producer_id_ ABSL_GUARDED_BY(mu_);
  std::optional<Opened> opened_ ABSL_GUARDED_BY(mu_);
  bool stream_is_useless_ ABSL_GUARDED_BY(mu_) = false;  // Cancel it and open another.
  bool connected_ ABSL_GUARDED_BY(mu_) = false;
  absl::Status last_error_ ABSL_GUARDED_BY(mu_);
  uint64_t streams_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t producers_renewed_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t called_before_ ABSL_GUARDED_BY(mu_) = 0;  // As Buffer::answered_before, callbacks run.
  absl::Time close_deadline_ ABSL_GUARDED_BY(mu_) = absl::InfiniteFuture();  // Finite: closing.
  absl::Status ended_ ABSL_GUARDED_BY(mu_);  // Why no other attempt is made.
  bool finished_ ABSL_GUARDED_BY(mu_) = false;

  std::thread thread_;  // Last: it uses all of the above.
};

}  // namespace holdfast::client
