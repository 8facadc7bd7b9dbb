// SIGINT and SIGTERM as something to wait for and to ask after, instead of an end without a word.

#pragma once

#include <signal.h>

#include <optional>

namespace holdfast::client {

// Not thread-safe.
class StopSignal final {
 public:
  // From here on they no longer end the process, unless it was started to ignore them: then it
  // still does. To be made before other threads are, which take over what is blocked.
  StopSignal();
  ~StopSignal();

  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;

  // Can be read once one has come; -1 if that cannot be had, and signals end the process as ever.
  int descriptor() const { return descriptor_; }

  // The one that has come, told once. From then on another one ends the process.
  std::optional<int> Take();

 private:
  void Restore();

  sigset_t before_{};
  int descriptor_;
};

}  // namespace holdfast::client
