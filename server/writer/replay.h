// Settles quarantined events for operators: brings one back into its table once its cause is
// mended, or discards it.
//
// A replay is one transaction, in the lanes' own order of tables: the row of the lane whose books
// hold the event is locked; the raw row and the counters are brought in by the statements of a
// lane's batch; the quarantine's row is settled by compare-and-set; the books move from quarantined
// to committed or duplicate. So it counts once, however many try, whichever daemon does it, and
// whenever one of them dies: what did not commit changed nothing, and what did is not waiting any
// more. The lane whose books moved finds out by its own compare-and-set (MoveLaneRow).

#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

#include "server/base/clock.h"
#include "server/mysql/session.h"
#include "server/writer/lane_writer.h"

namespace holdfast::writer {

// What a replay or a discard came to.
struct Settled {
  enum class Kind {
    kCommitted,      // Replayed: it is in its table now.
    kDuplicate,      // Replayed: its id was there already, with the same content.
    kDiscarded,      // Discarded. It stays counted as quarantined.
    kRefusedAgain,   // Still waiting: refused for `rejection`'s reason, which the row has now.
    kSettledBefore,  // Nothing changed: it does not wait. `outcome` says what it is.
    kNotFound,       // There is none of that number.
  };
  Kind kind = Kind::kNotFound;
  Rejection rejection;
  std::string outcome;  // A constant of statement/quarantine_replay.h.
};

struct SettleRequest {
  uint64_t quarantine_id = 0;
  std::string by;      // Who asks, for the row.
  std::string reason;  // Why it is discarded.
  // On the steady clock: nothing is tried again after it.
  absl::Time deadline;
};

// Replays one event. `options`: as those of the lanes of this daemon. Transient failures are tried
// again until the deadline; any other is returned with its verdict, and the event waits as before.
// After a COMMIT whose answer was lost, with the deadline, it may have been replayed: ask again.
absl::StatusOr<Settled> ReplayQuarantined(const WriterOptions& options,
                                          mysql::SessionSource& sessions, base::Clock& clock,
                                          const SettleRequest& request);

// Discards one event. Failures as above.
absl::StatusOr<Settled> DiscardQuarantined(mysql::SessionSource& sessions, base::Clock& clock,
                                           const SettleRequest& request);

}  // namespace holdfast::writer
