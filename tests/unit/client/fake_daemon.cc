#include "tests/unit/client/fake_daemon.h"

#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace holdfast::client {
namespace {

grpc::Status Died() { return grpc::Status(grpc::StatusCode::UNAVAILABLE, "the fake daemon died"); }

}  // namespace

FakeDaemon::FakeDaemon() {
  std::string folder = "/tmp/holdfast-fake-XXXXXX";
  EXPECT_NE(mkdtemp(folder.data()), nullptr);
  folder_ = folder;
  address_ = absl::StrCat("unix:", folder_, "/s");
  Start();
}

FakeDaemon::~FakeDaemon() {
  Stop();
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

void FakeDaemon::Start() {
  grpc::ServerBuilder builder;
  builder.AddListeningPort(address_, grpc::InsecureServerCredentials());
  builder.RegisterService(this);
  server_ = builder.BuildAndStart();
  ASSERT_NE(server_, nullptr);
}

void FakeDaemon::Stop() {
  if (server_ == nullptr) return;
  server_->Shutdown(std::chrono::system_clock::now());
  server_->Wait();
  server_ = nullptr;
}

void FakeDaemon::LoseJournal() {
  absl::MutexLock lock(&mu_);
  producers_.clear();
}

void FakeDaemon::EndNextStream(End end) {
  absl::MutexLock lock(&mu_);
  ends_.push_back(std::move(end));
}

void FakeDaemon::DieAtRandom(double probability, uint32_t seed) {
  absl::MutexLock lock(&mu_);
  death_ = probability;
  random_.seed(seed);
}

void FakeDaemon::LiveOn() {
  absl::MutexLock lock(&mu_);
  death_ = 0;
}

void FakeDaemon::LoseNextAnswer() {
  absl::MutexLock lock(&mu_);
  lose_next_answer_ = true;
}

void FakeDaemon::HoldJournaled(bool hold) {
  absl::MutexLock lock(&mu_);
  hold_journaled_ = hold;
}

void FakeDaemon::HoldCommitted(bool hold) {
  absl::MutexLock lock(&mu_);
  hold_committed_ = hold;
}

void FakeDaemon::SetLimits(uint32_t batch_events_max, uint64_t request_bytes_max) {
  absl::MutexLock lock(&mu_);
  batch_events_max_ = batch_events_max;
  request_bytes_max_ = request_bytes_max;
}

void FakeDaemon::AckAll() {
  std::set<OpenStream*> open;
  {
    absl::MutexLock lock(&mu_);
    open = open_;
  }
  for (OpenStream* stream : open) SendAck(*stream, true, true);
}

void FakeDaemon::Break() {
  absl::MutexLock lock(&mu_);
  for (OpenStream* stream : open_) stream->context->TryCancel();
}

FakeDaemon::Seen FakeDaemon::seen() const {
  absl::MutexLock lock(&mu_);
  return seen_;
}

bool FakeDaemon::AwaitSeen(const std::function<bool(const Seen&)>& condition) const {
  absl::MutexLock lock(&mu_);
  auto holds = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return condition(seen_); };
  return mu_.AwaitWithTimeout(absl::Condition(&holds), absl::Minutes(1));
}

grpc::Status FakeDaemon::Stream(
    grpc::ServerContext* context,
    grpc::ServerReaderWriter<v1::StreamResponse, v1::StreamRequest>* stream) {
  OpenStream open;
  open.context = context;
  open.stream = stream;
  std::optional<grpc::Status> end = Greet(open);
  if (end.has_value()) return *end;
  v1::StreamRequest request;
  while (!end.has_value() && stream->Read(&request)) end = TakeBatch(open, request.batch());
  absl::MutexLock lock(&mu_);
  open_.erase(&open);
  return end.value_or(grpc::Status::OK);
}

std::optional<grpc::Status> FakeDaemon::Greet(OpenStream& open) {
  v1::StreamRequest request;
  if (!open.stream->Read(&request)) return Died();
  open.producer_id = request.hello().producer_id();
  if (request.hello().first_sequence() > 0) {
    open.carried_through = request.hello().first_sequence() - 1;
  }
  v1::StreamResponse response;
  {
    absl::MutexLock lock(&mu_);
    seen_.producers.push_back(open.producer_id);
    seen_.streams_at.push_back(absl::Now());
    if (!ends_.empty()) {
      const End end = ends_.front();
      ends_.pop_front();
      if (end.pushback_ms.has_value()) {
        open.context->AddTrailingMetadata("grpc-retry-pushback-ms", absl::StrCat(*end.pushback_ms));
      }
      return end.status;
    }
    const uint64_t last = producers_[open.producer_id].last;
    open.received_through = open.acked_through = last;
    response.mutable_welcome()->set_resume_after(last);
    response.mutable_welcome()->set_batch_events_max(batch_events_max_);
    response.mutable_welcome()->set_request_bytes_max(request_bytes_max_);
    open_.insert(&open);
  }
  Send(open, response);
  // Says at once how far this producer has come, as far as the stream may tell it.
  bool greet = false;
  {
    absl::MutexLock lock(&mu_);
    greet = response.welcome().resume_after() > 0 && !hold_journaled_;
  }
  if (greet) SendAck(open, true, false);
  return std::nullopt;
}

