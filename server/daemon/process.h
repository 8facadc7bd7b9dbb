// What concerns the process as a whole: its rights, its limits, its signals.

#pragma once

#include <atomic>
#include <functional>
#include <thread>

namespace holdfast::daemon {

// Before any thread starts: files are made for our user alone, a broken pipe is an error and no
// signal, SIGTERM and SIGINT wait for Signals, and as many files may be open as the system allows.
void PrepareProcess();

// No core file and no debugger: the process holds a password and events.
void ForbidInspection();

// Waits for SIGTERM and SIGINT on a thread of its own.
class Signals final {
 public:
  // `on_signal` is called on that thread for each, with how many there were. REQUIRES:
  // PrepareProcess was called before any thread was started.
  explicit Signals(std::function<void(int count)> on_signal);
  ~Signals();

  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

 private:
  void Run();

  const std::function<void(int)> on_signal_;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

}  // namespace holdfast::daemon
