#include "server/gate/gate.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"

#include "server/base/log.h"
#include "server/base/status_macros.h"

namespace holdfast::gate {
namespace {

// The peer's end, and the two of the pair towards gRPC.
constexpr rlim_t kDescriptorsOfConnection = 3;

// How long an own connection may take to be made.
constexpr timeval kKnockTimeout = {1, 0};

}  // namespace

absl::Status GateOptions::Validate() const {
  HOLDFAST_RETURN_IF_ERROR(tls.Validate());
  HOLDFAST_RETURN_IF_ERROR(admission.conduct.Validate());
  if (tls.enabled() && listen.is_unix()) {
    return absl::InvalidArgumentError(
        "tls_cert_file: a Unix socket has no TLS; listen on an address, or leave it out");
  }
  if (!tls.enabled() && !listen.is_local()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "listen: ", listen.ToString(),
        " can be reached by other machines: set HOLDFAST_TLS_CERT_FILE, HOLDFAST_TLS_KEY_FILE and "
        "HOLDFAST_TLS_CLIENT_CA_FILE, or use unix:/absolute/path or 127.0.0.1:port"));
  }
  return absl::OkStatus();
}

absl::Status GateOptions::Check() const {
  HOLDFAST_RETURN_IF_ERROR(Validate());
  if (tls.enabled()) HOLDFAST_RETURN_IF_ERROR(LoadTls(tls).status());
  return ListeningSocket::CheckPlace(listen);
}

Gate::Gate(GateOptions options, ListeningSocket socket, base::Clock& clock,
           metrics::Metrics& metrics)
    : options_(std::move(options)),
      address_(socket.address()),
      clock_(clock),
      metrics_(metrics),
      socket_(std::move(socket)),
      admission_(options_.admission) {}

absl::StatusOr<std::unique_ptr<Gate>> Gate::Bind(const GateOptions& options, base::Clock& clock,
                                                 metrics::Metrics& metrics) {
  HOLDFAST_RETURN_IF_ERROR(options.Validate());
  GateOptions fitted = options;
  HOLDFAST_RETURN_IF_ERROR(FitToFileLimit(fitted.admission));
  TlsContext tls;
  if (options.tls.enabled()) {
    HOLDFAST_ASSIGN_OR_RETURN(tls, LoadTls(options.tls));
  }
  HOLDFAST_ASSIGN_OR_RETURN(ListeningSocket socket, ListeningSocket::Open(options.listen));
  auto gate = std::unique_ptr<Gate>(new Gate(std::move(fitted), std::move(socket), clock, metrics));
  if (tls != nullptr) gate->certificates_.emplace(options.tls, std::move(tls));
  HOLDFAST_RETURN_IF_ERROR(gate->Prepare());
  return gate;
}

absl::Status Gate::FitToFileLimit(AdmissionOptions& admission) {
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur == RLIM_INFINITY) {
    return absl::OkStatus();
  }
  const auto reserved = static_cast<rlim_t>(admission.files_reserved);
  const rlim_t possible =
      files.rlim_cur > reserved ? (files.rlim_cur - reserved) / kDescriptorsOfConnection : 0;
  if (possible == 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("the limit on open files is ", files.rlim_cur, ", and ", reserved,
                     " are needed beside connections; raise it (ulimit -n)"));
  }
  if (possible < static_cast<rlim_t>(admission.connections_max)) {
    base::LogWarning("the limit on open files allows fewer connections than are configured",
                     {{"files", files.rlim_cur},
                      {"configured", admission.connections_max},
                      {"possible", possible}});
    admission.connections_max = static_cast<int>(possible);
  }
  return absl::OkStatus();
}

absl::Status Gate::Prepare() {
  events_ = ::epoll_create1(EPOLL_CLOEXEC);
  wake_up_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  spare_ = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  epoll_event accept{};
  accept.events = EPOLLIN;
  accept.data.u64 = kSocketToken;
  epoll_event wake{};
  wake.events = EPOLLIN;
  wake.data.u64 = kWakeUpToken;
  if (events_ < 0 || wake_up_ < 0 || spare_ < 0 ||
      ::epoll_ctl(events_, EPOLL_CTL_ADD, socket_->descriptor(), &accept) != 0 ||
      ::epoll_ctl(events_, EPOLL_CTL_ADD, wake_up_, &wake) != 0) {
    return absl::UnavailableError(absl::StrCat("cannot watch ", address().ToString(), ": ",
                                               std::strerror(errno),
                                               "; raise the limit on open files"));
  }
  return absl::OkStatus();
}

Gate::~Gate() {
  StopAccepting();
  Close(absl::ZeroDuration());
  for (const int descriptor : {events_, wake_up_, spare_}) {
    if (descriptor >= 0) ::close(descriptor);
  }
}

void Gate::Start(absl::AnyInvocable<void(int)> take) {
  take_ = std::move(take);
  thread_ = std::thread([this] { Run(); });
}

void Gate::WakeUp() {
  const uint64_t one = 1;
  // Can only fail if the counter is full, and then the thread is awake anyway.
  [[maybe_unused]] const ssize_t written = ::write(wake_up_, &one, sizeof one);
}

void Gate::StopAccepting() {
  if (!thread_.joinable()) {
    socket_.reset();
    return;
  }
  absl::MutexLock lock(&mu_);
  stop_accepting_ = true;
  WakeUp();
  mu_.Await(absl::Condition(&stopped_accepting_));
}

void Gate::Close(absl::Duration timeout) {
  if (!thread_.joinable()) return;
  {
    absl::MutexLock lock(&mu_);
    stop_accepting_ = true;
    end_by_ = std::min(end_by_, clock_.Steady() + timeout);
  }
  WakeUp();
  thread_.join();
}

absl::StatusOr<int> Gate::Knock() {
  const int knocking =
      ::socket(address_.is_unix() ? AF_UNIX : address_.family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
  const auto failed = [&](absl::string_view what) {
    const int error = errno;
    if (knocking >= 0) ::close(knocking);
    return absl::UnavailableError(
        absl::StrCat("cannot ", what, " ", address_.ToString(), ": ", std::strerror(error)));
  };
  if (knocking < 0) return failed("open a socket for");
  ::setsockopt(knocking, SOL_SOCKET, SO_SNDTIMEO, &kKnockTimeout, sizeof kKnockTimeout);
  SocketAddress to = address_.Reachable();
  if (!address_.is_unix()) {
    // Bound first: the gate must know the port before it sees the connection.
    SocketAddress from = to;
    from.set_port(0);
    if (::bind(knocking, from.get(), from.length) != 0 ||
        ::getsockname(knocking, from.get(), &from.length) != 0) {
      return failed("find a port to reach");
    }
    absl::MutexLock lock(&mu_);
    own_port_ = from.ToString();
  }
  if (::connect(knocking, to.get(), to.length) != 0) return failed("connect to");
  return knocking;
}

}  // namespace holdfast::gate
