#include "client/stream.h"

#include <utility>

#include "grpc/grpc.h"

#include "client/tls.h"

namespace holdfast::client {
namespace {

constexpr char kMethod[] = "/holdfast.v1.IngestService/Stream";
constexpr char kPushbackKey[] = "grpc-retry-pushback-ms";
constexpr int kKeepaliveTimeMs = 20000;
constexpr int kKeepaliveTimeoutMs = 10000;

grpc::ByteBuffer ToByteBuffer(const std::string& bytes) {
  const grpc::Slice slice(bytes);
  return grpc::ByteBuffer(&slice, 1);
}

// Holds gRPC up until the process ends. Otherwise it would end with its last channel, which is ours
// in a process without others, and begin anew with the next one. Its end waits for its threads, and
// one of them may be watching, for ten seconds, a socket that took no more bytes: after the death
// of a busy daemon each new stream came so late, and Close went beyond its bound.
void KeepGrpc() {
  [[maybe_unused]] static const bool kept = [] {
    grpc_init();
    return true;
  }();
}

}  // namespace

Stream::Stream(const std::shared_ptr<grpc::Channel>& channel, const v1::Hello& hello,
               absl::Mutex* mu)
    : mu_(*mu),
      stub_(std::make_unique<grpc::TemplatedGenericStub<grpc::ByteBuffer, v1::StreamResponse>>(
          channel)) {
  v1::StreamRequest request;
  *request.mutable_hello() = hello;
  request_ = ToByteBuffer(request.SerializeAsString());
  stub_->PrepareBidiStreamingCall(&context_, kMethod, grpc::StubOptions(), this);
  AddHold();  // For the writes, which start outside of gRPC's threads. Finish removes it.
  StartRead(&response_);
  StartWrite(&request_);
  StartCall();
}

std::vector<v1::StreamResponse> Stream::TakeResponses() {
  std::vector<v1::StreamResponse> responses;
  bool resume = false;
  {
    absl::MutexLock lock(&mu_);
    responses.assign(std::make_move_iterator(inbox_.begin()),
                     std::make_move_iterator(inbox_.end()));
    inbox_.clear();
    resume = !reading_ && !broken_;
    if (resume) reading_ = true;
  }
  if (resume) {
    response_.Clear();
    StartRead(&response_);
  }
  return responses;
}

void Stream::Write(const std::string& request) {
  {
    absl::MutexLock lock(&mu_);
    writing_ = true;
  }
  request_ = ToByteBuffer(request);
  StartWrite(&request_);
}

StreamEnd Stream::Finish() {
  RemoveHold();
  absl::MutexLock lock(&mu_);
  mu_.Await(absl::Condition(this, &Stream::finished));
  StreamEnd end{FromGrpc(status_), std::nullopt};
  // Empty if the call ended before the server could say anything.
  const auto& trailers = context_.GetServerTrailingMetadata();
  if (const auto found = trailers.find(kPushbackKey); found != trailers.end()) {
    end.pushback = std::string(found->second.data(), found->second.size());
  }
  return end;
}

void Stream::OnReadDone(bool ok) {
  bool read_on = false;
  {
    absl::MutexLock lock(&mu_);
    if (ok) {
      inbox_.push_back(std::move(response_));
      read_on = inbox_.size() < kInboxMax;
    } else {
      broken_ = true;
    }
    reading_ = read_on;
  }
  if (read_on) {
    response_.Clear();
    StartRead(&response_);
  }
}

void Stream::OnWriteDone(bool ok) {
  absl::MutexLock lock(&mu_);
  // After a failed write nothing can be written, but responses may still be on their way: the read
  // that fails after the last of them ends the stream.
  if (ok) writing_ = false;
}

void Stream::OnDone(const grpc::Status& status) {
  absl::MutexLock lock(&mu_);
  status_ = status;
  finished_ = true;
}

absl::Status FromGrpc(const grpc::Status& status) {
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
}

absl::StatusOr<std::shared_ptr<grpc::Channel>> OpenChannel(const std::string& target,
                                                           const TlsOptions& tls) {
  KeepGrpc();
  const auto credentials = MakeCredentials(tls);
  if (!credentials.ok()) return credentials.status();
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  // A daemon whose host has vanished sends no end of the connection, and a client that has nothing
  // to write and waits for COMMITTED alone would never notice. The daemon takes a ping every 10 s.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveTimeMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  // Named for tests; it is how a name other than the target's is expected.
  if (!tls.server_name.empty()) arguments.SetSslTargetNameOverride(tls.server_name);
  return grpc::CreateCustomChannel(target, *credentials, arguments);
}

}  // namespace holdfast::client
