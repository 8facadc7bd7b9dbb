// What the gate's thread does.

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

#include "server/base/log.h"
#include "server/gate/gate.h"

namespace holdfast::gate {
namespace {

// When accept fails for want of descriptors, it is tried again after so long.
constexpr absl::Duration kAcceptPause = absl::Milliseconds(100);

// The same reason is logged once in so long; all are counted.
constexpr absl::Duration kReportEvery = absl::Minutes(1);

// How much one connection may move at once.
constexpr size_t kScratchBytes = size_t{64} << 10;

constexpr int kEventsAtATime = 64;

constexpr uint64_t kSides = 2;

}  // namespace

void Gate::Run() {
  scratch_.resize(kScratchBytes);
  while (true) {
    epoll_event ready[kEventsAtATime];
    const int count = ::epoll_wait(events_, ready, kEventsAtATime, Patience(clock_.Steady()));
    const absl::Time now = clock_.Steady();
    for (int i = 0; i < count; ++i) {
      const uint64_t token = ready[i].data.u64;
      if (token == kWakeUpToken) {
        uint64_t rung = 0;
        [[maybe_unused]] const ssize_t read = ::read(wake_up_, &rung, sizeof rung);
      } else if (token == kSocketToken) {
        AcceptAll(now);
      } else {
        Serve(token / kSides, now);
      }
    }
    ServeDue(now);
    ObeyStop(now);
    if (MayEnd(now)) break;
  }
  const absl::Time now = clock_.Steady();
  while (!passages_.empty()) Remove(passages_.begin()->first, now);
}

// Milliseconds until something is due; -1 if nothing is.
int Gate::Patience(absl::Time now) const {
  absl::Time due = accept_after_ == absl::InfinitePast() ? absl::InfiniteFuture() : accept_after_;
  {
    absl::MutexLock lock(&mu_);
    due = std::min(due, end_by_);
  }
  for (const auto& [id, watched] : passages_) due = std::min(due, watched.passage->due());
  if (due == absl::InfiniteFuture()) return -1;
  if (due <= now) return 0;
  // Rounded up, or it would be awake too early, and at once again.
  return static_cast<int>(std::min<int64_t>(absl::ToInt64Milliseconds(due - now), 3600 * 1000)) + 1;
}

void Gate::AcceptAll(absl::Time now) {
  if (!socket_.has_value()) return;
  // Not without end: those who are in have their turn.
  for (int i = 0; i < kEventsAtATime; ++i) {
    const int connection =
        ::accept4(socket_->descriptor(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (connection >= 0) {
      LetIn(connection, now);
      continue;
    }
    if (errno == EINTR || errno == ECONNABORTED) continue;
    if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
      Report("descriptors", "", absl::ResourceExhaustedError(std::strerror(errno)), now);
      TurnAwayOne();
      PauseAccepting(true);
      accept_after_ = now + kAcceptPause;
    }
    return;
  }
}

// Without descriptors the socket stays readable, and looking at it again and again would only spin.
void Gate::PauseAccepting(bool pause) {
  if (!socket_.has_value()) return;
  epoll_event accept{};
  accept.events = pause ? 0U : static_cast<uint32_t>(EPOLLIN);
  accept.data.u64 = kSocketToken;
  ::epoll_ctl(events_, EPOLL_CTL_MOD, socket_->descriptor(), &accept);
  if (!pause) accept_after_ = absl::InfinitePast();
}

// Whoever waits is told at once that there is no room, rather than left to wait.
void Gate::TurnAwayOne() {
  if (spare_ >= 0) ::close(spare_);
  const int connection = ::accept4(socket_->descriptor(), nullptr, nullptr, SOCK_CLOEXEC);
  if (connection >= 0) ::close(connection);
  spare_ = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
}

void Gate::LetIn(int connection, absl::Time now) {
  absl::StatusOr<Peer> peer = PeerOf(connection);
  if (!peer.ok()) {
    Report("unknown", "", peer.status(), now);
    ::close(connection);
    return;
  }
  if (IsOurs(connection)) peer->is_ours = true;
  if (const absl::Status entered = admission_.Enter(*peer); !entered.ok()) {
    // Before the peer can know of it.
    Report(absl::IsPermissionDenied(entered) ? "user" : "too_many", peer->key, entered, now);
    ::close(connection);
    return;
  }
  if (!address_.is_unix()) {
    const int yes = 1;
    ::setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  }
  const bool with_tls = certificates_.has_value() && !peer->is_ours;
  std::unique_ptr<Wire> wire = with_tls ? MakeTlsWire(connection, certificates_->Current(now),
                                                      certificates_->options().client_names)
                                        : MakePlainWire(connection);
  const uint64_t id = next_id_++;
  Watched& watched = passages_[id];
  watched.passage = std::make_unique<Passage>(std::move(wire), peer->key,
                                              admission_.WatchOver(peer->key, now), now);
  connections_.store(admission_.connections(), std::memory_order_relaxed);
  metrics_.gateway_connections->Set(admission_.connections());
  if (!Watch(id, watched)) Remove(id, now);
}

bool Gate::IsOurs(int connection) {
  if (address_.is_unix()) return false;
  SocketAddress from;
  if (::getpeername(connection, from.get(), &from.length) != 0) return false;
  absl::MutexLock lock(&mu_);
  if (own_port_ != from.ToString()) return false;
  own_port_.clear();
  return true;
}

void Gate::Serve(uint64_t id, absl::Time now) {
  const auto found = passages_.find(id);
  if (found == passages_.end()) return;  // An event from before it was removed.
  Passage& passage = *found->second.passage;
  const absl::Status worked =
      passage.Work(absl::MakeSpan(scratch_), now, [this](int descriptor) { take_(descriptor); });
  if (!worked.ok()) {
    const bool in_handshake = !passage.is_shaken() && !absl::IsDeadlineExceeded(worked);
    Report(in_handshake ? "tls" : ReasonOf(worked), passage.peer_key(), worked, now);
  }
  if (!worked.ok() || passage.over() || !Watch(id, found->second)) Remove(id, now);
}

void Gate::ServeDue(absl::Time now) {
  if (accept_after_ != absl::InfinitePast() && now >= accept_after_) PauseAccepting(false);
  std::vector<uint64_t> due;
  for (const auto& [id, watched] : passages_) {
    if (watched.passage->due() <= now) due.push_back(id);
  }
  for (const uint64_t id : due) Serve(id, now);
}

bool Gate::Watch(uint64_t id, Watched& watched) {
  const Passage& passage = *watched.passage;
  return Tell(passage.peer_descriptor(), id * kSides, passage.peer_events(),
              &watched.peer_events) &&
         Tell(passage.inner_descriptor(), id * kSides + 1, passage.inner_events(),
              &watched.inner_events);
}

// Tells epoll what is waited for. Where nothing is, it is not told of the descriptor at all: it
// would tell again and again that the other side has gone.
bool Gate::Tell(int descriptor, uint64_t token, uint32_t wanted, uint32_t* told) {
  if (wanted == *told) return true;
  epoll_event event{};
  event.events = wanted;
  event.data.u64 = token;
  const int operation = wanted == 0 ? EPOLL_CTL_DEL : *told == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
  *told = wanted;
  return ::epoll_ctl(events_, operation, descriptor, &event) == 0;
}

void Gate::Remove(uint64_t id, absl::Time now) {
  const std::string key = passages_[id].passage->peer_key();
  passages_.erase(id);  // Closes both descriptors, and epoll forgets them with that.
  admission_.Leave(key, now);
  connections_.store(admission_.connections(), std::memory_order_relaxed);
  metrics_.gateway_connections->Set(admission_.connections());
}

absl::string_view Gate::ReasonOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
      return "protocol";
    case absl::StatusCode::kOutOfRange:
      return "headers";
    case absl::StatusCode::kDeadlineExceeded:
      return "timeout";
    case absl::StatusCode::kResourceExhausted:
      return "flood";
    default:
      return "unknown";
  }
}

