#include "tests/bench/client_cost.h"

#include <grpcpp/grpcpp.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <memory>

#include "absl/types/span.h"

#include "client/client.h"
#include "holdfast/v1/ingest.grpc.pb.h"
#include "server/base/status_macros.h"

namespace holdfast::bench {
namespace {

constexpr absl::Duration kPatience = absl::Minutes(5);

class Nothing final : public v1::IngestService::Service {
  grpc::Status Stream(
      grpc::ServerContext* /*context*/,
      grpc::ServerReaderWriter<v1::StreamResponse, v1::StreamRequest>* stream) override {
    v1::StreamRequest request;
    if (!stream->Read(&request)) return grpc::Status::OK;
    v1::StreamResponse response;
    response.mutable_welcome()->set_ack_level(request.hello().ack_level());
    response.mutable_welcome()->set_batch_events_max(8192);
    response.mutable_welcome()->set_request_bytes_max(4 << 20);
    stream->Write(response);
    while (stream->Read(&request)) {
      const v1::EventBatch& batch = request.batch();
      const uint64_t last = batch.first_sequence() + static_cast<uint64_t>(batch.events_size()) - 1;
      response.mutable_ack()->set_journaled_through(last);
      response.mutable_ack()->set_committed_through(last);
      stream->Write(response);
    }
    return grpc::Status::OK;
  }
};

absl::Duration CpuOfThisProcess() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return absl::DurationFromTimeval(usage.ru_utime) + absl::DurationFromTimeval(usage.ru_stime);
}

}  // namespace

absl::Status ServeNothing(const Setting& setting) {
  if (setting.targets.size() != 1) return absl::InvalidArgumentError("--target must name one");
  Nothing service;
  grpc::ServerBuilder builder;
  builder.SetMaxReceiveMessageSize(8 << 20);
  builder.AddListeningPort(setting.targets.front(), grpc::InsecureServerCredentials());
  builder.RegisterService(&service);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) return absl::UnavailableError("cannot listen at " + setting.targets[0]);
  std::puts("ready");
  std::fflush(stdout);
  while (std::getchar() != EOF) {
  }
  server->Shutdown(std::chrono::system_clock::now());
  return absl::OkStatus();
}

absl::StatusOr<Batching> ClientBatching(const Setting& setting, size_t threads,
                                        const std::vector<v1::Event>& events) {
  if (setting.targets.size() != 1) return absl::InvalidArgumentError("--target must name one");
  client::Options options;
  options.target = setting.targets.front();
  options.ack_level = setting.ack_level;
  HOLDFAST_ASSIGN_OR_RETURN(const auto gateway, client::Client::Connect(options));
  HOLDFAST_RETURN_IF_ERROR(gateway->WaitOpened(kPatience).status());
  const absl::Duration cpu = CpuOfThisProcess();
  const size_t part = (events.size() + threads - 1) / threads;
  HOLDFAST_ASSIGN_OR_RETURN(
      const absl::Duration taken, TimeThreads(threads, [&](size_t index) -> absl::Status {
        const size_t first = std::min(events.size(), index * part);
        for (const v1::Event& event : absl::MakeSpan(events).subspan(first, part)) {
          HOLDFAST_RETURN_IF_ERROR(gateway->Send(event, kPatience, [](const absl::Status&) {}));
        }
        return gateway->Flush(kPatience);
      }));
  return Batching{taken, CpuOfThisProcess() - cpu};
}

}  // namespace holdfast::bench
