#include "server/writer/replay.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

#include "server/base/seeded_bug.h"
#include "server/base/status_macros.h"
#include "server/event/validate.h"
#include "server/flow/retry_policy.h"
#include "server/mysql/errors.h"
#include "server/statement/quarantine_replay.h"
#include "server/writer/bring_in.h"
#include "server/writer/transaction.h"

namespace holdfast::writer {
namespace {

using flow::Verdict;
using statement::Quarantined;

Settled Is(Settled::Kind kind) {
  Settled settled;
  settled.kind = kind;
  return settled;
}

Settled RefusedAgain(Rejection rejection) {
  Settled settled = Is(Settled::Kind::kRefusedAgain);
  settled.rejection = std::move(rejection);
  return settled;
}

absl::StatusOr<std::optional<Quarantined>> Read(Transaction& transaction, uint64_t quarantine_id,
                                                bool lock) {
  HOLDFAST_ASSIGN_OR_RETURN(const std::vector<mysql::ResultRow> answer,
                            transaction.Query(statement::ReadForReplay(quarantine_id, lock)));
  if (answer.empty()) return std::optional<Quarantined>();
  HOLDFAST_ASSIGN_OR_RETURN(Quarantined row, statement::ReadQuarantinedForReplay(answer.front()));
  return std::optional<Quarantined>(std::move(row));
}

// Parses and validates the event; its fault, if it cannot be taken.
std::optional<Rejection> ReadEvent(const Quarantined& row, absl::Time now, v1::Event* event) {
  std::optional<event::Fault> fault = event::Decode(row.event_protobuf, event);
  // Also tells of hits so old that their ids are forgotten: whether they count is not known.
  if (!fault.has_value()) fault = event::Validate(*event, now);
  if (!fault.has_value()) return std::nullopt;
  Rejection rejection;
  rejection.column = fault->field;
  rejection.reason = absl::StrCat(fault->field, ": ", fault->reason);
  return rejection;
}

// One event until its end, through as many attempts as it takes.
class Settlement {
 public:
  Settlement(mysql::SessionSource& sessions, base::Clock& clock, const SettleRequest& request)
      : sessions_(sessions), clock_(clock), request_(request), now_(clock.Now()) {}

  template <typename Once>
  absl::StatusOr<Settled> Run(Once once) {
    flow::RetryPolicy policy(flow::RetryOptions(), request_.quarantine_id);
    while (true) {
      absl::StatusOr<Settled> settled = once();
      if (settled.ok()) return settled;
      const Verdict verdict = mysql::VerdictOf(settled.status());
      const bool transient = verdict == Verdict::kRetry || verdict == Verdict::kUnknown ||
                             verdict == Verdict::kReconnect;
      if (!transient) return settled;
      const absl::Duration wait = policy.NextWait(verdict);
      if (clock_.Steady() + wait >= request_.deadline) return settled;
      clock_.Sleep(wait);
    }
  }

  absl::StatusOr<Settled> ReplayOnce(const WriterOptions& options);
  absl::StatusOr<Settled> DiscardOnce();

 private:
  absl::StatusOr<std::unique_ptr<Transaction>> Begin() {
    return Transaction::Begin(sessions_, request_.deadline);
  }
  // A row that does not wait, or is not there; nullopt if it waits.
  std::optional<Settled> AlreadySettled(const std::optional<Quarantined>& row) const;
  absl::StatusOr<std::string> LockBooks(Transaction& transaction, const Quarantined& row);
  absl::StatusOr<Settled> BringBack(const WriterOptions& options, const Quarantined& row,
                                    event::Kind kind);
  absl::StatusOr<Settled> Refuse(const Quarantined& row, Rejection rejection);
  absl::StatusOr<Settled> Missed(Transaction& transaction);
  absl::Status Commit(Transaction& transaction, absl::string_view outcome);
  statement::Settlement To(absl::string_view outcome) const {
    return {outcome, request_.by, request_.reason, now_};
  }

