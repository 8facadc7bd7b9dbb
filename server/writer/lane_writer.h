// Makes one lane's batches true in the database, each exactly once.
//
// A batch is one transaction: move the lane's position by compare-and-set, insert the raw rows
// (sorted by primary key), add to the counters derived from the rows that were really new (sorted
// by key, so that hot rows are locked only for the last statement), COMMIT. Because the position
// moves in the same transaction, a batch whose COMMIT was lost on the wire is settled by running it
// again: if the position is already where the batch would put it, it had committed. That is decided
// by the UPDATE and by a locking read, never by a plain SELECT, which shows the old value while the
// old server thread lives.
//
// An event that the database rejects is found by bisecting and goes to quarantine in the
// transaction that moves the lane past it.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"

#include "server/base/clock.h"
#include "server/event/batch.h"
#include "server/event/trace.h"
#include "server/metrics/metrics.h"
#include "server/mysql/session.h"

namespace holdfast::statement {
struct LaneRow;
}

namespace holdfast::writer {

class Attempt;
class Transaction;

struct WriterOptions {
  std::string writer_id;  // Whose lanes these are. 1 to 64 bytes.
  event::Id journal_id;   // Whose ordinals the positions count.

  // The most events in one transaction. Larger: fewer commits, longer locks, more to redo after a
  // deadlock.
  int rows_max = 4096;

  // Where hours and days begin for the counters, as an offset from UTC in whole minutes.
  absl::Duration stats_utc_offset = absl::ZeroDuration();

  // Store "api_key:..." identifiers of rate limits as "api_key:sha256:<hex>".
  bool hash_api_keys = false;

  // To wait for a session from the pool, for one attempt.
  absl::Duration rent_timeout = absl::Seconds(30);

  // OK, or InvalidArgument naming the first field at fault.
  absl::Status Validate() const;
};

// The lane's row in holdfast_lanes. position = committed + duplicate + quarantined + adjusted. A
// replay from quarantine, by whichever daemon, moves events from one of these books to another; the
// writer notices with its next write or look.
struct Seat {
  uint64_t epoch = 0;
  uint64_t position = 0;  // The last ordinal that is settled.
  uint64_t committed = 0;
  uint64_t duplicate = 0;
  uint64_t quarantined = 0;
  int64_t adjusted =
      0;  // Ordinals that a damaged journal lost (+), or had lost and used again (-).
};

// An event that went to quarantine.
struct Rejection {
  event::Id producer;
  uint64_t sequence = 0;
  uint64_t offset = 0;
  unsigned error_number = 0;  // 0: a conflict (the id is taken by other content).
  std::string column;         // Where known.
  std::string reason;         // Without values.
};

// The traces of the calls that brought `events`.
event::TraceSet TracesOf(absl::Span<const event::Accepted> events);

// What an attempt came to when it did not fail.
struct Written {
  enum class Kind {
    kCommitted,  // The first `done` events are settled; go on with the rest.
    kReseated,  // Nothing was written: the lane's row in the database is not as this writer left it
                // (a failover lost commits, or the row was deleted and is made anew, at 0). Go on
                // after seat().position.
    kFenced,    // Nothing was written: another process took the lane. Do not write again.
  };
  Kind kind = Kind::kCommitted;
  size_t done = 0;
  std::vector<Rejection> rejections;
};

// Not thread-safe: one lane, one thread. Everything given must outlive it.
class LaneWriter final {
 public:
  // `recovered_head`: the lane's last ordinal when the journal was opened. What the database holds
  // beyond it, and beyond what this writer was given since, was written from a journal tail that is
  // gone.
  LaneWriter(const WriterOptions& options, event::Lane lane, uint64_t recovered_head,
             mysql::SessionSource& sessions, base::Clock& clock, metrics::Metrics& metrics);