void Gate::Report(absl::string_view reason, absl::string_view peer, const absl::Status& status,
                  absl::Time now) {
  metrics_.ConnectionsRefused(reason).Increment();
  const auto [found, is_new] = reported_.try_emplace(std::string(reason), now);
  if (!is_new && now - found->second < kReportEvery) return;
  found->second = now;
  base::LogWarning(
      "a connection is refused; more for this reason are only counted for a minute",
      {{"listen", address_.ToString()}, {"peer", peer}, {"reason", reason}, {"status", status}});
}

void Gate::ObeyStop(absl::Time now) {
  {
    absl::MutexLock lock(&mu_);
    if (!stop_accepting_ || stopped_accepting_) return;
  }
  socket_.reset();
  accept_after_ = absl::InfinitePast();
  // gRPC takes no more: those whom it does not know yet have come too late.
  std::vector<uint64_t> late;
  for (const auto& [id, watched] : passages_) {
    if (!watched.passage->is_open()) late.push_back(id);
  }
  for (const uint64_t id : late) Remove(id, now);
  absl::MutexLock lock(&mu_);
  stopped_accepting_ = true;
}

bool Gate::MayEnd(absl::Time now) {
  absl::MutexLock lock(&mu_);
  return end_by_ != absl::InfiniteFuture() && (passages_.empty() || now >= end_by_);
}

}  // namespace holdfast::gate
