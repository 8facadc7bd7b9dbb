#include "server/daemon/process.h"

#include <pthread.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include "server/base/log.h"

namespace holdfast::daemon {
namespace {

// Our own signals, and one by which Signals wakes its thread.
sigset_t OurSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGUSR1);
  return signals;
}

}  // namespace

void PrepareProcess() {
  ::umask(0077);
  std::signal(SIGPIPE, SIG_IGN);
  const sigset_t signals = OurSignals();
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
  }
}

void ForbidInspection() {
  const rlimit no_core{0, 0};
  if (::setrlimit(RLIMIT_CORE, &no_core) != 0 || ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
    base::LogWarning("core dumps could not be forbidden", {{"reason", std::strerror(errno)}});
  }
}

Signals::Signals(std::function<void(int)> on_signal)
    : on_signal_(std::move(on_signal)), thread_([this] { Run(); }) {}

Signals::~Signals() {
  stopping_ = true;
  ::pthread_kill(thread_.native_handle(), SIGUSR1);
  thread_.join();
}

void Signals::Run() {
  const sigset_t signals = OurSignals();
  int count = 0;
  while (true) {
    int signal = 0;
    if (::sigwait(&signals, &signal) != 0) continue;
    if (stopping_) return;
    if (signal == SIGUSR1) continue;  // Somebody else's: it means nothing here.
    ++count;
    base::LogInfo(count == 1 ? "told to stop: draining" : "told to stop again: ending at once",
                  {{"signal", signal == SIGTERM ? "SIGTERM" : "SIGINT"}});
    on_signal_(count);
  }
}

}  // namespace holdfast::daemon
