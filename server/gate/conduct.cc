#include "server/gate/conduct.h"

#include <algorithm>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"

#include "server/base/status_macros.h"

namespace holdfast::gate {
namespace {

// What a frame costs beyond the bytes that it brings. A reset gives up work that gRPC has begun,
// and a setting is answered; the others only cost the look at them.
constexpr double kWork = 10;
constexpr double kLook = 1;

// What a connection costs its peer that had to be closed: to come again and again is no way around.
constexpr double kBreach = 2000;

// Headers of a request are some hundred bytes, and after the first one mostly a few.
constexpr size_t kHeaderBytesFree = 1024;
constexpr double kHeaderBytesOfPoint = 256;

// Data in smaller pieces than this takes more memory to keep than it brings.
constexpr uint32_t kCrumb = 32;

constexpr uint32_t kSettingsBytesMax = 512;
constexpr uint32_t kGoAwayBytesMax = 4096;

// Above this share of its points somebody counts as at rest.
constexpr double kRest = 0.9;

absl::Status NoHttp2(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("this is not HTTP/2: ", what));
}

}  // namespace

absl::Status ConductLimits::Validate() const {
  if (header_block_bytes_max < 1024) {
    return absl::InvalidArgumentError("header_block_bytes_max must be at least 1024");
  }
  if (header_block_frames_max < 1) {
    return absl::InvalidArgumentError("header_block_frames_max must be at least 1");
  }
  if (connection_points < kWork || connection_points_per_second <= 0 || peer_points < kWork ||
      peer_points_per_second <= 0) {
    return absl::InvalidArgumentError(
        "connection_points: there must be some, and some must return");
  }
  if (connection_streams_max < 1 || streams_max < 1) {
    return absl::InvalidArgumentError("streams_max must be at least 1");
  }
  return absl::OkStatus();
}

void Allowance::Refill(absl::Time now) {
  if (now <= refilled_at_) return;
  if (refilled_at_ != absl::InfinitePast()) {
    const double returned = absl::ToDoubleSeconds(now - refilled_at_) * per_second_;
    points_ = std::min(most_, points_ + returned);
  }
  refilled_at_ = now;
}

void Allowance::Spend(double points, absl::Time now) {
  Refill(now);
  points_ -= points;
}

absl::Duration Allowance::Wait(absl::Time now) {
  Refill(now);
  return points_ >= 0 ? absl::ZeroDuration() : absl::Seconds(-points_ / per_second_);
}

bool Allowance::at_rest(absl::Time now) {
  Refill(now);
  return points_ >= kRest * most_;
}

Conduct::Conduct(const ConductLimits& limits, std::shared_ptr<Allowance> of_peer,
                 size_t* open_streams, absl::Time now)
    : limits_(limits),
      of_peer_(std::move(of_peer)),
      all_streams_(open_streams),
      own_(limits.connection_points, limits.connection_points_per_second),
      pings_(limits.pings, limits.pings_per_second),
      deadline_(now + limits.headers_timeout) {
  if (of_peer_->Wait(now) > absl::ZeroDuration()) own_.Spend(limits.connection_points, now);
}

Conduct::~Conduct() { *all_streams_ -= streams_.size(); }

void Conduct::Spend(double points, absl::Time now) {
  own_.Spend(points, now);
  of_peer_->Spend(points, now);
}

absl::Status Conduct::Charge(absl::Status status, absl::Time now) {
  if (!status.ok()) of_peer_->Spend(kBreach, now);
  return status;
}

absl::Status Conduct::LookAtRequest(absl::string_view bytes, absl::Time now) {
  absl::Status judged;
  const bool is_http2 = requests_.Feed(bytes, [&](const FrameHeader& header) {
    judged = Judge(header, now);
    return judged.ok();
  });
  if (judged.ok() && !is_http2) judged = NoHttp2("it begins with something else");
  HOLDFAST_RETURN_IF_ERROR(Charge(judged, now));
  if (requests_.between_frames() && block_ends_) {
    block_stream_ = 0;
    block_ends_ = false;
  }
  // Set when something begins that must end soon, and left alone until it has.
  if (any_frame_ && block_stream_ == 0) {
    deadline_ = absl::InfiniteFuture();
  } else if (block_stream_ != 0 && deadline_ == absl::InfiniteFuture()) {
    deadline_ = now + limits_.headers_timeout;
  }
  return absl::OkStatus();
}

