#include "server/writer/bring_in.h"

#include <cstring>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"

#include "server/base/status_macros.h"
#include "server/mysql/errors.h"
#include "server/writer/bisect.h"

namespace holdfast::writer {
namespace {

constexpr absl::string_view kConflictReason =
    "conflict: the event's id is taken by an event with other content";

uint64_t RandomTag() {
  const event::Id random = event::RandomUuid();
  uint64_t tag = 0;
  // The last eight bytes: the first ones hold the version.
  std::memcpy(&tag, random.bytes.data() + 8, sizeof(tag));
  return tag;
}

absl::Status LearnFates(Transaction& transaction, const InsertedRows& range,
                        statement::Batch& batch) {
  const std::string& table = batch.raw().statement->table;
  if (range.affected > range.count) {
    return absl::InternalError(absl::StrCat(
        "the database reports ", range.affected, " new rows of ", range.count, " in ", table,
        ": another program changes what it reports; CLIENT_FOUND_ROWS must be off"));
  }
  const std::vector<statement::Call> look_ups = batch.LookUps(range.first, range.count);
  if (look_ups.empty()) {
    batch.NoteDuplicates(range.count - range.affected);
    return absl::OkStatus();
  }
  size_t learned = 0;
  for (const statement::Call& look_up : look_ups) {
    HOLDFAST_ASSIGN_OR_RETURN(const std::vector<mysql::ResultRow> answer,
                              transaction.Query(look_up));
    for (const mysql::ResultRow& row : answer) HOLDFAST_RETURN_IF_ERROR(batch.Learn(row));
    learned += answer.size();
  }
  if (learned == range.count) return absl::OkStatus();
  // Ours or locked by us, so they cannot be gone.
  return absl::InternalError(
      absl::StrCat("of ", range.count, " rows in ", table, " only ", learned, " can be read back"));
}

absl::Status InsertRawRows(Transaction& transaction, statement::Batch& batch,
                           std::vector<Refusal>* refusals) {
  HOLDFAST_ASSIGN_OR_RETURN(const Inserted inserted, InsertBisecting(transaction, batch.raw()));
  for (const RejectedRow& rejected : inserted.rejected) {
    for (const size_t event : batch.Reject(rejected.row)) {
      refusals->push_back({event, RejectionOf(rejected.reason)});
    }
  }
  for (const InsertedRows& range : inserted.ranges) {
    // All new: what nearly every batch is.
    if (range.affected == range.count) continue;
    HOLDFAST_RETURN_IF_ERROR(LearnFates(transaction, range, batch));
  }
  return absl::OkStatus();
}

// Whether two rows differ in nothing but their books.
bool IsSamePlace(const statement::LaneRow& a, const statement::LaneRow& b) {
  return a.journal_id == b.journal_id && a.epoch == b.epoch && a.position == b.position;
}

}  // namespace

absl::Status Outage(absl::string_view text) {
  mysql::DatabaseError error;
  error.verdict = flow::Verdict::kOutage;
  return mysql::ToStatus(text, error);
}

std::unique_ptr<statement::Batch> MakeBatch(const WriterOptions& options, event::Kind kind,
                                            absl::Span<const event::Accepted> events) {
  statement::BatchOptions batch_options;
  batch_options.tag = RandomTag();
  batch_options.stats_utc_offset = options.stats_utc_offset;
  batch_options.hash_api_keys = options.hash_api_keys;
  return statement::Batch::Make(kind, events, batch_options);
}

Rejection RejectionOf(const absl::Status& reason) {
  Rejection rejection;
  if (const std::optional<mysql::DatabaseError> error = mysql::ErrorOf(reason)) {
    rejection.error_number = error->error_number;
    rejection.column = error->column();
  }
  rejection.reason = std::string(reason.message());
  return rejection;
}

absl::StatusOr<std::vector<Refusal>> BringInRows(Transaction& transaction, statement::Batch& batch,
                                                 size_t events) {
  std::vector<Refusal> refusals;
  HOLDFAST_RETURN_IF_ERROR(InsertRawRows(transaction, batch, &refusals));
  for (size_t event = 0; event < events; ++event) {
    if (batch.fate(event) != statement::Fate::kConflict) continue;
    Refusal& refusal = refusals.emplace_back();
    refusal.event = event;
    refusal.rejection.column = "event_id";
    refusal.rejection.reason = std::string(kConflictReason);
  }
  return refusals;
}

absl::Status BringInCounters(Transaction& transaction, statement::Batch& batch) {
  for (const statement::Call& call : batch.Counters()) {
    HOLDFAST_RETURN_IF_ERROR(transaction.ExecuteAll(call).status());
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> MoveLaneRow(Transaction& transaction, const statement::LaneKey& key,
                                 uint64_t position, uint64_t events, absl::Time now,
                                 statement::LaneRow* from,
                                 std::optional<statement::LaneRow>* found) {
  while (true) {
    HOLDFAST_ASSIGN_OR_RETURN(const uint64_t changed, transaction.ExecuteAll(statement::MoveLane(
                                                          key, *from, position, events, now)));
    if (changed == 1) return true;
    // Only a read that waits for the lock tells the truth: a transaction of ours whose answer was
    // lost may still be open on the server.
    HOLDFAST_ASSIGN_OR_RETURN(const std::vector<mysql::ResultRow> answer,
                              transaction.Query(statement::LockLane(key)));
    found->reset();
    if (answer.empty()) return false;
    HOLDFAST_ASSIGN_OR_RETURN(*found, statement::ReadLane(answer.front()));
    if (!IsSamePlace(**found, *from) || (*found)->quarantined == from->quarantined) return false;
    // Locked from here on, so the next move finds it so.
    *from = **found;
  }
}

absl::Status CheckStatsUtcOffset(Transaction& transaction, const WriterOptions& options) {
  HOLDFAST_ASSIGN_OR_RETURN(const std::vector<mysql::ResultRow> answer,
                            transaction.Query(statement::ReadStatsUtcOffset()));
  if (answer.empty()) {
    return Outage("holdfast_schema is empty: the tables are not set up; run holdfastd --migrate");
  }
  HOLDFAST_ASSIGN_OR_RETURN(const std::string theirs, statement::ReadText(answer.front(), 0));
  const std::string ours = statement::FormatUtcOffset(options.stats_utc_offset);
  if (theirs == ours) return absl::OkStatus();
  return Outage(absl::StrCat("STATS_UTC_OFFSET is ", ours,
                             " here, but the hours of usage_stats in this ", "database begin at ",
                             theirs, ": start with STATS_UTC_OFFSET=", theirs));
}

}  // namespace holdfast::writer
