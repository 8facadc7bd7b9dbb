#include "server/writer/lane_writer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

#include "server/base/check.h"
#include "server/base/log.h"
#include "server/base/seeded_bug.h"
#include "server/base/status_macros.h"
#include "server/event/kind.h"
#include "server/mysql/errors.h"
#include "server/statement/lane_position.h"
#include "server/statement/trace_comment.h"
#include "server/writer/attempt.h"
#include "server/writer/bring_in.h"
#include "server/writer/transaction.h"

namespace holdfast::writer {
namespace {

using flow::Verdict;
using statement::LaneRow;

constexpr int kRowsMaxMax = 65536;  // Sums of so many values cannot overflow.
constexpr size_t kWriterIdBytesMax = 64;

LaneRow ToRow(const Seat& seat, const event::Id& journal_id) {
  return {journal_id,     seat.epoch,       seat.position, seat.committed,
          seat.duplicate, seat.quarantined, seat.adjusted};
}

Seat ToSeat(const LaneRow& row) {
  return {row.epoch, row.position, row.committed, row.duplicate, row.quarantined, row.adjusted};
}

bool HasRisingOrdinals(absl::Span<const event::Accepted> events, uint64_t position) {
  for (const event::Accepted& event : events) {
    if (event.ordinal <= position) return false;
    position = event.ordinal;
  }
  return true;
}

// Raises `counted` to `now` and returns by how much. What a failover took back and a replay brings
// again is not counted again.
double Raise(uint64_t* counted, uint64_t now) {
  if (now <= *counted) return 0;
  const uint64_t more = now - *counted;
  *counted = now;
  return static_cast<double>(more);
}

}  // namespace

event::TraceSet TracesOf(absl::Span<const event::Accepted> events) {
  event::TraceSet traces;
  const event::Trace* last = nullptr;
  for (const event::Accepted& event : events) {
    if (event.trace == last) continue;
    last = event.trace;
    if (last != nullptr) traces.Add(*last);
  }
  return traces;
}

absl::Status WriterOptions::Validate() const {
  if (writer_id.empty() || writer_id.size() > kWriterIdBytesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("writer_id: ", writer_id.size(), " bytes; it must be 1 to 64 bytes"));
  }
  if (journal_id.is_nil()) {
    return absl::InvalidArgumentError("journal_id: nil; it must be the journal's own id");
  }
  if (rows_max < 1 || rows_max > kRowsMaxMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("rows_max: ", rows_max, "; it must be 1 to ", kRowsMaxMax));
  }
  if (stats_utc_offset % absl::Minutes(1) != absl::ZeroDuration() ||
      absl::AbsDuration(stats_utc_offset) > absl::Hours(14)) {
    return absl::InvalidArgumentError(
        absl::StrCat("stats_utc_offset: ", absl::FormatDuration(stats_utc_offset),
                     "; it must be whole minutes, -14:00 to +14:00"));
  }
  if (rent_timeout <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "rent_timeout: ", absl::FormatDuration(rent_timeout), "; it must be above zero"));
  }
  return absl::OkStatus();
}

LaneWriter::LaneWriter(const WriterOptions& options, event::Lane lane, uint64_t recovered_head,
                       mysql::SessionSource& sessions, base::Clock& clock,
                       metrics::Metrics& metrics)
    : options_(options),
      lane_(lane),
      sessions_(sessions),
      clock_(clock),
      metrics_(metrics),
      name_(event::LaneName(lane)),
      known_head_(recovered_head),
      batch_limit_(static_cast<size_t>(options.rows_max)) {
  const absl::Status valid = options_.Validate();
  HOLDFAST_CHECK(valid.ok());
}

absl::Status LaneWriter::Open() {
  HOLDFAST_ASSIGN_OR_RETURN(const std::unique_ptr<Transaction> transaction,
                            Transaction::Begin(sessions_, clock_.Steady() + options_.rent_timeout));
  absl::Status taken;
  if (event::KindOfLane(lane_) == event::Kind::kUsage) {
    taken = CheckStatsUtcOffset(*transaction, options_);
  }
  if (taken.ok()) taken = Take(*transaction);
  return taken.ok() ? taken : Fail(std::move(taken));
}

