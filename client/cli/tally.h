// What became of the lines of a file. The balance that the summary shows:
//   lines = accepted + refused + quarantined + unreadable + held back + already held
//           + not acknowledged

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace holdfast::client {

// Thread-safe.
class Tally final {
 public:
  // Complaints that are kept word for word.
  static constexpr size_t kComplaintsMax = 10;

  struct Counts {
    uint64_t lines = 0;  // Blank ones are not counted.
    uint64_t accepted = 0;
    uint64_t refused = 0;
    uint64_t quarantined = 0;
    uint64_t unreadable = 0;
    uint64_t held_back = 0;
    uint64_t already_held = 0;
    uint64_t not_acknowledged = 0;

    uint64_t rejected() const { return refused + quarantined + unreadable + held_back; }
    uint64_t settled() const { return accepted + rejected() + already_held; }
  };

  // A line was read; its outcome will follow.
  void Read();
  // The line is no event.
  void Unreadable(uint64_t line, absl::string_view why);
  // The line is an event that must not be sent.
  void HeldBack(uint64_t line, absl::string_view why);
  // The daemon had it already.
  void AlreadyHeld();
  // The outcome of an event; see Client::Callback.
  void Outcome(uint64_t line, const absl::Status& status);

  Counts counts() const;
  // The first complaints, a sentence each with the line's number.
  std::vector<std::string> complaints() const;

 private:
  void Complain(uint64_t line, absl::string_view what, absl::string_view why)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  mutable absl::Mutex mu_;
  Counts counts_ ABSL_GUARDED_BY(mu_);
  std::vector<std::string> complaints_ ABSL_GUARDED_BY(mu_);
};

}  // namespace holdfast::client
