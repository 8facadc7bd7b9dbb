#include "server/gate/passage.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"

#include "server/base/status_macros.h"

namespace holdfast::gate {
namespace {

constexpr absl::Duration kHandshakeTimeout = absl::Seconds(10);

// A peer that takes nothing of what is sent to it for so long is given up; once gRPC has closed
// its end, sooner.
constexpr absl::Duration kStallTimeout = absl::Seconds(60);
constexpr absl::Duration kFarewellTimeout = absl::Seconds(5);

// How often one connection may move bytes before the others have their turn.
constexpr int kRounds = 4;

// GOAWAY of no stream, ENHANCE_YOUR_CALM.
constexpr absl::string_view kGoAway("\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\x0b", 17);

// Sends to gRPC's end. Returns how much; -1 if it is closed.
ssize_t SendInner(int inner, absl::string_view bytes) {
  const ssize_t sent = ::send(inner, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent >= 0) return sent;
  return errno == EAGAIN || errno == EINTR ? 0 : -1;
}

}  // namespace

Passage::Passage(std::unique_ptr<Wire> peer, std::string peer_key, std::unique_ptr<Conduct> conduct,
                 absl::Time now)
    : peer_(std::move(peer)),
      peer_key_(std::move(peer_key)),
      conduct_(std::move(conduct)),
      shake_deadline_(now + kHandshakeTimeout) {}

Passage::~Passage() {
  if (inner_ >= 0) ::close(inner_);
}

absl::Status Passage::Work(absl::Span<char> scratch, absl::Time now,
                           absl::FunctionRef<void(int)> open) {
  if (!shaken_) {
    HOLDFAST_ASSIGN_OR_RETURN(shaken_, peer_->Handshake());
  }
  absl::Status status;
  if (shaken_) {
    Flush(now);
    status = ReadRequests(scratch, now, open);
    if (status.ok() && inner_ >= 0) status = ReadResponses(scratch, now);
  }
  if (status.ok()) status = CheckTime(now);
  if (!status.ok()) {
    over_ = true;
    SayGoAway();
    return status;
  }
  if (peer_ended_ && to_inner_.empty() && !std::exchange(told_inner_, true)) {
    if (inner_ >= 0) {
      ::shutdown(inner_, SHUT_WR);
    } else {
      over_ = true;
    }
  }
  if (inner_ended_ && to_peer_.empty()) over_ = true;
  return absl::OkStatus();
}

bool Passage::MayRead() const {
  // What the peer does not take piles up in gRPC if more is asked of it.
  return shaken_ && !peer_ended_ && !inner_ended_ && to_inner_.empty() && to_peer_.empty();
}

absl::Status Passage::ReadRequests(absl::Span<char> scratch, absl::Time now,
                                   absl::FunctionRef<void(int)> open) {
  if (now < read_after_) return absl::OkStatus();
  read_after_ = absl::InfinitePast();
  for (int round = 0; round < kRounds && MayRead(); ++round) {
    HOLDFAST_ASSIGN_OR_RETURN(const absl::Duration wait, conduct_->HoldBack(now));
    if (wait > absl::ZeroDuration()) {
      read_after_ = now + wait;
      return absl::OkStatus();
    }
    const Moved moved = peer_->Read(scratch);
    if (moved.ended || moved.broken) peer_ended_ = true;
    if (moved.broken) {
      // Nobody is there to take an answer either.
      to_peer_.clear();
      if (inner_ < 0) over_ = true;
    }
    if (moved.bytes == 0) return absl::OkStatus();
    const absl::string_view bytes(scratch.data(), moved.bytes);
    HOLDFAST_RETURN_IF_ERROR(conduct_->LookAtRequest(bytes, now));
    HOLDFAST_RETURN_IF_ERROR(HandOn(bytes, open));
    if (moved.bytes < scratch.size() && !peer_->HasRead()) return absl::OkStatus();
  }
  return absl::OkStatus();
}

absl::Status Passage::HandOn(absl::string_view bytes, absl::FunctionRef<void(int)> open) {
  if (inner_ < 0) {
    if (!conduct_->past_preface()) {
      // Less than the preface: what comes next may complete it.
      early_.append(bytes.data(), bytes.size());
      return absl::OkStatus();
    }
    HOLDFAST_RETURN_IF_ERROR(Open(open));
  }
  if (!early_.empty()) {
    to_inner_ = std::exchange(early_, std::string());
    to_inner_.append(bytes.data(), bytes.size());
    bytes = absl::string_view();
  }
  if (!to_inner_.empty()) return absl::OkStatus();
  const ssize_t sent = SendInner(inner_, bytes);
  if (sent < 0) {
    inner_ended_ = true;
    return absl::OkStatus();
  }
  bytes.remove_prefix(static_cast<size_t>(sent));
  to_inner_.assign(bytes.data(), bytes.size());
  return absl::OkStatus();
}

absl::Status Passage::Open(absl::FunctionRef<void(int)> open) {
  int pair[2] = {-1, -1};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0) {
    return absl::UnavailableError(
        absl::StrCat("no connection to gRPC can be made: ", std::strerror(errno),
                     "; raise the limit on open files"));
  }
  inner_ = pair[0];
  open(pair[1]);
  return absl::OkStatus();
}