absl::Status LaneWriter::Take(Transaction& transaction) {
  const statement::LaneKey key = {options_.writer_id, name_};
  const absl::Time now = transaction.Now(clock_.Now());
  HOLDFAST_RETURN_IF_ERROR(
      transaction.ExecuteAll(statement::EnsureLane(key, options_.journal_id, now)).status());
  HOLDFAST_ASSIGN_OR_RETURN(const std::vector<mysql::ResultRow> answer,
                            transaction.Query(statement::LockLane(key)));
  if (answer.size() != 1) {
    return absl::InternalError(absl::StrCat("the row of lane ", name_, " cannot be read back"));
  }
  HOLDFAST_ASSIGN_OR_RETURN(LaneRow row, statement::ReadLane(answer.front()));
  const bool is_new = row.epoch == 0;
  const uint64_t epoch = std::max(row.epoch, seat_.has_value() ? seat_->epoch : 0) + 1;
  if (is_new || row.journal_id != options_.journal_id) {
    HOLDFAST_ASSIGN_OR_RETURN(row, Exchange(transaction, row, now));
  }
  if (row.position > known_head_) {
    row.adjusted -= static_cast<int64_t>(row.position - known_head_);
    row.position = known_head_;
  }
  row.epoch = epoch;
  HOLDFAST_ASSIGN_OR_RETURN(const uint64_t changed,
                            transaction.ExecuteAll(statement::TakeLane(key, row, now)));
  if (changed != 1) {
    return absl::InternalError(absl::StrCat("the row of lane ", name_, " cannot be changed"));
  }
  HOLDFAST_RETURN_IF_ERROR(transaction.Commit());
  // What was before this process is not counted; a row that a failover set back is counted up to
  // where it was.
  const bool count_from_here = !seat_.has_value() || is_new;
  TakeSeat(row);
  if (count_from_here) counted_ = *seat_;
  in_doubt_.reset();
  return absl::OkStatus();
}

// Where two journals take one lane from each other, each must find again how far it had come: a
// lane that began anew would bring once more all that its journal still has, and hits without an id
// would count twice.
absl::StatusOr<LaneRow> LaneWriter::Exchange(Transaction& transaction, const LaneRow& theirs,
                                             absl::Time now) {
  if (theirs.position > 0) {
    const std::string their_id = event::FormatUuid(theirs.journal_id);
    const statement::LaneKey key = {their_id, name_};
    HOLDFAST_RETURN_IF_ERROR(
        transaction.ExecuteAll(statement::EnsureLane(key, theirs.journal_id, now)).status());
    HOLDFAST_RETURN_IF_ERROR(
        transaction.ExecuteAll(statement::TakeLane(key, theirs, now)).status());
  }
  const std::string our_id = event::FormatUuid(options_.journal_id);
  HOLDFAST_ASSIGN_OR_RETURN(const std::vector<mysql::ResultRow> answer,
                            transaction.Query(statement::LockLane({our_id, name_})));
  LaneRow ours;
  if (!answer.empty()) {
    HOLDFAST_ASSIGN_OR_RETURN(ours, statement::ReadLane(answer.front()));
  }
  if (ours.journal_id != options_.journal_id) ours = LaneRow();
  ours.journal_id = options_.journal_id;
  return ours;
}

absl::StatusOr<Written> LaneWriter::Write(absl::Span<const event::Accepted> events,
                                          absl::FunctionRef<bool()> may_commit) {
  HOLDFAST_CHECK(is_open());
  HOLDFAST_CHECK(!events.empty() && events.size() <= static_cast<size_t>(options_.rows_max));
  HOLDFAST_CHECK(HasRisingOrdinals(events, seat_->position));
  // Until then they may be lost, and with them the right to say that the journal has had them.
  const auto is_known = [this, events, may_commit] {
    if (!may_commit()) return false;
    known_head_ = std::max(known_head_, events.back().ordinal);
    return true;
  };
  if (reopening_) return Reopen();
  while (true) {
    const size_t count = std::min(events.size(), batch_limit_);
    absl::StatusOr<Written> written = WriteOnce(events.first(count), is_known, nullptr);
    if (written.ok()) {
      batch_limit_ = std::min(batch_limit_ * 2, static_cast<size_t>(options_.rows_max));
      return written;
    }
    if (mysql::VerdictOf(written.status()) != Verdict::kReject) return written;
    // The counters refuse some event's share: fewer and fewer, until it is alone.
    if (count > 1) {
      batch_limit_ = count / 2;
      continue;
    }
    const absl::Status reason = written.status();
    written = WriteOnce(events.first(1), is_known, &reason);
    if (written.ok() || mysql::VerdictOf(written.status()) != Verdict::kReject) return written;
    return NowhereToPut(written.status());
  }
}

