// The balance against the database: what the daemon says it has done, against what the tables hold.
//
// Everything is read without locks, each statement at one moment of its own. So traffic in flight
// can look like a difference between two statements; what differs is looked at again before it is
// said.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "server/base/clock.h"
#include "server/event/event_id.h"
#include "server/mysql/session.h"
#include "server/statement/lane_position.h"

namespace holdfast::inspect {

struct AuditOptions {
  std::string writer_id;
  absl::Duration stats_utc_offset = absl::ZeroDuration();
  std::optional<absl::Time> since;  // Nothing: all, and then the tables' rows are counted, too.
  size_t differences_max = 100;     // Kept word for word.
  absl::Time deadline = absl::InfiniteFuture();  // Steady time: it stops in between and says so.
  // Between two looks at what differs.
  absl::Duration look_again_after = absl::Milliseconds(200);
  int looks_max = 25;
};

struct Difference {
  std::string check;
  std::string place;
  std::string what;
  std::string expected;
  std::string found;
};

struct Check {
  std::string name;
  std::string about;
  uint64_t compared = 0;
  uint64_t differences = 0;
  uint64_t in_flight = 0;  // Looked different at first, and was not.
  std::string note;
};

struct AuditReport {
  std::vector<Check> checks;
  std::vector<Difference> differences;
  std::string incomplete;  // Why it ended early, and how far it came.
};

// A lane as the daemon has it in memory.
struct LaneBooks {
  std::string lane;
  statement::LaneRow row;
};

// `books` tells the lanes that know their place, as they are now. `cancelled` is asked between
// statements: CANCELLED. Fails with the database's error; what was found until then is lost.
absl::StatusOr<AuditReport> Audit(const AuditOptions& options,
                                  absl::FunctionRef<std::vector<LaneBooks>()> books,
                                  absl::FunctionRef<bool()> cancelled,
                                  mysql::SessionSource& sessions, base::Clock& clock);

}  // namespace holdfast::inspect
