#include "server/writer/attempt.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"

#include "server/base/check.h"
#include "server/base/seeded_bug.h"
#include "server/base/status_macros.h"
#include "server/mysql/errors.h"

namespace holdfast::writer {
namespace {

using flow::Verdict;

constexpr absl::string_view kConflictReason =
    "conflict: the event's id is taken by an event with other content";

uint64_t RandomTag() {
  const event::Id random = event::RandomUuid();
  uint64_t tag = 0;
  // The last eight bytes: the first ones hold the version.
  std::memcpy(&tag, random.bytes.data() + 8, sizeof(tag));
  return tag;
}

}  // namespace

Attempt::Attempt(const WriterOptions& options, event::Lane lane, const statement::LaneRow& from,
                 absl::Span<const event::Accepted> events, const absl::Status* condemned,
                 absl::Time now)
    : options_(options),
      kind_(event::KindOfLane(lane)),
      lane_name_(event::LaneName(lane)),
      key_{options_.writer_id, lane_name_},
      from_(from),
      events_(events),
      now_(now) {
  if (condemned != nullptr) {
    HOLDFAST_CHECK(events.size() == 1);
    Refuse(0, *condemned);
    return;
  }
  statement::BatchOptions batch_options;
  batch_options.tag = RandomTag();
  batch_options.stats_utc_offset = options.stats_utc_offset;
  batch_options.hash_api_keys = options.hash_api_keys;
  batch_ = statement::Batch::Make(kind_, events, batch_options);
}

absl::Status Attempt::Run(Transaction& transaction, absl::FunctionRef<bool()> may_commit) {
  HOLDFAST_RETURN_IF_ERROR(Move(transaction));
  if (!moved_) return absl::OkStatus();
  if (batch_ != nullptr) {
    HOLDFAST_RETURN_IF_ERROR(InsertRawRows(transaction));
    RefuseConflicts();
  }
  if (!may_commit()) return absl::CancelledError("the events may not be committed");
  if (batch_ != nullptr) {
    for (const statement::Call& call : batch_->Counters()) {
      HOLDFAST_RETURN_IF_ERROR(transaction.ExecuteAll(call).status());
    }
  }
  HOLDFAST_RETURN_IF_ERROR(Quarantine(transaction));
  return Correct(transaction);
}

absl::Status Attempt::Move(Transaction& transaction) {
  HOLDFAST_ASSIGN_OR_RETURN(const uint64_t changed, transaction.ExecuteAll(statement::MoveLane(
                                                        key_, from_, events_.back().ordinal,
                                                        events_.size(), transaction.Now(now_))));
  if (changed == 1 || HOLDFAST_SEEDED_BUG(kCompareAndSetIgnored)) {
    moved_ = true;
    return absl::OkStatus();
  }
  // Only a read that waits for the lock tells the truth: a transaction of ours whose answer was
  // lost may still be open on the server.
  HOLDFAST_ASSIGN_OR_RETURN(const std::vector<mysql::ResultRow> answer,
                            transaction.Query(statement::LockLane(key_)));
  if (answer.empty()) return absl::OkStatus();
  HOLDFAST_ASSIGN_OR_RETURN(found_, statement::ReadLane(answer.front()));
  return absl::OkStatus();
}

absl::Status Attempt::InsertRawRows(Transaction& transaction) {
  HOLDFAST_ASSIGN_OR_RETURN(const Inserted inserted, InsertBisecting(transaction, batch_->raw()));
  for (const RejectedRow& rejected : inserted.rejected) {
    for (const size_t event : batch_->Reject(rejected.row)) Refuse(event, rejected.reason);
  }
  for (const InsertedRows& range : inserted.ranges) {
    // All new: what nearly every batch is.
    if (range.affected == range.count) continue;
    HOLDFAST_RETURN_IF_ERROR(LearnFates(transaction, range));
  }
  return absl::OkStatus();
}

absl::Status Attempt::LearnFates(Transaction& transaction, const InsertedRows& range) {
  if (range.affected > range.count) {
    return absl::InternalError(
        absl::StrCat("the database reports ", range.affected, " new rows of ", range.count, " in ",
                     batch_->raw().statement->table,
                     ": another program changes what it reports; CLIENT_FOUND_ROWS must be off"));
  }
  const std::vector<statement::Call> look_ups = batch_->LookUps(range.first, range.count);
  if (look_ups.empty()) {
    batch_->NoteDuplicates(range.count - range.affected);
    return absl::OkStatus();
  }
  size_t learned = 0;
  for (const statement::Call& look_up : look_ups) {
    HOLDFAST_ASSIGN_OR_RETURN(const std::vector<mysql::ResultRow> answer,
                              transaction.Query(look_up));
    for (const mysql::ResultRow& row : answer) {
      HOLDFAST_RETURN_IF_ERROR(batch_->Learn(row));
    }
    learned += answer.size();
  }
  if (learned == range.count) return absl::OkStatus();
  // Ours or locked by us, so they cannot be gone.
  return absl::InternalError(absl::StrCat("of ", range.count, " rows in ",
                                          batch_->raw().statement->table, " only ", learned,
                                          " can be read back"));
}

void Attempt::RefuseConflicts() {
  for (size_t event = 0; event < events_.size(); ++event) {
    if (batch_->fate(event) != statement::Fate::kConflict) continue;
    Rejection rejection;
    rejection.column = "event_id";
    rejection.reason = std::string(kConflictReason);
    refusals_.push_back({event, std::move(rejection)});
  }
}

void Attempt::Refuse(size_t event, const absl::Status& reason) {
  Rejection rejection;
  if (const std::optional<mysql::DatabaseError> error = mysql::ErrorOf(reason)) {
    rejection.error_number = error->error_number;
    rejection.column = error->column();
  }
  rejection.reason = std::string(reason.message());
  refusals_.push_back({event, std::move(rejection)});
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
  const statement::QuarantineInsert insert(kind_, key_, refused, now_, /*minimal=*/false);
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
      const statement::QuarantineInsert insert(kind_, key_, refused.subspan(i, 1), now_, minimal);
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
