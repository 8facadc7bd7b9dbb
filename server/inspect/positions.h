// How far the database is with the lanes of a journal.

#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "server/event/event_id.h"
#include "server/event/kind.h"
#include "server/mysql/session.h"

namespace holdfast::inspect {

// Of each lane the last ordinal that is settled; nullopt where the database has no row, because
// nothing of the lane was ever delivered, or so long ago that the row has been removed.
using Positions = std::array<std::optional<uint64_t>, event::kLaneCount>;

// Asks holdfast_lanes for the rows of `journal_id`, whatever writer wrote them. Beside a daemon
// (`in_use`) nothing is locked. Without one, each row is waited for: the transaction of a daemon
// that was killed may still be about to commit. Errors of the database as they are.
absl::StatusOr<Positions> ReadPositions(mysql::SessionSource& sessions, absl::Time deadline,
                                        const event::Id& journal_id, bool in_use);

}  // namespace holdfast::inspect