absl::Status Conduct::Judge(const FrameHeader& header, absl::Time now) {
  if (block_ends_) {  // The frame before this one was its last, and is complete.
    block_stream_ = 0;
    block_ends_ = false;
  }
  if (!std::exchange(any_frame_, true) && header.type != FrameType::kSettings) {
    return NoHttp2("the first frame is no SETTINGS");
  }
  if (block_stream_ != 0 &&
      (header.type != FrameType::kContinuation || header.stream != block_stream_)) {
    return NoHttp2("a header block is interrupted");
  }
  switch (header.type) {
    case FrameType::kData:
      if (header.length < kCrumb && !header.has(kEndStream)) Spend(kLook, now);
      return absl::OkStatus();
    case FrameType::kHeaders:
    case FrameType::kContinuation:
      HOLDFAST_RETURN_IF_ERROR(JudgeHeaders(header));
      // Headers of a stream that is over are answered with a reset.
      if (!streams_.contains(header.stream)) Spend(kWork, now);
      if (block_bytes_ > kHeaderBytesFree) {
        Spend(
            std::min<double>(header.length, static_cast<double>(block_bytes_ - kHeaderBytesFree)) /
                kHeaderBytesOfPoint,
            now);
      }
      return absl::OkStatus();
    case FrameType::kReset:
      if (header.length != 4) return NoHttp2("an RST_STREAM of a wrong size");
      CloseStream(header.stream);
      Spend(kWork, now);
      return absl::OkStatus();
    case FrameType::kSettings:
      if (header.length > kSettingsBytesMax) return NoHttp2("SETTINGS without end");
      Spend(header.has(kAck) ? kLook : kWork, now);
      return absl::OkStatus();
    case FrameType::kPing:
      return JudgePing(header, now);
    case FrameType::kPushPromise:
      return NoHttp2("a client promises a push");
    case FrameType::kGoAway:
      if (header.length > kGoAwayBytesMax) return NoHttp2("a GOAWAY without end");
      Spend(kWork, now);
      if (++goaways_ <= limits_.goaways_max) return absl::OkStatus();
      return absl::ResourceExhaustedError("a client takes its leave again and again");
    case FrameType::kPriority:
    case FrameType::kWindowUpdate:
      break;
  }
  Spend(kLook, now);
  return absl::OkStatus();
}

absl::Status Conduct::JudgePing(const FrameHeader& header, absl::Time now) {
  if (header.length != 8) return NoHttp2("a PING of a wrong size");
  Spend(kLook, now);
  if (header.has(kAck)) return absl::OkStatus();
  pings_.Spend(1, now);
  if (pings_.Wait(now) == absl::ZeroDuration()) return absl::OkStatus();
  return absl::ResourceExhaustedError("a flood of pings");
}

absl::Status Conduct::JudgeHeaders(const FrameHeader& header) {
  if (header.type == FrameType::kHeaders) {
    if (header.stream % 2 == 0) return NoHttp2("a client opens a stream of the server's");
    block_stream_ = header.stream;
    block_bytes_ = 0;
    block_frames_ = 0;
    if (header.stream > last_stream_) {
      last_stream_ = header.stream;
      if (streams_.size() >= limits_.connection_streams_max) {
        return absl::ResourceExhaustedError("too many streams are open on one connection");
      }
      if (*all_streams_ >= limits_.streams_max) {
        return absl::ResourceExhaustedError("too many streams are open, of all gateways together");
      }
      streams_.insert(header.stream);
      ++*all_streams_;
    }
  } else if (block_stream_ == 0) {
    return NoHttp2("a CONTINUATION of nothing");
  }
  block_bytes_ += header.length;
  ++block_frames_;
  block_ends_ = header.has(kEndHeaders);
  if (block_bytes_ > limits_.header_block_bytes_max ||
      block_frames_ > limits_.header_block_frames_max) {
    return absl::OutOfRangeError(absl::StrCat(
        "the headers of a request are too large; at most ", limits_.header_block_bytes_max,
        " bytes in ", limits_.header_block_frames_max, " frames are taken"));
  }
  return absl::OkStatus();
}

absl::Status Conduct::LookAtResponse(absl::string_view bytes, absl::Time now) {
  const bool read = responses_.Feed(bytes, [&](const FrameHeader& header) {
    if (header.type == FrameType::kReset) {
      // A client can bring the server to reset a stream, for the same effect as if it did.
      Spend(kWork, now);
      CloseStream(header.stream);
    } else if (header.type == FrameType::kHeaders || header.type == FrameType::kData) {
      pings_.Restore();
      if (header.has(kEndStream)) CloseStream(header.stream);
    }
    return true;
  });
  return read ? absl::OkStatus() : absl::InternalError("gRPC's answer is not HTTP/2");
}

void Conduct::CloseStream(uint32_t stream) {
  if (streams_.erase(stream) > 0) --*all_streams_;
}

absl::StatusOr<absl::Duration> Conduct::HoldBack(absl::Time now) {
  absl::Duration wait = own_.Wait(now);
  // A debt of the peer's is for those of its connections that have part in it.
  if (own_.at_rest(now)) {
    held_back_ = absl::ZeroDuration();
  } else {
    wait = std::max(wait, of_peer_->Wait(now));
  }
  held_back_ += wait;
  if (held_back_ > limits_.held_back_max) {
    return absl::ResourceExhaustedError(
        "a flood of frames that bring no events, or of calls that are given up at once");
  }
  return wait;
}

absl::Status Conduct::CheckDeadline(absl::Time now) const {
  if (now < deadline_) return absl::OkStatus();
  return absl::DeadlineExceededError(any_frame_
                                         ? "the headers of a request were begun and not ended"
                                         : "nothing that begins an HTTP/2 connection has come");
}

}  // namespace holdfast::gate