std::optional<grpc::Status> FakeDaemon::TakeBatch(OpenStream& open, const v1::EventBatch& batch) {
  std::vector<v1::EventError> errors;
  bool die_before_ack = false;
  bool die_after_ack = false;
  bool ack_journaled = true;
  bool ack_committed = true;
  {
    absl::MutexLock lock(&mu_);
    Producer& producer = producers_[open.producer_id];
    const auto count = static_cast<uint64_t>(batch.events_size());
    seen_.received += count;
    seen_.batch_events_max = std::max<size_t>(seen_.batch_events_max, count);
    seen_.batch_bytes_max = std::max<size_t>(seen_.batch_bytes_max, batch.ByteSizeLong());
    if (batch.first_sequence() > producer.last + 1) {
      ++seen_.gaps;
      return grpc::Status(grpc::StatusCode::FAILED_PRECONDITION,
                          absl::StrCat("expected sequence ", producer.last + 1));
    }
    open.received_through = std::max(open.received_through, batch.first_sequence() + count - 1);
    seen_.unacknowledged_max =
        std::max<size_t>(seen_.unacknowledged_max, open.received_through - open.acked_through);
    if (Chance(death_)) return Died();
    const bool die_midway = Chance(death_);
    for (uint64_t i = 0; i < count; ++i) {
      const v1::EventError error =
          TakeEvent(producer, batch.first_sequence() + i, batch.events(static_cast<int>(i)));
      if (error.sequence() > 0) errors.push_back(error);
      if (die_midway && Chance(1.0 / static_cast<double>(count))) return Died();
    }
    if (std::exchange(lose_next_answer_, false)) return Died();
    die_before_ack = Chance(death_);
    die_after_ack = Chance(death_);
    if (open.carried_through.has_value()) {
      open.carried_through = std::max(*open.carried_through, batch.first_sequence() + count - 1);
    }
    ack_journaled = !hold_journaled_;
    ack_committed = !hold_committed_;
  }
  for (const v1::EventError& error : errors) {
    v1::StreamResponse response;
    *response.mutable_event_error() = error;
    Send(open, response);
  }
  if (die_before_ack) return Died();
  if (ack_journaled) SendAck(open, ack_journaled, ack_committed);
  if (die_after_ack) return Died();
  return std::nullopt;
}

v1::EventError FakeDaemon::TakeEvent(Producer& producer, uint64_t sequence,
                                     const v1::Event& event) {
  if (sequence <= producer.last) {
    const auto found = producer.refused.find(sequence);
    return found == producer.refused.end() ? v1::EventError() : found->second;
  }
  producer.last = sequence;
  v1::EventError error;
  if (event.usage().api_key_id().empty()) {
    error.set_sequence(sequence);
    error.set_field("usage.api_key_id");
    error.set_reason("is required");
    error.set_disposition(v1::DISPOSITION_REFUSED);
    error.set_code(static_cast<int>(grpc::StatusCode::INVALID_ARGUMENT));
    producer.refused[sequence] = error;
    return error;
  }
  ++seen_.taken[event.usage().event_id()];
  seen_.order.push_back(event.usage().event_id());
  if (event.usage().model() == "poison") {
    error.set_sequence(sequence);
    error.set_reason("the id is taken by other content");
    error.set_disposition(v1::DISPOSITION_QUARANTINED);
    error.set_code(static_cast<int>(grpc::StatusCode::ALREADY_EXISTS));
  }
  return error;
}

void FakeDaemon::SendAck(OpenStream& open, bool journaled, bool committed) {
  v1::StreamResponse response;
  {
    absl::MutexLock lock(&mu_);
    uint64_t last = producers_[open.producer_id].last;
    if (open.carried_through.has_value()) last = std::min(last, *open.carried_through);
    if (journaled) {
      response.mutable_ack()->set_journaled_through(last);
      open.acked_through = last;
    }
    if (committed) response.mutable_ack()->set_committed_through(last);
  }
  Send(open, response);
}

void FakeDaemon::Send(OpenStream& open, const v1::StreamResponse& response) {
  absl::MutexLock lock(&open.write_mu);
  open.stream->Write(response);
}

bool FakeDaemon::Chance(double probability) {
  return probability > 0 && std::uniform_real_distribution<>(0, 1)(random_) < probability;
}

}  // namespace holdfast::client
