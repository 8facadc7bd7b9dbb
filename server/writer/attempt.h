// One transaction of one batch, all but its end: the lane's position, the raw rows, the counters,
// what goes to quarantine, in this order of tables always, so that no two batches of ours can
// deadlock.

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/span.h"

#include "server/event/batch.h"
#include "server/statement/batch.h"
#include "server/statement/lane_position.h"
#include "server/statement/quarantine.h"
#include "server/writer/bring_in.h"
#include "server/writer/lane_writer.h"
#include "server/writer/transaction.h"

namespace holdfast::writer {

// Used once. Not thread-safe. What it is given must outlive it.
class Attempt {
 public:
  // `from`: where the lane is. `condemned`: if set, the one event's reason to go to quarantine
  // without being tried; otherwise nullptr. Makes the batch ready, so that no lock is held
  // meanwhile.
  Attempt(const WriterOptions& options, event::Lane lane, const statement::LaneRow& from,
          absl::Span<const event::Accepted> events, const absl::Status* condemned, absl::Time now);

  // Runs the statements; `may_commit` as in LaneWriter::Write. An error of verdict kReject is the
  // fault of some event, but it is not known of which: run the attempt again with fewer. After any
  // error the transaction must be rolled back.
  absl::Status Run(Transaction& transaction, absl::FunctionRef<bool()> may_commit);

  // Whether the lane was where `from` says. If not, nothing was written, and `found` is its row, or
  // nullopt if it is gone.
  bool moved() const { return moved_; }
  const std::optional<statement::LaneRow>& found() const { return found_; }

  // Whether Run failed because holdfast_quarantine rejects an event, however little of it.
  bool quarantine_rejects() const { return quarantine_rejects_; }

  // The row as the transaction found it: as `from`, but for what was replayed from quarantine
  // meanwhile. REQUIRES: moved().
  const statement::LaneRow& from() const { return from_; }

  // The row as the transaction leaves it, and what it sends to quarantine, in the events' order.
  const statement::LaneRow& to() const { return to_; }
  std::vector<Rejection> TakeRejections();

 private:
  absl::Status Move(Transaction& transaction);
  absl::Status Quarantine(Transaction& transaction);
  absl::Status QuarantineEach(Transaction& transaction,
                              absl::Span<const statement::Refused> refused);
  absl::Status Correct(Transaction& transaction);

  const WriterOptions& options_;
  const event::Kind kind_;
  const std::string lane_name_;
  const statement::LaneKey key_;
  const absl::Span<const event::Accepted> events_;
  const absl::Time now_;

  statement::LaneRow from_;
  std::unique_ptr<statement::Batch> batch_;  // Unless the event is condemned.
  bool moved_ = false;
  std::optional<statement::LaneRow> found_;
  statement::LaneRow to_;
  std::vector<Refusal> refusals_;
  bool quarantine_rejects_ = false;
};

}  // namespace holdfast::writer
