// A server on a Unix socket of its own, before a pipeline that the test plays, and a client.

#pragma once

#include <grpcpp/grpcpp.h>

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "gtest/gtest.h"

#include "holdfast/v1/ingest.grpc.pb.h"
#include "server/ingress/server.h"
#include "tests/support/accepted_events.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/ingress/fake_pipeline.h"

namespace holdfast::ingress {

inline constexpr char kProducer[] = "0189a3f2-0000-7000-8000-000000000001";

inline event::Id Producer() { return *event::ParseUuid(kProducer); }

// `count` usage events; those at `bad` (counted from 0) lack what they need.
inline v1::EventBatch BatchOf(uint64_t first_sequence, int count, std::vector<int> bad = {}) {
  v1::EventBatch batch;
  batch.set_first_sequence(first_sequence);
  for (int i = 0; i < count; ++i)
    *batch.add_events() = test::UsageOf(test::UuidOf(first_sequence + static_cast<uint64_t>(i)));
  for (const int i : bad) batch.mutable_events(i)->mutable_usage()->clear_api_key_id();
  return batch;
}

inline v1::StreamRequest Request(v1::EventBatch batch) {
  v1::StreamRequest request;
  *request.mutable_batch() = std::move(batch);
  return request;
}

inline v1::StreamRequest HelloOf(const std::string& producer,
                                 v1::AckLevel level = v1::ACK_LEVEL_UNSPECIFIED) {
  v1::StreamRequest request;
  request.mutable_hello()->set_producer_id(producer);
  request.mutable_hello()->set_ack_level(level);
  return request;
}

// The fields that a google.rpc.BadRequest in the trailing metadata names.
inline std::vector<std::string> FieldsOf(const grpc::Status& status) {
  google::rpc::Status details;
  EXPECT_TRUE(details.ParseFromString(status.error_details()));
  std::vector<std::string> fields;
  for (const auto& any : details.details()) {
    google::rpc::BadRequest bad_request;
    EXPECT_TRUE(any.UnpackTo(&bad_request));
    for (const auto& violation : bad_request.field_violations()) {
      fields.push_back(violation.field());
    }
  }
  return fields;
}

// One stream, as a client sees it; every wait ends after a while, and then the test fails.
class ClientStream {
 public:
  explicit ClientStream(v1::IngestService::Stub& stub, const std::string& traceparent = "") {
    if (!traceparent.empty()) context_.AddMetadata("traceparent", traceparent);
    context_.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    stream_ = stub.Stream(&context_);
  }

  bool Send(const v1::StreamRequest& request) { return stream_->Write(request); }
  void HalfClose() { stream_->WritesDone(); }
  void Cancel() { context_.TryCancel(); }

  // The next response; fails the test if there is none.
  v1::StreamResponse Next() {
    v1::StreamResponse response;
    EXPECT_TRUE(stream_->Read(&response)) << "the stream has ended";
    return response;
  }
  // How the stream ended; fails the test if there was still a response.
  grpc::Status End() {
    v1::StreamResponse response;
    EXPECT_FALSE(stream_->Read(&response)) << response.ShortDebugString();
    return stream_->Finish();
  }
  // The same, whatever comes before.
  grpc::Status EndAfterAll() {
    v1::StreamResponse response;
    while (stream_->Read(&response)) {
    }
    return stream_->Finish();
  }
  std::string Trailer(const std::string& key) const {
    const auto& trailers = context_.GetServerTrailingMetadata();
    const auto found = trailers.find(key);
    return found == trailers.end() ? "" : std::string(found->second.data(), found->second.size());
  }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::StreamRequest, v1::StreamResponse>> stream_;
};

class IngressTest : public testing::Test {
 protected:
  IngressTest() {
    folder_ = std::filesystem::path(testing::TempDir()) /
              ("ingress_" + event::FormatUuid(event::RandomUuid()));
    options_.gate.listen.socket_path = (folder_ / "holdfast.sock").string();
  }
  ~IngressTest() override {
    channel_.reset();
    server_.reset();
    std::filesystem::remove_all(folder_);
  }

  void StartServer() {
    auto server = Server::Start(options_, pipeline_, {}, base::SystemClock(), metrics_);
    ASSERT_OK(server);
    server_ = *std::move(server);
    channel_ = NewChannel();
    stub_ = v1::IngestService::NewStub(channel_);
  }

  std::shared_ptr<grpc::Channel> NewChannel() const {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetMaxReceiveMessageSize(-1);
    return grpc::CreateCustomChannel(options_.gate.listen.Target(),
                                     grpc::InsecureChannelCredentials(), arguments);
  }

  // A stream that has said Hello and was welcomed.
  std::unique_ptr<ClientStream> Open(v1::AckLevel level = v1::ACK_LEVEL_UNSPECIFIED) {
    auto stream = std::make_unique<ClientStream>(*stub_);
    EXPECT_TRUE(stream->Send(HelloOf(kProducer, level)));
    EXPECT_TRUE(stream->Next().has_welcome());
    return stream;
  }

  // Waits until a counter has got there.
  static bool Await(const std::function<bool()>& condition) {
    const absl::Time end = base::SystemClock().Steady() + absl::Seconds(30);
    while (!condition()) {
      if (base::SystemClock().Steady() > end) return false;
      base::SystemClock().Sleep(absl::Milliseconds(1));
    }
    return true;
  }

  std::filesystem::path folder_;
  metrics::Metrics metrics_{"test"};
  test::FakePipeline pipeline_;
  ServerOptions options_;
  std::unique_ptr<Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::IngestService::Stub> stub_;
};

}  // namespace holdfast::ingress
