#include "tests/unit/pipeline/fake_sink.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "server/base/check.h"
#include "server/mysql/errors.h"
#include "tests/unit/pipeline/events.h"

namespace holdfast::test {
namespace {

constexpr absl::Duration kTooLong = absl::Seconds(60);

absl::Status Failure(flow::Verdict verdict) {
  mysql::DatabaseError error;
  error.error_number = 1;
  error.verdict = verdict;
  return mysql::ToStatus("the test's attempt", error);
}

}  // namespace

class FakeLaneSink final : public pipeline::Sink {
 public:
  using Table = FakeDatabaseOfLanes::Table;

  FakeLaneSink(FakeDatabaseOfLanes* database, event::Lane lane, uint64_t recovered_head)
      : database_(database), lane_(lane), recovered_head_(recovered_head) {}

  absl::Status Open() override {
    absl::MutexLock lock(&database_->mu_);
    Table& table = database_->tables_[lane_];
    if (FailsNow(&table)) return FailureOf(table);
    table.position = std::min(table.position, recovered_head_);
    seat_.emplace();
    seat_->epoch = ++table.epoch;
    seat_->position = table.position;
    return absl::OkStatus();
  }

  absl::StatusOr<writer::Written> Write(absl::Span<const event::Accepted> events,
                                        absl::FunctionRef<bool()> may_commit) override {
    {
      absl::MutexLock lock(&database_->mu_);
      Note(events, &database_->tables_[lane_]);
    }
    if (!may_commit()) return absl::CancelledError("the events may not be committed");
    absl::MutexLock lock(&database_->mu_);
    Table& table = database_->tables_[lane_];
    database_->mu_.Await(absl::Condition(
        +[](Table* waited_for) { return !waited_for->blocked; }, &table));
    if (FailsNow(&table)) return FailureOf(table);
    writer::Written written;
    if (table.epoch != seat_->epoch) {
      written.kind = writer::Written::Kind::kFenced;
      return written;
    }
    if (table.position != seat_->position) return AfterLostSeat(events, table);
    Commit(events.subspan(0, std::min(events.size(), database_->settle_at_most_)), &table,
           &written);
    if (std::exchange(table.lose_answer, false)) return Failure(flow::Verdict::kUnknown);
    seat_->position = table.position;
    return written;
  }

  absl::StatusOr<writer::Written> Look() override {
    absl::MutexLock lock(&database_->mu_);
    Table& table = database_->tables_[lane_];
    if (FailsNow(&table)) return FailureOf(table);
    writer::Written written;
    if (table.epoch != seat_->epoch) {
      written.kind = writer::Written::Kind::kFenced;
    } else if (table.position != seat_->position) {
      written.kind = writer::Written::Kind::kReseated;
      seat_->position = table.position;
    }
    seat_->committed = table.moved;
    return written;
  }

  absl::StatusOr<writer::Written> PassOver(uint64_t position) override {
    absl::StatusOr<writer::Written> found = Look();
    if (found.ok() && found->kind == writer::Written::Kind::kCommitted) {
      absl::MutexLock lock(&database_->mu_);
      database_->tables_[lane_].position = seat_->position = position;
    }
    return found;
  }

  const writer::Seat& seat() const override { return *seat_; }

 private:
  static absl::Status FailureOf(const Table& table) {
    if (table.makes_no_sense) return absl::InternalError("the test's answer makes no sense");
    return Failure(table.verdict);
  }

  bool FailsNow(Table* table) {
    if (table->fails) return true;
    if (table->fails_times == 0) return false;
    --table->fails_times;
    return true;
  }

  void Note(absl::Span<const event::Accepted> events, Table* table)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(database_->mu_) {
    FakeDatabaseOfLanes::Attempt attempt;
    uint64_t last = seat_->position;
    for (const event::Accepted& event : events) {
      if (event.ordinal <= last) database_->order_broken_ = true;
      last = event.ordinal;
      attempt.ordinals.push_back(event.ordinal);
    }
    table->attempts.push_back(std::move(attempt));
  }

  writer::Written AfterLostSeat(absl::Span<const event::Accepted> events, const Table& table) {
    writer::Written written;
    seat_->position = table.position;
    if (table.position == events.back().ordinal) {
      written.done = events.size();
    } else {
      written.kind = writer::Written::Kind::kReseated;
    }
    return written;
  }

