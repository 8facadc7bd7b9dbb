#include "server/writer/attempt.h"

#include <algorithm>
#include <utility>

#include "server/base/check.h"
#include "server/base/seeded_bug.h"
#include "server/base/status_macros.h"
#include "server/mysql/errors.h"

namespace holdfast::writer {

using flow::Verdict;

Attempt::Attempt(const WriterOptions& options, event::Lane lane, const statement::LaneRow& from,
                 absl::Span<const event::Accepted> events, const absl::Status* condemned,
                 absl::Time now)
    : options_(options),
      kind_(event::KindOfLane(lane)),
      lane_name_(event::LaneName(lane)),
      key_{options_.writer_id, lane_name_},
      events_(events),
      now_(now),
      from_(from) {
  if (condemned != nullptr) {
    HOLDFAST_CHECK(events.size() == 1);
    refusals_.push_back({0, RejectionOf(*condemned)});
    return;
  }
  batch_ = MakeBatch(options, kind_, events);
}

absl::Status Attempt::Run(Transaction& transaction, absl::FunctionRef<bool()> may_commit) {
  HOLDFAST_RETURN_IF_ERROR(Move(transaction));
  if (!moved_) return absl::OkStatus();
  if (batch_ != nullptr) {
    HOLDFAST_ASSIGN_OR_RETURN(refusals_, BringInRows(transaction, *batch_, events_.size()));
  }
  if (!may_commit()) return absl::CancelledError("the events may not be committed");
  if (batch_ != nullptr) {
    HOLDFAST_RETURN_IF_ERROR(BringInCounters(transaction, *batch_));
  }
  HOLDFAST_RETURN_IF_ERROR(Quarantine(transaction));
  return Correct(transaction);
}

absl::Status Attempt::Move(Transaction& transaction) {
  HOLDFAST_ASSIGN_OR_RETURN(moved_,
                            MoveLaneRow(transaction, key_, events_.back().ordinal, events_.size(),
                                        transaction.Now(now_), &from_, &found_));
  if (HOLDFAST_SEEDED_BUG(kCompareAndSetIgnored)) moved_ = true;
  return absl::OkStatus();
}

absl::Status Attempt::Quarantine(Transaction& transaction) {
  if (refusals_.empty()) return absl::OkStatus();
  std::sort(refusals_.begin(), refusals_.end(),
            [](const Refusal& a, const Refusal& b) { return a.event < b.event; });
  std::vector<statement::Refused> refused;
  for (Refusal& refusal : refusals_) {
    const event::Accepted& event = events_[refusal.event];
    Rejection& rejection = refusal.rejection;
    rejection.producer = event.producer;
    rejection.sequence = event.sequence;
    rejection.offset = event.offset;
    refused.push_back({&event, rejection.error_number, rejection.column, rejection.reason});
  }
  const statement::QuarantineInsert insert(kind_, key_, from_.journal_id, refused, now_,
                                           /*minimal=*/false);
  const absl::Status inserted = transaction.ExecuteAll(insert.call()).status();
  if (inserted.ok() || mysql::VerdictOf(inserted) != Verdict::kReject) return inserted;
  return QuarantineEach(transaction, refused);
}

// The quarantine itself rejects one of them: whole where it can be, without words and JSON
// otherwise. Some may be in already; to count an attempt twice is harmless.
absl::Status Attempt::QuarantineEach(Transaction& transaction,
                                     absl::Span<const statement::Refused> refused) {
  absl::Status inserted;
  for (size_t i = 0; i < refused.size(); ++i) {
    for (const bool minimal : {false, true}) {
      const statement::QuarantineInsert insert(kind_, key_, from_.journal_id, refused.subspan(i, 1),
                                               now_, minimal);
      inserted = transaction.ExecuteAll(insert.call()).status();
      if (inserted.ok() || mysql::VerdictOf(inserted) != Verdict::kReject) break;
    }
    if (inserted.ok()) continue;
    quarantine_rejects_ = mysql::VerdictOf(inserted) == Verdict::kReject;
    return inserted;
  }
  return absl::OkStatus();
}

absl::Status Attempt::Correct(Transaction& transaction) {
  statement::Tally tally;
  if (batch_ != nullptr) {
    tally = batch_->Count();
  } else {
    tally.rejected = 1;
  }
  const uint64_t quarantined = tally.conflict + tally.rejected;
  HOLDFAST_CHECK(quarantined == refusals_.size());
  to_ = from_;
  to_.position = events_.back().ordinal;
  to_.committed += tally.fresh;
  to_.duplicate += tally.duplicate;
  to_.quarantined += quarantined;
  to_.adjusted += static_cast<int64_t>(to_.position - from_.position - events_.size());
  if (tally.duplicate + quarantined == 0) return absl::OkStatus();
  const uint64_t counted = HOLDFAST_SEEDED_BUG(kQuarantinedNotCounted) ? 0 : quarantined;
  return transaction.ExecuteAll(statement::CorrectLane(key_, tally.duplicate, counted)).status();
}

std::vector<Rejection> Attempt::TakeRejections() {
  std::vector<Rejection> rejections;
  rejections.reserve(refusals_.size());
  for (Refusal& refusal : refusals_) rejections.push_back(std::move(refusal.rejection));
  return rejections;
}

}  // namespace holdfast::writer
