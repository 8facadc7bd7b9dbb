#include "server/ingress/listener.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"

#include "server/base/log.h"
#include "server/base/status_macros.h"

namespace holdfast::ingress {
namespace {

// When accept fails for want of descriptors, the listener is looked at again after so long.
constexpr int kPauseMilliseconds = 100;

}  // namespace

Listener::Listener(ListeningSocket socket, ListenerOptions options, metrics::Metrics& metrics)
    : options_(std::move(options)), metrics_(metrics), socket_(std::move(socket)) {}

absl::StatusOr<std::unique_ptr<Listener>> Listener::Bind(const ListenAddress& address,
                                                         const ListenerOptions& options,
                                                         metrics::Metrics& metrics) {
  HOLDFAST_ASSIGN_OR_RETURN(ListeningSocket socket, ListeningSocket::Open(address));
  auto listener = std::unique_ptr<Listener>(new Listener(std::move(socket), options, metrics));
  HOLDFAST_RETURN_IF_ERROR(listener->PrepareEvents());
  return listener;
}

absl::Status Listener::PrepareEvents() {
  events_ = ::epoll_create1(EPOLL_CLOEXEC);
  wake_up_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  epoll_event accept{};
  accept.events = EPOLLIN;
  accept.data.fd = socket_.descriptor();
  epoll_event wake{};
  wake.events = EPOLLIN;
  wake.data.fd = wake_up_;
  if (events_ < 0 || wake_up_ < 0 ||
      ::epoll_ctl(events_, EPOLL_CTL_ADD, socket_.descriptor(), &accept) != 0 ||
      ::epoll_ctl(events_, EPOLL_CTL_ADD, wake_up_, &wake) != 0) {
    return absl::UnavailableError(absl::StrCat("cannot watch ", address().ToString(), ": ",
                                               std::strerror(errno),
                                               "; raise the limit on open files"));
  }
  return absl::OkStatus();
}

Listener::~Listener() {
  Stop();
  absl::MutexLock lock(&mu_);
  for (const int watched : watched_) ::close(watched);
  for (const int descriptor : {events_, wake_up_}) {
    if (descriptor >= 0) ::close(descriptor);
  }
}

void Listener::Start(absl::AnyInvocable<void(int, int)> take) {
  take_ = std::move(take);
  thread_ = std::thread([this] { Run(); });
}

void Listener::Stop() {
  if (wake_up_ >= 0) {
    const uint64_t one = 1;
    // Can only fail if the counter is full, and then the thread is awake anyway.
    [[maybe_unused]] const ssize_t written = ::write(wake_up_, &one, sizeof one);
  }
  if (thread_.joinable()) thread_.join();
  socket_.RemoveFile();
}

int Listener::connections() const {
  absl::MutexLock lock(&mu_);
  return static_cast<int>(watched_.size());
}

void Listener::Run() {
  bool paused = false;
  while (true) {
    epoll_event ready[16];
    const int count =
        ::epoll_wait(events_, ready, std::size(ready), paused ? kPauseMilliseconds : -1);
    bool incoming = paused && count == 0;
    for (int i = 0; i < count; ++i) {
      const int descriptor = ready[i].data.fd;
      if (descriptor == wake_up_) return;
      if (descriptor == socket_.descriptor()) {
        incoming = true;
      } else {
        Forget(descriptor);
      }
    }
    while (incoming && AcceptOne()) {
    }
    // Without descriptors the listener stays readable; looking at it again and again would only
    // spin.
    const bool starved = incoming && (errno == EMFILE || errno == ENFILE || errno == ENOMEM);
    if (starved != paused) {
      if (starved) {
        base::LogError("no file descriptors are left for new connections; raise the limit",
                       {{"listen", address().ToString()}});
      }
      epoll_event accept{};
      accept.events = starved ? 0U : static_cast<uint32_t>(EPOLLIN);
      accept.data.fd = socket_.descriptor();
      ::epoll_ctl(events_, EPOLL_CTL_MOD, socket_.descriptor(), &accept);
      paused = starved;
    }
  }
}

bool Listener::AcceptOne() {
  const int connection =
      ::accept4(socket_.descriptor(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (connection < 0) return errno == EINTR || errno == ECONNABORTED;
  if (!MayEnter(connection)) {
    ::close(connection);
    return true;
  }
  const int watched = ::fcntl(connection, F_DUPFD_CLOEXEC, 0);
  epoll_event end{};
  end.events = EPOLLHUP;  // Comes when both directions are shut, by the peer or by gRPC.
  end.data.fd = watched;
  if (watched < 0 || ::epoll_ctl(events_, EPOLL_CTL_ADD, watched, &end) != 0) {
    const int error = errno;
    if (watched >= 0) ::close(watched);
    ::close(connection);
    errno = error;
    return false;
  }
  {
    absl::MutexLock lock(&mu_);
    watched_.insert(watched);
  }
  if (!address().is_unix()) {
    const int yes = 1;
    ::setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  }
  take_(socket_.descriptor(), connection);
  return true;
}

bool Listener::MayEnter(int connection) {
  ucred peer{};
  socklen_t length = sizeof peer;
  if (address().is_unix()) {
    if (::getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) return false;
    // Our own probe always enters: being full is no reason to be taken for dead.
    if (peer.pid == ::getpid()) return true;
    const auto& allowed = options_.allowed_uids;
    if (!allowed.empty() && peer.uid != ::geteuid() &&
        std::find(allowed.begin(), allowed.end(), peer.uid) == allowed.end()) {
      metrics_.Requests("connect", "PERMISSION_DENIED").Increment();
      if (!std::exchange(told_of_refusal_, true)) {
        base::LogWarning("refused a connection of a user who is not allowed; more are only counted",
                         {{"uid", peer.uid}, {"listen", address().ToString()}});
      }
      return false;
    }
  }
  if (connections() < options_.connections_max) return true;
  metrics_.Requests("connect", "RESOURCE_EXHAUSTED").Increment();
  return false;
}

void Listener::Forget(int watched) {
  {
    absl::MutexLock lock(&mu_);
    watched_.erase(watched);
  }
  ::epoll_ctl(events_, EPOLL_CTL_DEL, watched, nullptr);
  ::close(watched);
}

}  // namespace holdfast::ingress
