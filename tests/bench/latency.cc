#include "tests/bench/latency.h"

#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/codegen/client_unary_call.h>
#include <sys/prctl.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

#include "client/client.h"
#include "holdfast/v1/ingest.grpc.pb.h"
#include "server/base/clock.h"
#include "server/base/status_macros.h"
#include "server/disk/disk.h"
#include "server/event/event_id.h"
#include "server/metrics/metrics.h"
#include "server/writer/lane_writer.h"
#include "tests/bench/workload.h"

namespace holdfast::bench {
namespace {

constexpr absl::Duration kPatience = absl::Minutes(5);
constexpr size_t kBlockBytes = 4096;

absl::Time Steady() { return base::SystemClock().Steady(); }

// Ticks at a rate. A sleep that ends late does not count as the event's time; a caller that comes
// too late for its tick does.
class Pace {
 public:
  explicit Pace(double rate) : step_(rate > 0 ? absl::Seconds(1 / rate) : absl::ZeroDuration()) {
    // Sleeps end within microseconds instead of the usual fifty.
    prctl(PR_SET_TIMERSLACK, 1);
  }

  // Waits for the next tick; returns when what is timed began.
  absl::Time Wait() {
    if (step_ == absl::ZeroDuration()) return Steady();
    due_ += step_;
    const absl::Duration early = due_ - Steady();
    if (early <= absl::ZeroDuration()) return due_;
    absl::SleepFor(early);
    return Steady();
  }

 private:
  const absl::Duration step_;
  absl::Time due_ = Steady();
};

// A stream of one producer.
class BareStream {
 public:
  absl::Status Open(const Setting& setting) {
    if (setting.targets.size() != 1) return absl::InvalidArgumentError("--target must name one");
    level_ = setting.ack_level;
    stub_ = v1::IngestService::NewStub(
        grpc::CreateChannel(setting.targets.front(), grpc::InsecureChannelCredentials()));
    stream_ = stub_->Stream(&context_);
    v1::StreamRequest hello;
    hello.mutable_hello()->set_producer_id(event::FormatUuid(event::RandomUuid()));
    hello.mutable_hello()->set_ack_level(level_);
    v1::StreamResponse welcome;
    if (!stream_->Write(hello) || !stream_->Read(&welcome) || !welcome.has_welcome()) return End();
    return absl::OkStatus();
  }

  bool Send(const v1::StreamRequest& request) { return stream_->Write(request); }

  // The next acknowledgement's sequence.
  absl::StatusOr<uint64_t> NextAck() {
    v1::StreamResponse response;
    if (!stream_->Read(&response)) return absl::UnavailableError("nothing more to read");
    if (response.has_event_error()) {
      return absl::DataLossError("an event was refused: " + response.event_error().reason());
    }
    return level_ == v1::ACK_LEVEL_COMMITTED ? response.ack().committed_through()
                                             : response.ack().journaled_through();
  }

  // Once, when nobody reads any more.
  absl::Status End() {
    context_.TryCancel();
    const grpc::Status status = stream_->Finish();
    return absl::UnavailableError("the stream ended: " + status.error_message());
  }

