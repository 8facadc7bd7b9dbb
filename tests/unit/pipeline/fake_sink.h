// A database that knows only lanes: what was written to each, and where it stands. It moves a lane
// by compare-and-set as the real one does, and can be told what goes wrong.

#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/synchronization/mutex.h"

#include "server/flow/verdict.h"
#include "server/pipeline/sink.h"

namespace holdfast::test {

class FakeDatabaseOfLanes final {
 public:
  struct Row {
    uint64_t ordinal = 0;
    uint64_t offset = 0;
    event::Id producer;
    uint64_t sequence = 0;
    std::string text;      // As parsed: TextOf(event).
    std::string trace_id;  // Empty: none.
  };
  // The ordinals that an attempt was made with.
  struct Attempt {
    std::vector<uint64_t> ordinals;
  };

  // Sinks of one process; it must not outlive this.
  pipeline::SinkFactory sinks();

  // From now on every attempt of the lane fails so, until Heal.
  void Fail(event::Lane lane, flow::Verdict verdict);
  // The same, with an answer that cannot be read.
  void FailWithNoSense(event::Lane lane);
  // The next `times` attempts fail so.
  void FailNext(event::Lane lane, flow::Verdict verdict, int times);
  void Heal(event::Lane lane);
  // The next attempt commits, and its answer is lost.
  void LoseAnswer(event::Lane lane);
  // Another process takes the lane.
  void Fence(event::Lane lane);
  // A failover loses what came after `position`.
  void RollBack(event::Lane lane, uint64_t position);
  // An event of the lane is booked as committed by somebody else: its lane finds out when it looks.
  void MoveBooks(event::Lane lane);
  // Events with this sequence go to quarantine.
  void Reject(uint64_t sequence);
  // Attempts of the lane wait.
  void Block(event::Lane lane, bool block);
  // Blocks none any more.
  void LetGo();
  // An attempt settles no more than so many events.
  void SettleAtMost(size_t done);

  std::vector<Row> rows(event::Lane lane) const;
  std::vector<Attempt> attempts(event::Lane lane) const;
  uint64_t position(event::Lane lane) const;
  // Waits until the lane stands at `position` at least; false if that takes too long.
  bool AwaitPosition(event::Lane lane, uint64_t position) const;
  bool AwaitAttempts(event::Lane lane, size_t count) const;
  // Whether an attempt ever began at or before its seat, or was not in order.
  bool order_broken() const;

 private:
  friend class FakeLaneSink;
  struct Table {
    std::vector<Row> rows;
    std::vector<Attempt> attempts;
    uint64_t position = 0;
    uint64_t epoch = 0;
    uint64_t moved = 0;
    bool fails = false;
    bool makes_no_sense = false;
    int fails_times = 0;
    flow::Verdict verdict = flow::Verdict::kRetry;
    bool lose_answer = false;
    bool blocked = false;
  };

  mutable absl::Mutex mu_;
  std::array<Table, event::kLaneCount> tables_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_set<uint64_t> rejected_ ABSL_GUARDED_BY(mu_);
  size_t settle_at_most_ ABSL_GUARDED_BY(mu_) = SIZE_MAX;
  bool order_broken_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace holdfast::test
