// The gate: the socket that gateways connect to, and the thread that stands there.
//
// Our own instead of gRPC's listener (1.51), which never accepts again once the process has run out
// of file descriptors, and whose HTTP/2 parser can be made to take memory without bound. Before
// gRPC sees a byte of a peer it was counted, its user is allowed to be here (Unix socket) or its
// certificate is good (TLS), and it has said that it speaks HTTP/2; from then on every byte passes
// through here, and what is no way to behave ends the connection (conduct.h).
//
// The limit on open files is kept away from: as many descriptors as the rest of the daemon needs
// stay free, whoever knocks.

#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

#include "server/base/clock.h"
#include "server/gate/admission.h"
#include "server/gate/listen_address.h"
#include "server/gate/listening_socket.h"
#include "server/gate/passage.h"
#include "server/gate/tls.h"
#include "server/metrics/metrics.h"

namespace holdfast::gate {

struct GateOptions {
  ListenAddress listen;
  TlsOptions tls;
  AdmissionOptions admission;

  // InvalidArgument, naming the field: TLS is for TCP, and required where other machines can
  // connect.
  absl::Status Validate() const;

  // What Bind would find wrong, without binding: Validate, the certificates, and a file that is in
  // the socket's place. FAILED_PRECONDITION, with the remedy.
  absl::Status Check() const;
};

// Thread-safe.
class Gate {
 public:
  // Binds and listens. Errors as in Validate, LoadTls and ListeningSocket::Open.
  static absl::StatusOr<std::unique_ptr<Gate>> Bind(const GateOptions& options, base::Clock& clock,
                                                    metrics::Metrics& metrics);
  // Closes at once.
  ~Gate();

  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  // Where it listens: with the port that the system chose if 0 was asked for.
  const ListenAddress& address() const { return address_; }

  // Starts accepting. gRPC's end of each connection goes to `take`, which owns it from then on, on
  // the gate's thread. REQUIRES: called once.
  void Start(absl::AnyInvocable<void(int descriptor)> take);

  // Accepts no more and removes the socket file; when it returns, `take` is called no more.
  // Connections that are open live on. Idempotent.
  void StopAccepting();

  // Lets what is on its way go out for at most `timeout`, and closes all connections. Idempotent.
  void Close(absl::Duration timeout);

  // A connection of our own, as a stranger's would be: over the same socket, past the same
  // thread. It needs no certificate, and enters even if there are too many. UNAVAILABLE if nobody
  // answers.
  absl::StatusOr<int> Knock();

  int connections() const { return connections_.load(std::memory_order_relaxed); }

 private:
  // What an event says whom it is about; passages have the numbers after these, two each.
  static constexpr uint64_t kSocketToken = 0;
  static constexpr uint64_t kWakeUpToken = 1;

  // A passage and what epoll was last told of it.
  struct Watched {
    std::unique_ptr<Passage> passage;
    uint32_t peer_events = 0;
    uint32_t inner_events = 0;
  };

  Gate(GateOptions options, ListeningSocket socket, base::Clock& clock, metrics::Metrics& metrics);

  absl::Status Prepare();
  static absl::Status FitToFileLimit(AdmissionOptions& admission);
  void WakeUp();
  void Run();
  int Patience(absl::Time now) const;
  void AcceptAll(absl::Time now);
  void PauseAccepting(bool pause);
  void LetIn(int connection, absl::Time now);
  void TurnAwayOne();
  bool IsOurs(int connection);
  void Serve(uint64_t id, absl::Time now);
  void ServeDue(absl::Time now);
  bool Watch(uint64_t id, Watched& watched);
  bool Tell(int descriptor, uint64_t token, uint32_t wanted, uint32_t* told);
  void Remove(uint64_t id, absl::Time now);
  static absl::string_view ReasonOf(const absl::Status& status);
  void Report(absl::string_view reason, absl::string_view peer, const absl::Status& status,
              absl::Time now);
  void ObeyStop(absl::Time now);
  bool MayEnd(absl::Time now);

  const GateOptions options_;
  const ListenAddress address_;
  base::Clock& clock_;
  metrics::Metrics& metrics_;
  std::atomic<int> connections_ = 0;

  int events_ = -1;   // epoll.
  int wake_up_ = -1;  // eventfd.
  std::thread thread_;

  // On thread_ alone once it runs.
  std::optional<ListeningSocket> socket_;
  std::optional<Certificates> certificates_;
  absl::AnyInvocable<void(int)> take_;
  Admission admission_;
  absl::flat_hash_map<uint64_t, Watched> passages_;
  uint64_t next_id_ = 1;
  std::string scratch_;
  int spare_ = -1;  // A descriptor to give up for one that has to be turned away.
  absl::Time accept_after_ = absl::InfinitePast();
  absl::flat_hash_map<std::string, absl::Time> reported_;  // By reason.

  mutable absl::Mutex mu_;
  bool stop_accepting_ ABSL_GUARDED_BY(mu_) = false;
  bool stopped_accepting_ ABSL_GUARDED_BY(mu_) = false;
  absl::Time end_by_ ABSL_GUARDED_BY(mu_) = absl::InfiniteFuture();
  // The peer that Knock is, until it has entered. One alone: an older one that never did must let
  // nobody in.
  std::string own_port_ ABSL_GUARDED_BY(mu_);
};

}  // namespace holdfast::gate