  mysql::SessionSource& sessions_;
  base::Clock& clock_;
  const SettleRequest& request_;
  const absl::Time now_;
  // What a COMMIT without an answer would have made of the row.
  std::string in_doubt_;
};

std::optional<Settled> Settlement::AlreadySettled(const std::optional<Quarantined>& row) const {
  if (!row.has_value()) return Is(Settled::Kind::kNotFound);
  if (row->outcome.empty()) return std::nullopt;
  Settled settled = Is(Settled::Kind::kSettledBefore);
  settled.outcome = row->outcome;
  if (row->outcome != in_doubt_) return settled;
  // It was this very call: its COMMIT had taken effect.
  if (in_doubt_ == statement::kReplayedCommitted) settled.kind = Settled::Kind::kCommitted;
  if (in_doubt_ == statement::kReplayedDuplicate) settled.kind = Settled::Kind::kDuplicate;
  if (in_doubt_ == statement::kDiscarded) settled.kind = Settled::Kind::kDiscarded;
  return settled;
}

absl::StatusOr<Settled> Settlement::ReplayOnce(const WriterOptions& options) {
  std::optional<Quarantined> row;
  {
    // Without a lock: the lane's row is to be locked first. Whatever changes until then, the
    // compare-and-set notices.
    HOLDFAST_ASSIGN_OR_RETURN(const std::unique_ptr<Transaction> transaction, Begin());
    HOLDFAST_ASSIGN_OR_RETURN(row, Read(*transaction, request_.quarantine_id, /*lock=*/false));
  }
  if (std::optional<Settled> settled = AlreadySettled(row)) return *std::move(settled);
  v1::Event event;
  if (std::optional<Rejection> fault = ReadEvent(*row, now_, &event)) {
    return Refuse(*row, *std::move(fault));
  }
  absl::StatusOr<Settled> settled = BringBack(options, *row, event::KindOf(event));
  // The counters rejected it.
  if (!settled.ok() && mysql::VerdictOf(settled.status()) == Verdict::kReject) {
    settled = RefusedAgain(RejectionOf(settled.status()));
  }
  if (!settled.ok() || settled->kind != Settled::Kind::kRefusedAgain) return settled;
  return Refuse(*row, std::move(settled->rejection));
}

// Locks the lane's row that counts for the event's journal, and returns its writer id. Where
// another journal has taken the lane since, that row has moved (LaneWriter::Open).
absl::StatusOr<std::string> Settlement::LockBooks(Transaction& transaction,
                                                  const Quarantined& row) {
  for (const std::string& writer_id : {row.writer_id, event::FormatUuid(row.journal_id)}) {
    HOLDFAST_ASSIGN_OR_RETURN(const std::vector<mysql::ResultRow> answer,
                              transaction.Query(statement::LockLane({writer_id, row.lane})));
    if (answer.empty()) continue;
    HOLDFAST_ASSIGN_OR_RETURN(const statement::LaneRow lane, statement::ReadLane(answer.front()));
    if (lane.journal_id == row.journal_id) return writer_id;
  }
  return row.writer_id;
}

absl::StatusOr<Settled> Settlement::BringBack(const WriterOptions& options, const Quarantined& row,
                                              event::Kind kind) {
  event::Accepted accepted;
  accepted.producer = row.producer;
  accepted.sequence = row.sequence;
  accepted.bytes = row.event_protobuf;
  const std::unique_ptr<statement::Batch> batch = MakeBatch(options, kind, {&accepted, 1});

  HOLDFAST_ASSIGN_OR_RETURN(const std::unique_ptr<Transaction> transaction, Begin());
  if (kind == event::Kind::kUsage) {
    HOLDFAST_RETURN_IF_ERROR(CheckStatsUtcOffset(*transaction, options));
  }
  HOLDFAST_ASSIGN_OR_RETURN(const std::string books_of, LockBooks(*transaction, row));
  HOLDFAST_ASSIGN_OR_RETURN(std::vector<Refusal> refusals, BringInRows(*transaction, *batch, 1));
  HOLDFAST_RETURN_IF_ERROR(BringInCounters(*transaction, *batch));
  if (!refusals.empty()) return RefusedAgain(std::move(refusals.front().rejection));
  const bool duplicate = batch->Count().duplicate > 0;
  const absl::string_view outcome =
      duplicate ? statement::kReplayedDuplicate : statement::kReplayedCommitted;
  if (!HOLDFAST_SEEDED_BUG(kReplayedStaysInQuarantine)) {
    HOLDFAST_ASSIGN_OR_RETURN(const uint64_t changed,
                              transaction->ExecuteAll(statement::SettleQuarantined(
                                  row.quarantine_id, row.attempts, To(outcome))));
    if (changed != 1) return Missed(*transaction);
  }
  if (!HOLDFAST_SEEDED_BUG(kReplayedNotBooked)) {
    HOLDFAST_RETURN_IF_ERROR(
        transaction
            ->ExecuteAll(statement::BookReplay({books_of, row.lane}, row.journal_id, duplicate))
            .status());
  }
  HOLDFAST_RETURN_IF_ERROR(Commit(*transaction, outcome));
  return Is(duplicate ? Settled::Kind::kDuplicate : Settled::Kind::kCommitted);
}

// In a transaction of its own: nothing of the replay may stay.
absl::StatusOr<Settled> Settlement::Refuse(const Quarantined& row, Rejection rejection) {
  HOLDFAST_ASSIGN_OR_RETURN(const std::unique_ptr<Transaction> transaction, Begin());
  const statement::Refused refused = {nullptr, rejection.error_number, rejection.column,
                                      rejection.reason};
  HOLDFAST_ASSIGN_OR_RETURN(const uint64_t changed,
                            transaction->ExecuteAll(statement::RefuseQuarantined(
                                row.quarantine_id, row.attempts, refused, clock_.Now())));
  if (changed != 1) return Missed(*transaction);
  HOLDFAST_RETURN_IF_ERROR(transaction->Commit());
  return RefusedAgain(std::move(rejection));
}

// The row is not as it was read: another has settled it, or a lane has met the event again.
absl::StatusOr<Settled> Settlement::Missed(Transaction& transaction) {
  HOLDFAST_ASSIGN_OR_RETURN(const std::optional<Quarantined> row,
                            Read(transaction, request_.quarantine_id, /*lock=*/true));
  if (std::optional<Settled> settled = AlreadySettled(row)) return *std::move(settled);
  Rejection rejection;
  rejection.reason = "it was refused again at this moment; look, and try again";
  return RefusedAgain(std::move(rejection));
}

absl::StatusOr<Settled> Settlement::DiscardOnce() {
  HOLDFAST_ASSIGN_OR_RETURN(const std::unique_ptr<Transaction> transaction, Begin());
  HOLDFAST_ASSIGN_OR_RETURN(const std::optional<Quarantined> row,
                            Read(*transaction, request_.quarantine_id, /*lock=*/true));
  if (std::optional<Settled> settled = AlreadySettled(row)) return *std::move(settled);
  HOLDFAST_ASSIGN_OR_RETURN(const uint64_t changed,
                            transaction->ExecuteAll(statement::SettleQuarantined(
                                row->quarantine_id, row->attempts, To(statement::kDiscarded))));
  if (changed != 1) return absl::InternalError("a locked row of holdfast_quarantine has changed");
  HOLDFAST_RETURN_IF_ERROR(Commit(*transaction, statement::kDiscarded));
  return Is(Settled::Kind::kDiscarded);
}

absl::Status Settlement::Commit(Transaction& transaction, absl::string_view outcome) {
  absl::Status committed = transaction.Commit();
  if (!committed.ok()) in_doubt_ = std::string(outcome);
  return committed;
}

}  // namespace

absl::StatusOr<Settled> ReplayQuarantined(const WriterOptions& options,
                                          mysql::SessionSource& sessions, base::Clock& clock,
                                          const SettleRequest& request) {
  Settlement settlement(sessions, clock, request);
  return settlement.Run([&] { return settlement.ReplayOnce(options); });
}

absl::StatusOr<Settled> DiscardQuarantined(mysql::SessionSource& sessions, base::Clock& clock,
                                           const SettleRequest& request) {
  Settlement settlement(sessions, clock, request);
  return settlement.Run([&settlement] { return settlement.DiscardOnce(); });
}

}  // namespace holdfast::writer
