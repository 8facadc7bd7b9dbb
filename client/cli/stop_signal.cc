#include "client/cli/stop_signal.h"

#include <sys/signalfd.h>
#include <unistd.h>

namespace holdfast::client {

StopSignal::StopSignal() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGINT, SIGTERM}) {
    struct sigaction action {};
    ::sigaction(signal, nullptr, &action);
    // As in the background of a shell. A blocked signal would be told although it is ignored.
    if (action.sa_handler != SIG_IGN) sigaddset(&signals, signal);
  }
  ::pthread_sigmask(SIG_BLOCK, &signals, &before_);
  descriptor_ = ::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
  if (descriptor_ < 0) Restore();
}

StopSignal::~StopSignal() {
  if (descriptor_ < 0) return;
  Restore();
  ::close(descriptor_);
}

std::optional<int> StopSignal::Take() {
  signalfd_siginfo come{};
  if (descriptor_ < 0 || ::read(descriptor_, &come, sizeof come) != sizeof come) {
    return std::nullopt;
  }
  Restore();
  return static_cast<int>(come.ssi_signo);
}

void StopSignal::Restore() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

}  // namespace holdfast::client
