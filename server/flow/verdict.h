// What a failure of the database means for the batch: what to do next, not which layer it came
// from.

#pragma once

#include "absl/strings/string_view.h"

namespace holdfast::flow {

enum class Verdict {
  kRetry,      // Deadlock or lock wait: roll back, wait, run the whole transaction again.
  kUnknown,    // The link broke once COMMIT may have been sent: run the same transaction again on a
               // new connection; its compare-and-set tells what became of the first.
  kReconnect,  // The link broke before COMMIT, or there was none: new connection, again.
  kElsewhere,  // This server cannot write: drop the connection, try the next endpoint.
  kThrottle,   // The server has too many connections: wait, with fewer.
  kReject,     // Bad data: fails every time. Bisect to the event, quarantine it.
  kOutage,  // The schema or a grant is wrong, or the disk is full: stop the lane and say why; try
            // again now and then. Never quarantine for it.
};

// "retry", "unknown", ...
absl::string_view VerdictName(Verdict verdict);

}  // namespace holdfast::flow