absl::Status Passage::ReadResponses(absl::Span<char> scratch, absl::Time now) {
  for (int round = 0; round < kRounds && to_peer_.empty() && !inner_ended_; ++round) {
    const ssize_t count = ::recv(inner_, scratch.data(), scratch.size(), MSG_DONTWAIT);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return absl::OkStatus();
    if (count <= 0) {
      inner_ended_ = true;
      return absl::OkStatus();
    }
    absl::string_view bytes(scratch.data(), static_cast<size_t>(count));
    HOLDFAST_RETURN_IF_ERROR(conduct_->LookAtResponse(bytes, now));
    const Moved moved = peer_->Write(bytes);
    if (moved.broken) {
      peer_ended_ = true;
      inner_ended_ = true;
      return absl::OkStatus();
    }
    bytes.remove_prefix(moved.bytes);
    to_peer_.assign(bytes.data(), bytes.size());
    if (!to_peer_.empty()) stalled_after_ = now + kStallTimeout;
  }
  return absl::OkStatus();
}

void Passage::Flush(absl::Time now) {
  if (inner_ >= 0 && !to_inner_.empty()) {
    const ssize_t sent = SendInner(inner_, to_inner_);
    if (sent < 0) {
      inner_ended_ = true;
      to_inner_.clear();
    } else {
      to_inner_.erase(0, static_cast<size_t>(sent));
    }
  }
  if (to_peer_.empty()) return;
  const Moved moved = peer_->Write(to_peer_);
  if (moved.broken) {
    peer_ended_ = true;
    inner_ended_ = true;
    to_peer_.clear();
    return;
  }
  to_peer_.erase(0, moved.bytes);
  if (moved.bytes > 0) stalled_after_ = now + kStallTimeout;
  if (to_peer_.empty()) stalled_after_ = absl::InfiniteFuture();
}

absl::Status Passage::CheckTime(absl::Time now) {
  if (!shaken_) {
    if (now < shake_deadline_) return absl::OkStatus();
    return absl::DeadlineExceededError("the TLS handshake was begun and not ended");
  }
  if (inner_ended_ && !to_peer_.empty()) {
    stalled_after_ = std::min(stalled_after_, now + kFarewellTimeout);
  }
  if (now >= stalled_after_) {
    return absl::DeadlineExceededError("the peer does not take its answers");
  }
  // While it is held back nobody reads what it has sent.
  const bool is_held = read_after_ != absl::InfinitePast() || !MayRead();
  return is_held ? absl::OkStatus() : conduct_->CheckDeadline(now);
}

void Passage::SayGoAway() {
  if (inner_ >= 0 && to_peer_.empty() && conduct_->between_responses()) {
    [[maybe_unused]] const Moved moved = peer_->Write(kGoAway);  // Or it learns from the end.
  }
}

uint32_t Passage::peer_events() const {
  if (!shaken_) return peer_->WantsToWrite() ? EPOLLIN | EPOLLOUT : EPOLLIN;
  uint32_t events = 0;
  if (MayRead() && read_after_ == absl::InfinitePast()) events |= EPOLLIN;
  if (!to_peer_.empty() || peer_->WantsToWrite()) events |= EPOLLOUT;
  return events;
}

uint32_t Passage::inner_events() const {
  if (inner_ < 0) return 0;
  uint32_t events = 0;
  if (to_peer_.empty() && !inner_ended_) events |= EPOLLIN;
  if (!to_inner_.empty()) events |= EPOLLOUT;
  return events;
}

absl::Time Passage::due() const {
  if (!shaken_) return shake_deadline_;
  if (MayRead() && peer_->HasRead() && read_after_ == absl::InfinitePast()) {
    return absl::InfinitePast();
  }
  if (!MayRead()) return stalled_after_;
  if (read_after_ != absl::InfinitePast()) return std::min(stalled_after_, read_after_);
  return std::min(stalled_after_, conduct_->deadline());
}

}  // namespace holdfast::gate