 private:
  v1::AckLevel level_ = v1::ACK_LEVEL_JOURNALED;
  std::unique_ptr<v1::IngestService::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::StreamRequest, v1::StreamResponse>> stream_;
};

std::vector<v1::StreamRequest> MakeRequests(const std::vector<v1::Event>& events) {
  std::vector<v1::StreamRequest> requests(events.size());
  for (size_t i = 0; i < events.size(); ++i) {
    requests[i].mutable_batch()->set_first_sequence(i + 1);
    *requests[i].mutable_batch()->add_events() = events[i];
  }
  return requests;
}

// grpc.health.v1.Health/Check for the server as a whole: a request and a response without fields
// that matter, through what every generated stub calls.
absl::Status CallEmpty(grpc::ChannelInterface* channel) {
  static const grpc::internal::RpcMethod method("/grpc.health.v1.Health/Check",
                                                grpc::internal::RpcMethod::NORMAL_RPC);
  grpc::ClientContext context;
  grpc::Slice nothing;
  const grpc::ByteBuffer request(&nothing, 1);
  grpc::ByteBuffer response;
  const grpc::Status status = grpc::internal::BlockingUnaryCall<grpc::ByteBuffer, grpc::ByteBuffer>(
      channel, method, &context, request, &response);
  if (status.ok()) return absl::OkStatus();
  return absl::UnavailableError("the empty call failed: " + status.error_message());
}

}  // namespace

absl::StatusOr<std::vector<absl::Duration>> AckLatency(const Setting& setting,
                                                       const std::vector<v1::Event>& events) {
  const std::vector<v1::StreamRequest> requests = MakeRequests(events);
  std::vector<std::atomic<int64_t>> began(events.size());
  std::vector<absl::Duration> samples(events.size());
  const absl::Time zero = Steady();
  BareStream stream;
  HOLDFAST_RETURN_IF_ERROR(stream.Open(setting));
  std::atomic<uint64_t> acked = 0;
  absl::Status failure;
  std::thread reader([&] {
    while (acked < events.size()) {
      const absl::StatusOr<uint64_t> through = stream.NextAck();
      const absl::Time now = Steady();
      if (!through.ok()) {
        failure = through.status();
        acked = UINT64_MAX;
        break;
      }
      for (uint64_t i = acked; i < *through; ++i) {
        samples[i] = now - (zero + absl::Nanoseconds(began[i].load()));
      }
      acked = std::max(acked.load(), *through);
      acked.notify_one();
    }
    acked.notify_one();
  });
  Pace pace(setting.rate);
  for (size_t i = 0; i < requests.size() && acked != UINT64_MAX; ++i) {
    began[i] = absl::ToInt64Nanoseconds(pace.Wait() - zero);
    if (!stream.Send(requests[i])) break;
    if (setting.rate > 0) continue;
    for (uint64_t seen = acked; seen <= i; seen = acked) acked.wait(seen);
  }
  reader.join();
  const absl::Status ended = stream.End();
  if (!failure.ok()) {
    return absl::UnavailableError(absl::StrCat(failure.message(), "; ", ended.message()));
  }
  return samples;
}

absl::StatusOr<SyncAndCall> SyncAndCallLatency(const Setting& setting, size_t count) {
  if (setting.targets.size() != 1) return absl::InvalidArgumentError("--target must name one");
  HOLDFAST_ASSIGN_OR_RETURN(const auto disk, disk::OpenPosixDisk(setting.folder));
  HOLDFAST_ASSIGN_OR_RETURN(const auto file, disk->Create("zeros"));
  HOLDFAST_RETURN_IF_ERROR(file->Write(0, std::string(count * kBlockBytes, '\0')));
  HOLDFAST_RETURN_IF_ERROR(file->Sync());
  const auto channel =
      grpc::CreateChannel(setting.targets.front(), grpc::InsecureChannelCredentials());
  HOLDFAST_RETURN_IF_ERROR(CallEmpty(channel.get()));
  const std::string block(kBlockBytes, 'x');
  SyncAndCall samples;
  Pace pace(setting.rate);
  for (size_t i = 0; i < count; ++i) {
    (void)pace.Wait();
    const absl::Time begin = Steady();
    HOLDFAST_RETURN_IF_ERROR(file->Write(i * kBlockBytes, block));
    HOLDFAST_RETURN_IF_ERROR(file->Sync());
    const absl::Time synced = Steady();
    HOLDFAST_RETURN_IF_ERROR(CallEmpty(channel.get()));
    const absl::Time end = Steady();
    samples.sync.push_back(synced - begin);
    samples.call.push_back(end - synced);
    samples.both.push_back(end - begin);
  }
  HOLDFAST_RETURN_IF_ERROR(disk->Remove("zeros"));
  return samples;
}

absl::StatusOr<std::vector<absl::Duration>> TransactionLatency(
    const Setting& setting, const std::vector<v1::Event>& events) {
  metrics::Metrics metrics("bench");
  mysql::Pool pool(setting.database, base::SystemClock(), metrics);
  const std::vector<LaneWork> work = MakeLaneWork(events, 1, 1, base::SystemClock().Now());
  writer::WriterOptions options;
  options.writer_id = event::FormatUuid(event::RandomUuid());
  options.journal_id = event::RandomUuid();
  writer::LaneWriter lane(options, work.front().lane, 0, pool, base::SystemClock(), metrics);
  HOLDFAST_RETURN_IF_ERROR(lane.Open());
  std::vector<absl::Duration> samples;
  for (const auto& batch : work.front().batches) {
    const absl::Time begin = Steady();
    const auto written = lane.Write(batch);
    HOLDFAST_RETURN_IF_ERROR(written.status());
    if (written->done != 1) return absl::InternalError("an event was not written");
    samples.push_back(Steady() - begin);
  }
  return samples;
}

absl::StatusOr<std::vector<absl::Duration>> ClientLatency(const Setting& setting,
                                                          const std::vector<v1::Event>& events) {
  if (setting.targets.size() != 1) return absl::InvalidArgumentError("--target must name one");
  client::Options options;
  options.target = setting.targets.front();
  options.ack_level = setting.ack_level;
  HOLDFAST_ASSIGN_OR_RETURN(const auto gateway, client::Client::Connect(options));
  HOLDFAST_RETURN_IF_ERROR(gateway->WaitOpened(kPatience).status());
  std::vector<absl::Duration> samples;
  for (const v1::Event& event : events) {
    const absl::Time begin = Steady();
    HOLDFAST_RETURN_IF_ERROR(gateway->SendAndWait(event, kPatience));
    samples.push_back(Steady() - begin);
  }
  return samples;
}

}  // namespace holdfast::bench