absl::Status LaneWriter::NowhereToPut(const absl::Status& reason) const {
  return Outage(absl::StrCat(
      "an event of lane ", name_, " can neither be stored nor put into holdfast_quarantine (",
      reason.message(), "): compare the tables with sql/ and run holdfastd --migrate"));
}

absl::StatusOr<Written> LaneWriter::WriteOnce(absl::Span<const event::Accepted> events,
                                              absl::FunctionRef<bool()> may_commit,
                                              const absl::Status* condemned) {
  const absl::Time started_at = clock_.Steady();
  const LaneRow from = ToRow(*seat_, options_.journal_id);
  Attempt attempt(options_, lane_, from, events, condemned, clock_.Now());
  const std::string comment = statement::TraceComment(TracesOf(events));
  absl::StatusOr<Written> written;
  {
    HOLDFAST_ASSIGN_OR_RETURN(
        const std::unique_ptr<Transaction> transaction,
        Transaction::Begin(sessions_, clock_.Steady() + options_.rent_timeout, comment));
    absl::Status run = attempt.Run(*transaction, may_commit);
    // That condemns no event: once the quarantine takes it, its own table may take it, too.
    if (attempt.quarantine_rejects() && events.size() == 1) run = NowhereToPut(run);
    if (!run.ok()) return Fail(std::move(run));
    if (attempt.moved()) written = Commit(*transaction, attempt, events);
  }
  if (!attempt.moved()) return NotMoved(attempt.found(), events);
  if (!written.ok()) return written;
  const auto kind = static_cast<size_t>(event::KindOfLane(lane_));
  metrics_.batch_rows[kind]->Observe(static_cast<double>(events.size()));
  metrics_.batch_seconds[kind]->Observe(absl::ToDoubleSeconds(clock_.Steady() - started_at));
  return written;
}

absl::StatusOr<Written> LaneWriter::Commit(Transaction& transaction, Attempt& attempt,
                                           absl::Span<const event::Accepted> events) {
  Written written;
  written.done = events.size();
  written.rejections = attempt.TakeRejections();
  absl::Status committed = transaction.Commit();
  if (HOLDFAST_SEEDED_BUG(kLostCommitTakenForDone)) committed = absl::OkStatus();
  if (!committed.ok()) {
    // Remembered whatever the verdict: believed only if the row says that it happened.
    in_doubt_ = InDoubt{ToSeat(attempt.to()), std::move(written.rejections)};
    if (HOLDFAST_SEEDED_BUG(kLostCommitTakenForFailed)) in_doubt_.reset();
    if (mysql::VerdictOf(committed) == Verdict::kUnknown) metrics_.commits_unknown->Increment();
    return Fail(std::move(committed));
  }
  in_doubt_.reset();
  FollowReplays(*seat_, attempt.from());
  TakeSeat(attempt.to());
  CountOutcomes();
  LogRejections(written.rejections);
  return written;
}

absl::StatusOr<Written> LaneWriter::Look() {
  HOLDFAST_CHECK(is_open());
  return PassOver(seat_->position);
}

absl::StatusOr<Written> LaneWriter::PassOver(uint64_t position) {
  HOLDFAST_CHECK(is_open() && position >= seat_->position);
  known_head_ = std::max(known_head_, position);
  if (reopening_) return Reopen();
  std::optional<LaneRow> found;
  {
    HOLDFAST_ASSIGN_OR_RETURN(
        const std::unique_ptr<Transaction> transaction,
        Transaction::Begin(sessions_, clock_.Steady() + options_.rent_timeout));
    auto touched = TouchRow(*transaction, position);
    if (!touched.ok()) return Fail(std::move(touched).status());
    found = *std::move(touched);
  }
  // There already: a former attempt, whose answer was lost, had moved it.
  const bool is_there = found.has_value() && found->journal_id == options_.journal_id &&
                        found->epoch == seat_->epoch && found->position == position;
  if (!is_there) return NotMoved(found, {});
  FollowReplays(*seat_, *found);
  TakeSeat(*found);
  return Written();
}