  void Commit(absl::Span<const event::Accepted> events, Table* table, writer::Written* written)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(database_->mu_) {
    for (const event::Accepted& event : events) {
      table->position = event.ordinal;
      ++written->done;
      if (database_->rejected_.contains(event.sequence)) {
        written->rejections.push_back({event.producer, event.sequence, event.offset, 1406, "", ""});
        continue;
      }
      v1::Event parsed;
      HOLDFAST_CHECK(
          parsed.ParseFromArray(event.bytes.data(), static_cast<int>(event.bytes.size())));
      table->rows.push_back({event.ordinal, event.offset, event.producer, event.sequence,
                             TextOf(parsed),
                             event.trace == nullptr ? "" : event::FormatTraceId(*event.trace)});
    }
  }

  FakeDatabaseOfLanes* const database_;
  const event::Lane lane_;
  const uint64_t recovered_head_;
  std::optional<writer::Seat> seat_;
};

pipeline::SinkFactory FakeDatabaseOfLanes::sinks() {
  return [this](event::Lane lane, uint64_t recovered_head) {
    return std::make_unique<FakeLaneSink>(this, lane, recovered_head);
  };
}

void FakeDatabaseOfLanes::Fail(event::Lane lane, flow::Verdict verdict) {
  absl::MutexLock lock(&mu_);
  tables_[lane].fails = true;
  tables_[lane].makes_no_sense = false;
  tables_[lane].verdict = verdict;
}

void FakeDatabaseOfLanes::FailWithNoSense(event::Lane lane) {
  absl::MutexLock lock(&mu_);
  tables_[lane].fails = true;
  tables_[lane].makes_no_sense = true;
}

void FakeDatabaseOfLanes::FailNext(event::Lane lane, flow::Verdict verdict, int times) {
  absl::MutexLock lock(&mu_);
  tables_[lane].fails_times = times;
  tables_[lane].verdict = verdict;
}

void FakeDatabaseOfLanes::Heal(event::Lane lane) {
  absl::MutexLock lock(&mu_);
  tables_[lane].fails = false;
}

void FakeDatabaseOfLanes::LoseAnswer(event::Lane lane) {
  absl::MutexLock lock(&mu_);
  tables_[lane].lose_answer = true;
}

void FakeDatabaseOfLanes::Fence(event::Lane lane) {
  absl::MutexLock lock(&mu_);
  ++tables_[lane].epoch;
}

void FakeDatabaseOfLanes::RollBack(event::Lane lane, uint64_t position) {
  absl::MutexLock lock(&mu_);
  Table& table = tables_[lane];
  table.position = position;
  while (!table.rows.empty() && table.rows.back().ordinal > position) table.rows.pop_back();
}

void FakeDatabaseOfLanes::MoveBooks(event::Lane lane) {
  absl::MutexLock lock(&mu_);
  ++tables_[lane].moved;
}

void FakeDatabaseOfLanes::Reject(uint64_t sequence) {
  absl::MutexLock lock(&mu_);
  rejected_.insert(sequence);
}

void FakeDatabaseOfLanes::Block(event::Lane lane, bool block) {
  absl::MutexLock lock(&mu_);
  tables_[lane].blocked = block;
}

void FakeDatabaseOfLanes::SettleAtMost(size_t done) {
  absl::MutexLock lock(&mu_);
  settle_at_most_ = done;
}

void FakeDatabaseOfLanes::LetGo() {
  absl::MutexLock lock(&mu_);
  for (Table& table : tables_) table.blocked = false;
}

std::vector<FakeDatabaseOfLanes::Row> FakeDatabaseOfLanes::rows(event::Lane lane) const {
  absl::MutexLock lock(&mu_);
  return tables_[lane].rows;
}

std::vector<FakeDatabaseOfLanes::Attempt> FakeDatabaseOfLanes::attempts(event::Lane lane) const {
  absl::MutexLock lock(&mu_);
  return tables_[lane].attempts;
}

uint64_t FakeDatabaseOfLanes::position(event::Lane lane) const {
  absl::MutexLock lock(&mu_);
  return tables_[lane].position;
}

bool FakeDatabaseOfLanes::AwaitPosition(event::Lane lane, uint64_t position) const {
  absl::MutexLock lock(&mu_);
  const auto reached = [this, lane, position]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return tables_[lane].position >= position;
  };
  return mu_.AwaitWithTimeout(absl::Condition(&reached), kTooLong);
}

bool FakeDatabaseOfLanes::AwaitAttempts(event::Lane lane, size_t count) const {
  absl::MutexLock lock(&mu_);
  const auto reached = [this, lane, count]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return tables_[lane].attempts.size() >= count;
  };
  return mu_.AwaitWithTimeout(absl::Condition(&reached), kTooLong);
}

bool FakeDatabaseOfLanes::order_broken() const {
  absl::MutexLock lock(&mu_);
  return order_broken_;
}

}  // namespace holdfast::test
