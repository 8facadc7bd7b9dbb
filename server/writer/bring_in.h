// Brings events into their tables within a transaction: raw rows, then what the counters gain from
// those that were really new. What a lane's batch and a replay from quarantine have in common, so
// that both count alike.

#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"

#include "server/event/batch.h"
#include "server/statement/batch.h"
#include "server/statement/lane_position.h"
#include "server/writer/lane_writer.h"
#include "server/writer/transaction.h"

namespace holdfast::writer {

// A failure that ends only when an operator acts.
absl::Status Outage(absl::string_view text);

// The events, ready for their tables, under a tag of their own. They must outlive it.
std::unique_ptr<statement::Batch> MakeBatch(const WriterOptions& options, event::Kind kind,
                                            absl::Span<const event::Accepted> events);

// An event of a batch that goes to quarantine, and why: rejected by the database, or in conflict.
struct Refusal {
  size_t event = 0;
  Rejection rejection;  // error_number, column and reason.
};

// The reason as a rejection, as far as the database tells.
Rejection RejectionOf(const absl::Status& reason);

// Inserts the raw rows; afterwards the batch knows each event's fate. Returns those that go to
// quarantine, in no order. After any error the transaction must be rolled back.
absl::StatusOr<std::vector<Refusal>> BringInRows(Transaction& transaction, statement::Batch& batch,
                                                 size_t events);

// Adds to the counters what the rows that were new bring, and locks what others want, too: right
// before COMMIT. An error of verdict kReject is the fault of some event, but it is not known of
// which. After any error the transaction must be rolled back.
absl::Status BringInCounters(Transaction& transaction, statement::Batch& batch);

// Moves the lane's row past `events` events to `position`, from where `from` says it is. If nothing
// has happened to the row but replays from quarantine, `from` is brought up to date first. Returns
// whether it moved; if not, nothing was written, and `found` is the row, locked, or nullopt if it
// is gone.
absl::StatusOr<bool> MoveLaneRow(Transaction& transaction, const statement::LaneKey& key,
                                 uint64_t position, uint64_t events, absl::Time now,
                                 statement::LaneRow* from,
                                 std::optional<statement::LaneRow>* found);

// OK if the database's hours of usage_stats begin where `options` say; else the verdict is kOutage.
absl::Status CheckStatsUtcOffset(Transaction& transaction, const WriterOptions& options);

}  // namespace holdfast::writer