// A move by no event: it matches what a batch's would match. Returns the row as it is.
absl::StatusOr<std::optional<LaneRow>> LaneWriter::TouchRow(Transaction& transaction,
                                                            uint64_t position) {
  const statement::LaneKey key = {options_.writer_id, name_};
  LaneRow row = ToRow(*seat_, options_.journal_id);
  std::optional<LaneRow> found;
  HOLDFAST_ASSIGN_OR_RETURN(
      const bool moved,
      MoveLaneRow(transaction, key, position, 0, transaction.Now(clock_.Now()), &row, &found));
  if (!moved) return found;
  HOLDFAST_RETURN_IF_ERROR(transaction.Commit());
  row.adjusted += static_cast<int64_t>(position - row.position);
  row.position = position;
  return std::optional<LaneRow>(row);
}

absl::StatusOr<Written> LaneWriter::NotMoved(const std::optional<LaneRow>& found,
                                             absl::Span<const event::Accepted> events) {
  const bool is_ours = found.has_value() && found->journal_id == options_.journal_id;
  // Gone, or from before this writer took the lane: a failover lost even that.
  if (!found.has_value() || (is_ours && found->epoch < seat_->epoch)) return Reopen();
  Written written;
  if ((!is_ours || found->epoch != seat_->epoch) && !HOLDFAST_SEEDED_BUG(kFencingIgnored)) {
    written.kind = Written::Kind::kFenced;
    return written;
  }
  const bool had_committed = in_doubt_.has_value() && in_doubt_->seat.position == found->position;
  if (had_committed) {
    written.rejections = std::move(in_doubt_->rejections);
    LogRejections(written.rejections);
    FollowReplays(in_doubt_->seat, *found);
  }
  in_doubt_.reset();
  TakeSeat(*found);
  CountOutcomes();
  for (const event::Accepted& event : events) written.done += event.ordinal <= found->position;
  if (had_committed && written.done > 0) return written;
  written.kind = Written::Kind::kReseated;
  written.done = 0;
  metrics_.lane_reseats->Increment();
  return written;
}

absl::StatusOr<Written> LaneWriter::Reopen() {
  // An attempt that fails may have raised the epoch all the same. To write on under the old one
  // would look like another process's taking the lane, so nothing is written until one has
  // succeeded.
  reopening_ = true;
  HOLDFAST_RETURN_IF_ERROR(Open());
  reopening_ = false;
  metrics_.lane_reseats->Increment();
  Written written;
  written.kind = Written::Kind::kReseated;
  return written;
}

void LaneWriter::TakeSeat(const LaneRow& row) { seat_ = ToSeat(row); }

// What a replay moves from one book to another was counted when the lane settled it, and is not
// counted again.
void LaneWriter::FollowReplays(const Seat& expected, const LaneRow& found) {
  counted_.committed += found.committed - expected.committed;
  counted_.duplicate += found.duplicate - expected.duplicate;
  counted_.quarantined += found.quarantined - expected.quarantined;
}

void LaneWriter::CountOutcomes() {
  const auto kind = static_cast<size_t>(event::KindOfLane(lane_));
  metrics_.events_committed[kind]->Increment(Raise(&counted_.committed, seat_->committed));
  metrics_.events_duplicate[kind]->Increment(Raise(&counted_.duplicate, seat_->duplicate));
  metrics_.events_quarantined[kind]->Increment(Raise(&counted_.quarantined, seat_->quarantined));
}

void LaneWriter::LogRejections(const std::vector<Rejection>& rejections) const {
  if (rejections.empty()) return;
  const Rejection& first = rejections.front();
  base::LogWarning("events went to quarantine", {{"lane", name_},
                                                 {"events", rejections.size()},
                                                 {"first_offset", first.offset},
                                                 {"first_error_number", first.error_number},
                                                 {"first_column", first.column},
                                                 {"first_reason", first.reason}});
}

absl::Status LaneWriter::Fail(absl::Status failure) {
  if (const std::optional<mysql::DatabaseError> error = mysql::ErrorOf(failure)) {
    if (error->verdict != Verdict::kReject && error->error_number != 0) {
      metrics_.Retries(static_cast<int>(error->error_number)).Increment();
    }
  }
  return failure;
}

}  // namespace holdfast::writer
