// The gRPC server behind the gate: the services, health, reflection, and the limits that keep a
// peer from taking more than its part.

#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "server/base/clock.h"
#include "server/gate/gate.h"
#include "server/ingress/door.h"
#include "server/ingress/ingest_service.h"
#include "server/metrics/metrics.h"
#include "server/pipeline/pipeline.h"

namespace holdfast::ingress {

struct ServerOptions {
  gate::GateOptions gate;
  IngestOptions ingest;

  // What gRPC may hold in its buffers, over all connections. Too little: streams wait for each
  // other.
  size_t memory_bytes_max = size_t{256} << 20;

  // HTTP headers of one request, unpacked.
  int metadata_bytes_max = 16 << 10;

  // Calls and streams of one connection at a time, as clients are told; who wants more waits. Less
  // than the gate's limit, which closes. More: more memory for who opens streams and lets them lie.
  int connection_streams_max = 128;

  // A connection without a call for so long is asked to go; its client comes back when it needs to.
  absl::Duration connection_idle_max = absl::Minutes(10);

  // A peer that is silent for so long is asked for a sign of life, and dropped without one.
  absl::Duration keepalive_time = absl::Seconds(60);
  absl::Duration keepalive_timeout = absl::Seconds(20);
  // Pings that come faster than this end the connection.
  absl::Duration ping_interval_min = absl::Seconds(10);
};

// Thread-safe.
class Server final {
 public:
  // Listens and serves. `more` are further services for the same listener. Everything given must
  // outlive the server. Errors as in gate::Gate::Bind.
  static absl::StatusOr<std::unique_ptr<Server>> Start(const ServerOptions& options,
                                                       pipeline::Pipeline& pipeline,
                                                       const std::vector<grpc::Service*>& more,
                                                       base::Clock& clock,
                                                       metrics::Metrics& metrics);
  ~Server();  // Shuts down at once.

  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Where it listens, with the port that was found if 0 was asked for.
  std::string address() const { return gate_->address().ToString(); }

  // What grpc.health.v1 says of IngestService: whether events are taken.
  void SetTakingEvents(bool taking);

  // Connects to this server through its gate and asks for its health, as a stranger would. OK if
  // it answered at all within `timeout`.
  absl::Status Probe(absl::Duration timeout) const;

  // Accepts no more, says NOT_SERVING, lets streams acknowledge what they have read, and ends.
  // Calls that are still open after `timeout` are cut off. Idempotent.
  void Shutdown(absl::Duration timeout);

 private:
  Server(const ServerOptions& options, pipeline::Pipeline& pipeline, base::Clock& clock,
         metrics::Metrics& metrics);
  absl::Status StartGrpc(const ServerOptions& options, const std::vector<grpc::Service*>& more);

  base::Clock& clock_;
  Door door_;
  IngestService ingest_;
  std::unique_ptr<gate::Gate> gate_;
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> acceptor_;
  std::unique_ptr<grpc::Server> grpc_;

  absl::Mutex shutdown_mu_;
  bool shut_down_ ABSL_GUARDED_BY(shutdown_mu_) = false;
};

}  // namespace holdfast::ingress
