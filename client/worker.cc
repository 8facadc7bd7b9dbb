#include "client/worker.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "client/steady_clock.h"
#include "client/tls.h"

namespace holdfast::client {
namespace {

// How long an orderly end of a stream may take once nothing is owed any more.
constexpr absl::Duration kPartingWaitMax = absl::Seconds(1);

// How often the same failure is looked into: it takes another connection.
constexpr absl::Duration kExplainEvery = absl::Seconds(10);

// What a request has besides its events: tags and lengths.
constexpr size_t kRequestOverheadBytes = 32;

// A random UUID, version 4.
std::string MakeProducerId(absl::BitGen& random) {
  const uint64_t high = (absl::Uniform<uint64_t>(random) & ~0xF000ULL) | 0x4000ULL;
  const uint64_t low = (absl::Uniform<uint64_t>(random) >> 2) | (1ULL << 63);
  return absl::StrFormat("%08x-%04x-%04x-%04x-%012x", high >> 32, (high >> 16) & 0xFFFF,
                         high & 0xFFFF, low >> 48, low & 0xFFFFFFFFFFFFULL);
}

}  // namespace

Worker::Worker(const Options& options)
    : options_(options),
      backoff_(options.backoff_min, options.backoff_max),
      buffer_(options.ack_level, options.window),
      producer_id_(options.producer_id.empty() ? MakeProducerId(random_) : options.producer_id),
      last_error_(absl::UnavailableError("not connected yet")),
      thread_([this] { Run(); }) {}

Worker::~Worker() {
  // What Close could not deliver its callers were told through their callbacks.
  static_cast<void>(Close(absl::ZeroDuration()));
  thread_.join();
}

void Worker::Run() {
  while (true) {
    const absl::Duration pause = Conclude(Connect());
    Pause(pause);
    absl::MutexLock lock(&mu_);
    if (ShouldStop()) break;
  }
  GiveUpTheRest();
}

void Worker::Pause(absl::Duration pause) {
  absl::MutexLock lock(&mu_);
  const absl::Time until = SteadyNow() + pause;
  for (absl::Time now = SteadyNow(); now < until && !ShouldStop(); now = SteadyNow()) {
    auto deadline_moved = [this, seen = close_deadline_]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      return close_deadline_ != seen;
    };
    mu_.AwaitWithTimeout(absl::Condition(&deadline_moved), std::min(until, close_deadline_) - now);
  }
}

StreamEnd Worker::Connect() {
  v1::Hello hello;
  Turn turn;
  turn.limits = {options_.batch_events_max, options_.batch_bytes_max};
  turn.heard = SteadyNow();
  const auto channel = OpenChannel(options_.target, options_.tls);
  {
    absl::MutexLock lock(&mu_);
    stream_is_useless_ = false;
    if (!channel.ok()) return {channel.status(), std::nullopt};
    hello.set_producer_id(producer_id_);
    hello.set_ack_level(options_.ack_level);
    hello.set_first_sequence(buffer_.first_sequence());
    ++streams_;
  }
  Stream stream(*channel, hello, &mu_);
  StreamEnd end = Serve(stream, turn);
  if (!turn.welcomed) end.status = Explain(end.status);
  return end;
}

StreamEnd Worker::Serve(Stream& stream, Turn& turn) {
  while (true) {
    switch (AwaitStep(stream, turn)) {
      case Step::kRead:
        Read(stream, turn);
        break;
      case Step::kWrite:
        Write(stream, turn);
        break;
      case Step::kStop:
        return Part(stream);
      case Step::kBroken:
        return stream.Finish();
      case Step::kSilent: {
        stream.Cancel();
        StreamEnd end = stream.Finish();
        end.status = absl::UnavailableError(absl::StrCat(
            "nothing heard from the daemon for ", absl::FormatDuration(options_.answer_wait_max),
            "; its disk or its journal may be stuck, see `holdfast status`"));
        return end;
      }
    }
  }
}

