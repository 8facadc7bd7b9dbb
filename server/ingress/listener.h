// The socket that gateways connect to, and the thread that accepts them.
//
// Our own instead of gRPC's: its listener (1.51) never accepts again once the process has run out
// of file descriptors, and its HTTP/2 parser should not see a byte of a peer that may not be here.
// So a connection is counted and its peer checked before gRPC gets it.

#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"

#include "server/ingress/listen_address.h"
#include "server/ingress/listening_socket.h"
#include "server/metrics/metrics.h"

namespace holdfast::ingress {

struct ListenerOptions {
  // Connections at a time; each takes two file descriptors. A gateway's channel needs one. Beyond
  // it a new one is closed at once.
  int connections_max = 256;

  // Users who may connect to a Unix socket, by number, besides our own. Empty: all whom the
  // socket's mode (0660, in a folder of 0750) lets in.
  std::vector<uid_t> allowed_uids;
};

// Thread-safe.
class Listener {
 public:
  // Binds and listens; errors as in ListeningSocket::Open.
  static absl::StatusOr<std::unique_ptr<Listener>> Bind(const ListenAddress& address,
                                                        const ListenerOptions& options,
                                                        metrics::Metrics& metrics);
  // Stops.
  ~Listener();

  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  // Where it listens: with the port that the system chose if 0 was asked for.
  const ListenAddress& address() const { return socket_.address(); }

  // Starts accepting. Each connection's descriptor goes to `take`, which owns it from then on, on
  // the listener's thread. REQUIRES: called once.
  void Start(absl::AnyInvocable<void(int listener, int connection)> take);

  // Accepts no more and removes the socket file. Connections that were accepted live on.
  // Idempotent.
  void Stop();

  int connections() const;

 private:
  Listener(ListeningSocket socket, ListenerOptions options, metrics::Metrics& metrics);

  absl::Status PrepareEvents();
  void Run();
  bool AcceptOne();  // Whether there may be another.
  bool MayEnter(int connection);
  void Forget(int watched);

  const ListenerOptions options_;
  metrics::Metrics& metrics_;
  absl::AnyInvocable<void(int, int)> take_;
  ListeningSocket socket_;
  int events_ = -1;   // epoll: the listener, the wake-up, and each connection's end.
  int wake_up_ = -1;  // eventfd.
  std::thread thread_;
  bool told_of_refusal_ = false;  // On thread_ alone.

  mutable absl::Mutex mu_;
  // A duplicate of each connection's descriptor: it tells when gRPC has shut the connection down.
  absl::flat_hash_set<int> watched_ ABSL_GUARDED_BY(mu_);
};

}  // namespace holdfast::ingress
