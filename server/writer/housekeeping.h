// Keeps the daemon's own tables from growing for ever: forgets the ids of old hits, removes the
// lanes of writers that are gone, and says of its own lanes, also the idle ones, that their writer
// is not.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "server/base/clock.h"
#include "server/event/validate.h"
#include "server/mysql/session.h"
#include "server/statement/housekeeping.h"

namespace holdfast::writer {

struct HousekeepingOptions {
  std::string writer_id;  // As in WriterOptions.

  // Longer than ids of hits are promised to be remembered.
  absl::Duration hits_retention = event::kHitsIdRetention + absl::Hours(24);

  // For so long a lane's row waits for its writer to come back.
  absl::Duration lane_retention = absl::Hours(30 * 24);

  // How old the sign of life on an idle lane of our own may become.
  absl::Duration touch_after = absl::Hours(24);

  // To wait for a session from the pool.
  absl::Duration rent_timeout = absl::Seconds(30);

  // OK, or InvalidArgument naming the first field at fault.
  absl::Status Validate() const;
};

// Not thread-safe. `sessions` and `clock` must outlive it.
class Housekeeping final {
 public:
  // REQUIRES: options.Validate().ok().
  Housekeeping(const HousekeepingOptions& options, mysql::SessionSource& sessions,
               base::Clock& clock);

  // One round, bounded in time and rows: at most statement::kExpiredHitsAtOnce ids and
  // statement::kOldLanesAtOnce lanes. On failure some of it is done; call it again later.
  absl::Status Step();

  // Whether the last round left something to do at once.
  bool more() const { return more_; }

 private:
  absl::StatusOr<absl::Time> ServerTime();
  absl::Status TouchOwnLanes(absl::Time now);
  absl::Status DeleteExpiredHits(absl::Time now);
  absl::Status DeleteOldLanes(absl::Time now);
  // A transaction of one call: no row is locked while another is waited for.
  absl::StatusOr<uint64_t> Run(const statement::Call& call);
  absl::StatusOr<std::vector<statement::FoundLane>> Find(const statement::Call& call);

  const HousekeepingOptions options_;
  mysql::SessionSource& sessions_;
  base::Clock& clock_;
  bool more_ = false;
};

}  // namespace holdfast::writer