absl::Status Worker::Explain(const absl::Status& failure) {
  if (!options_.tls.enabled() || !absl::IsUnavailable(failure)) return failure;
  const absl::Time now = SteadyNow();
  if (failure != explained_ || now - explained_at_ >= kExplainEvery) {
    explained_ = failure;
    explained_at_ = now;
    explanation_ = ExplainTls(options_.tls, options_.target, failure, [this] {
      absl::MutexLock lock(&mu_);
      return ShouldStop();
    });
  }
  return explanation_;
}

Worker::Step Worker::AwaitStep(Stream& stream, const Turn& turn) {
  absl::MutexLock lock(&mu_);
  while (true) {
    const bool owed = !turn.welcomed || buffer_.awaits_journal();
    const absl::Time silent_at =
        owed ? turn.heard + options_.answer_wait_max : absl::InfiniteFuture();
    const absl::Time seen = close_deadline_;
    auto ready = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      stream.AssertLocked();
      return stream.HasResponses() || stream.broken() || close_deadline_ != seen ||
             (turn.welcomed && stream.CanWrite() && buffer_.HasUnsent());
    };
    stream.AssertLocked();
    const absl::Time now = SteadyNow();
    if (stream.HasResponses()) return Step::kRead;
    if (stream_is_useless_ || ShouldStop()) return Step::kStop;
    if (stream.broken()) return Step::kBroken;
    if (turn.welcomed && stream.CanWrite() && buffer_.HasUnsent()) return Step::kWrite;
    if (now >= silent_at) return Step::kSilent;
    mu_.AwaitWithTimeout(absl::Condition(&ready), std::min(silent_at, close_deadline_) - now);
  }
}

void Worker::Read(Stream& stream, Turn& turn) {
  const std::vector<v1::StreamResponse> responses = stream.TakeResponses();
  turn.heard = SteadyNow();
  std::vector<Buffer::Answer> answers;
  {
    absl::MutexLock lock(&mu_);
    for (const v1::StreamResponse& response : responses) OnResponse(response, turn, &answers);
  }
  Call(std::move(answers));
}

void Worker::Write(Stream& stream, Turn& turn) {
  std::string request;
  {
    absl::MutexLock lock(&mu_);
    if (!buffer_.awaits_journal()) turn.heard = SteadyNow();
    request = buffer_.NextRequest(turn.limits);
  }
  stream.Write(request);
}

StreamEnd Worker::Part(Stream& stream) {
  const std::optional<absl::Time> until = PartingDeadline(stream);
  if (until.has_value()) {
    stream.WritesDone();
    while (AwaitMore(stream, *until)) stream.TakeResponses();
  }
  stream.Cancel();  // Without effect on a stream that has ended.
  return stream.Finish();
}

std::optional<absl::Time> Worker::PartingDeadline(const Stream& stream) {
  absl::MutexLock lock(&mu_);
  stream.AssertLocked();
  if (stream_is_useless_ || !buffer_.all_answered() || !stream.CanWrite()) return std::nullopt;
  return std::min(SteadyNow() + kPartingWaitMax, close_deadline_);
}

bool Worker::AwaitMore(const Stream& stream, absl::Time until) {
  absl::MutexLock lock(&mu_);
  auto moved = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    stream.AssertLocked();
    return stream.HasResponses() || stream.broken();
  };
  mu_.AwaitWithTimeout(absl::Condition(&moved), until - SteadyNow());
  stream.AssertLocked();
  return stream.HasResponses();
}

void Worker::OnResponse(const v1::StreamResponse& response, Turn& turn,
                        std::vector<Buffer::Answer>* answers) {
  if (stream_is_useless_) return;
  if (response.has_welcome() == turn.welcomed) {
    // The contract: a Welcome comes first and once. Whoever breaks it is not a Holdfast daemon.
    last_error_ = absl::InternalError(
        absl::StrCat("what answers at ", options_.target, " does not speak holdfast.v1"));
    stream_is_useless_ = true;
    return;
  }
  switch (response.response_case()) {
    case v1::StreamResponse::kWelcome:
      OnWelcome(response.welcome(), turn);
      break;
    case v1::StreamResponse::kAck: {
      Stats before;
      Stats after;
      buffer_.Count(&before);
      buffer_.Acked(response.ack(), answers);
      buffer_.Count(&after);
      if (after.journaled > before.journaled) backoff_.Reset();
      break;
    }
    case v1::StreamResponse::kEventError:
      buffer_.Errored(response.event_error(), answers);
      break;
    case v1::StreamResponse::RESPONSE_NOT_SET:
      break;  // A newer daemon's response; the contract only ever grows.
  }
}

