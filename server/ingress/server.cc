#include "server/ingress/server.h"

#include <grpc/support/log.h>
#include <grpcpp/create_channel_posix.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/health_check_service_interface.h>

#include <chrono>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "google/protobuf/stubs/logging.h"

#include "server/base/check.h"
#include "server/base/log.h"
#include "server/base/status_macros.h"

namespace holdfast::ingress {
namespace {

constexpr char kIngestName[] = "holdfast.v1.IngestService";
constexpr char kAdminName[] = "holdfast.v1.AdminService";

// gRPC itself refuses what is this much larger than a request may be, with RESOURCE_EXHAUSTED and
// without a word on the limit; below it we say what is wrong.
constexpr size_t kRequestMargin = size_t{1} << 20;

// How long the last answers may take to reach their peers.
constexpr absl::Duration kFarewell = absl::Seconds(1);

int Milliseconds(absl::Duration duration) {
  return static_cast<int>(absl::ToInt64Milliseconds(duration));
}

// gRPC takes a wall clock's time; only how far away it is matters.
std::chrono::system_clock::time_point After(absl::Duration timeout) {
  return std::chrono::system_clock::now() + absl::ToChronoMilliseconds(timeout);
}

void SetLimits(const ServerOptions& options, grpc::ServerBuilder& builder) {
  builder.SetMaxReceiveMessageSize(
      static_cast<int>(options.ingest.request_bytes_max + kRequestMargin));
  grpc::ResourceQuota quota("holdfast");
  quota.Resize(options.memory_bytes_max);
  builder.SetResourceQuota(quota);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, options.connection_streams_max);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS,
                             Milliseconds(options.connection_idle_max));
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, options.metadata_bytes_max);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, Milliseconds(options.keepalive_time));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS,
                             Milliseconds(options.keepalive_timeout));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             Milliseconds(options.ping_interval_min));
  // Nothing is gained between two processes of one machine, and a small message that unpacks to a
  // large one is an old trick.
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_DEFLATE, false);
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_GZIP, false);
}

// gRPC's errors are mostly of peers that do not keep to the protocol.
void LogOfGrpc(gpr_log_func_args* line) {
  if (line->severity == GPR_LOG_SEVERITY_ERROR) {
    base::LogWarning("grpc", {{"message", line->message}});
  } else {
    base::LogDebug("grpc", {{"message", line->message}});
  }
}

// Once for the process: gRPC keeps these in globals.
void EnablePlugins() {
  [[maybe_unused]] static const bool enabled = [] {
    gpr_set_log_function(LogOfGrpc);
    // It would print a line for each string that is not UTF-8; the refusal says it already.
    google::protobuf::SetLogHandler(nullptr);
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    return true;
  }();
}

}  // namespace

Server::Server(const ServerOptions& options, pipeline::Pipeline& pipeline, base::Clock& clock,
               metrics::Metrics& metrics)
    : clock_(clock),
      door_{options.ingest, pipeline, clock, metrics, OpenCalls(options.ingest.calls)},
      ingest_(door_) {}

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const ServerOptions& options,
                                                      pipeline::Pipeline& pipeline,
                                                      const std::vector<grpc::Service*>& more,
                                                      base::Clock& clock,
                                                      metrics::Metrics& metrics) {
  EnablePlugins();
  auto server = std::unique_ptr<Server>(new Server(options, pipeline, clock, metrics));
  HOLDFAST_ASSIGN_OR_RETURN(server->gate_, gate::Gate::Bind(options.gate, clock, metrics));
  HOLDFAST_RETURN_IF_ERROR(server->StartGrpc(options, more));
  server->gate_->Start([acceptor = server->acceptor_.get()](int connection) {
    grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters parameters;
    parameters.listener_fd = -1;  // None of gRPC's.
    parameters.fd = connection;
    acceptor->HandleNewConnection(&parameters);
  });
  return server;
}

absl::Status Server::StartGrpc(const ServerOptions& options,
                               const std::vector<grpc::Service*>& more) {
  grpc::ServerBuilder builder;
  SetLimits(options, builder);
  builder.RegisterService(&ingest_);
  for (grpc::Service* service : more) builder.RegisterService(service);
  acceptor_ = builder.experimental().AddExternalConnectionAcceptor(
      grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD,
      grpc::InsecureServerCredentials());
  grpc_ = builder.BuildAndStart();
  if (grpc_ == nullptr) {
    return absl::InternalError("gRPC did not start; the log says why");
  }
  grpc::HealthCheckServiceInterface* health = grpc_->GetHealthCheckService();
  HOLDFAST_CHECK(health != nullptr);
  health->SetServingStatus(kIngestName, true);
  health->SetServingStatus(kAdminName, !more.empty());
  return absl::OkStatus();
}

Server::~Server() { Shutdown(absl::ZeroDuration()); }

void Server::SetTakingEvents(bool taking) {
  grpc_->GetHealthCheckService()->SetServingStatus(kIngestName, taking);
}

absl::Status Server::Probe(absl::Duration timeout) const {
  HOLDFAST_ASSIGN_OR_RETURN(const int connection, gate_->Knock());
  // Of this one connection; gRPC owns it from here on.
  grpc::GenericStub stub(grpc::CreateInsecureChannelFromFd("probe", connection));

  grpc::ClientContext context;
  context.set_deadline(After(timeout));
  const grpc::Slice nothing;  // An empty HealthCheckRequest: of the server as a whole.
  const grpc::ByteBuffer request(&nothing, 1);
  grpc::ByteBuffer response;
  grpc::Status answer;
  absl::Notification done;
  stub.UnaryCall(&context, "/grpc.health.v1.Health/Check", grpc::StubOptions(), &request, &response,
                 [&answer, &done](grpc::Status status) {
                   answer = std::move(status);
                   done.Notify();
                 });
  done.WaitForNotification();
  if (answer.ok()) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat("the listener ", address(), " does not answer: ", answer.error_message()));
}

void Server::Shutdown(absl::Duration timeout) {
  absl::MutexLock lock(&shutdown_mu_);
  if (std::exchange(shut_down_, true)) return;
  if (gate_ != nullptr) gate_->StopAccepting();
  if (grpc_ == nullptr) return;
  grpc_->GetHealthCheckService()->Shutdown();
  door_.calls.Drain();
  grpc_->Shutdown(After(timeout));
  // What gRPC has said at last still goes out.
  gate_->Close(kFarewell);
  // gRPC returns once every reactor is done; a reactor leaves just before it is deleted.
  if (!door_.calls.AwaitNone(clock_, absl::Seconds(10))) {
    base::LogError("calls are still open after the server has ended", {{"listen", address()}});
  }
}

}  // namespace holdfast::ingress