  // Takes the lane: makes its row if there is none, raises its epoch (which fences whoever had it),
  // reads its position. If the row belongs to another journal, what it says of that one is left
  // under that journal's id in place of the writer id, and what was left so of this one is taken
  // up; if nothing was, the lane starts at 0. A position beyond all that the journal is known to
  // have had goes back to that. One attempt; on failure nothing changed, or an epoch was raised in
  // vain: call it again. Checks that the database's stats_utc_offset is ours; if it is not, the
  // verdict is kOutage.
  absl::Status Open();
  bool is_open() const { return seat_.has_value(); }

  // One attempt to write `events`. After a failure the caller waits as the error's verdict asks
  // (mysql::VerdictOf) and calls again with the same events; kReject is never returned. A batch
  // whose COMMIT got no answer is settled by the next call, with the rejections that it had.
  //
  // `may_commit` is asked, and may wait, when the raw rows are in and before anything is locked
  // that others want; if it says no nothing is written, and the answer is CANCELLED.
  // REQUIRES: is_open(); events not empty, at most rows_max, ordinals rising from above
  // seat().position.
  absl::StatusOr<Written> Write(absl::Span<const event::Accepted> events,
                                absl::FunctionRef<bool()> may_commit);
  absl::StatusOr<Written> Write(absl::Span<const event::Accepted> events) {
    return Write(events, [] { return true; });
  }

  // Compares the row with the seat while there is nothing to write, and touches it, so that a
  // server which can no longer be written to is left. kCommitted, with `done` 0: it is as this
  // writer left it. All else as in Write; a failure leaves nothing in doubt.
  // REQUIRES: is_open(); the last Write, if any, did not fail.
  absl::StatusOr<Written> Look();

  // As Look, and moves the row to `position`: all up to there is settled or lost with a damaged
  // part of the journal, and what is lost is booked as adjusted.
  // REQUIRES: as Look; `position` is not below seat().position.
  absl::StatusOr<Written> PassOver(uint64_t position);

  // REQUIRES: is_open().
  const Seat& seat() const { return *seat_; }

 private:
  // A COMMIT whose answer is not known: how it would have left the lane, and what it would have
  // refused.
  struct InDoubt {
    Seat seat;
    std::vector<Rejection> rejections;
  };

  absl::StatusOr<Written> WriteOnce(absl::Span<const event::Accepted> events,
                                    absl::FunctionRef<bool()> may_commit,
                                    const absl::Status* condemned);
  // The outage that one event is which neither its table nor the quarantine takes.
  absl::Status NowhereToPut(const absl::Status& reason) const;
  absl::StatusOr<Written> Commit(Transaction& transaction, Attempt& attempt,
                                 absl::Span<const event::Accepted> events);
  absl::StatusOr<std::optional<statement::LaneRow>> TouchRow(Transaction& transaction,
                                                             uint64_t position);
  absl::StatusOr<Written> NotMoved(const std::optional<statement::LaneRow>& found,
                                   absl::Span<const event::Accepted> events);
  absl::StatusOr<Written> Reopen();
  absl::Status Take(Transaction& transaction);
  absl::StatusOr<statement::LaneRow> Exchange(Transaction& transaction,
                                              const statement::LaneRow& theirs, absl::Time now);
  void TakeSeat(const statement::LaneRow& row);
  void FollowReplays(const Seat& expected, const statement::LaneRow& found);
  void CountOutcomes();
  void LogRejections(const std::vector<Rejection>& rejections) const;
  absl::Status Fail(absl::Status failure);

  const WriterOptions options_;
  const event::Lane lane_;
  mysql::SessionSource& sessions_;
  base::Clock& clock_;
  metrics::Metrics& metrics_;

  const std::string name_;

  // The last ordinal that the journal is known to have had: recovered, or handed in since.
  uint64_t known_head_;
  std::optional<Seat> seat_;
  Seat counted_;  // The books as far as the metrics have them: each outcome is counted once.
  std::optional<InDoubt> in_doubt_;
  bool reopening_ = false;  // The row was not ours to write on: open again before anything else.
  // Events in one transaction, at most: cut down to find one that is rejected by another statement
  // than its own row's, doubled again with each success.
  size_t batch_limit_;
};

}  // namespace holdfast::writer