void Worker::OnWelcome(const v1::Welcome& welcome, Turn& turn) {
  turn.welcomed = true;
  backoff_.Connected(SteadyNow());
  if (welcome.batch_events_max() > 0) {
    turn.limits.events_max = std::min<size_t>(turn.limits.events_max, welcome.batch_events_max());
  }
  if (welcome.request_bytes_max() > kRequestOverheadBytes) {
    turn.limits.bytes_max = std::min<size_t>(turn.limits.bytes_max, welcome.request_bytes_max());
  }
  turn.limits.bytes_max -= std::min(turn.limits.bytes_max - 1, kRequestOverheadBytes);
  if (buffer_.Welcomed(welcome.resume_after()) == Buffer::Resume::kForgotten) {
    OnForgotten("its last sequence is not the one that was acknowledged");
    return;
  }
  connected_ = true;
  last_error_ = absl::OkStatus();
  if (!opened_.has_value()) opened_ = Opened{producer_id_, welcome.resume_after()};
}

void Worker::OnForgotten(absl::string_view why) {
  stream_is_useless_ = true;
  last_error_ = absl::FailedPreconditionError(
      absl::StrCat("the daemon no longer knows producer ", producer_id_, " (", why,
                   "): its journal was lost, or another daemon answers at ", options_.target));
  if (!options_.renew_producer) {
    ended_ = last_error_;
    return;
  }
  producer_id_ = MakeProducerId(random_);
  buffer_.Renumber();
  ++producers_renewed_;
}

absl::Duration Worker::Conclude(const StreamEnd& end) {
  absl::MutexLock lock(&mu_);
  connected_ = false;
  if (!stream_is_useless_ && !ShouldStop()) {
    last_error_ =
        end.status.ok() ? absl::UnavailableError("the daemon ended the stream") : end.status;
    switch (end.status.code()) {
      case absl::StatusCode::kAborted:
      case absl::StatusCode::kInvalidArgument:
        ended_ = end.status;
        break;
      case absl::StatusCode::kFailedPrecondition:
        OnForgotten(end.status.message());
        break;
      default:
        break;
    }
  }
  const absl::Duration pause = backoff_.Next(random_, SteadyNow());
  if (!end.pushback.has_value()) return pause;
  return std::max(pause, ParsePushback(*end.pushback, options_.pushback_max));
}

void Worker::GiveUpTheRest() {
  std::vector<Buffer::Answer> answers;
  {
    absl::MutexLock lock(&mu_);
    if (!ended_.ok()) {
      buffer_.GiveUp(ended_, ended_, &answers);
    } else {
      const std::string why = last_error_.ok() ? "" : absl::StrCat("; ", last_error_.message());
      buffer_.GiveUp(absl::CancelledError(absl::StrCat("closed before it was sent", why)),
                     absl::UnavailableError(
                         absl::StrCat("closed before it was acknowledged: it may be stored", why)),
                     &answers);
    }
  }
  Call(std::move(answers));
  absl::MutexLock lock(&mu_);
  finished_ = true;
}

void Worker::Call(std::vector<Buffer::Answer> answers) {
  for (Buffer::Answer& answer : answers) std::move(answer.done)(answer.status);
  absl::MutexLock lock(&mu_);
  called_before_ = buffer_.answered_before();
}

bool Worker::ShouldStop() const {
  if (!ended_.ok()) return true;
  if (close_deadline_ == absl::InfiniteFuture()) return false;
  return buffer_.all_answered() || SteadyNow() >= close_deadline_;
}

}  // namespace holdfast::client
