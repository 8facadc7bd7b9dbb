// How far lanes and producers have come: the watermark on its way back.
//
// A lane counts as "nothing pending" only while its position is at its head. An event that becomes
// durable takes that away in the same step in which its producer's sequence is recorded, so no
// answer can cover it before its lane has settled it.

#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/types/span.h"

#include "server/event/event_id.h"
#include "server/event/kind.h"
#include "server/flow/producer_ledger.h"
#include "server/journal/journal.h"

namespace holdfast::pipeline {

// How far a producer's events have come. Neither value ever goes down.
struct Reached {
  uint64_t journaled_through = 0;
  uint64_t committed_through = 0;
};

// Not thread-safe.
class Progress final {
 public:
  // `lanes`: those in use; `heads`, `last_offset`, `producers`: what the journal recovered. In
  // which lanes the recovered events of a producer are is not known, so they count as settled once
  // every lane has passed the last of them.
  Progress(absl::Span<const event::Lane> lanes, const journal::LanePositions& heads,
           uint64_t last_offset, std::vector<journal::ProducerState> producers);

  void OnDurable(const journal::Durable& durable);

  // `producer` begins anew at 1: the journal, which remembers only so many, has forgotten it. What
  // was reached under its former sequences says nothing of those to come.
  void Forget(const event::Id& producer);

  // A lane begins at `position`, lower than before or higher.
  void OnSeated(event::Lane lane, uint64_t position);
  // A lane has no event pending up to ordinal `position`, nor up to `offset`.
  void OnSettled(event::Lane lane, uint64_t position, uint64_t offset);
  void OnFenced(event::Lane lane);

  Reached Of(const event::Id& producer) const;
  // Looks again how far `producer` is committed; returns whether it has moved.
  bool Update(const event::Id& producer);
  // The same for all; returns those that have moved.
  std::vector<event::Id> UpdateAll();

  uint64_t position(event::Lane lane) const { return lanes_[lane].position; }
  // What the journal may release: 0 for lanes that have no seat yet.
  journal::LanePositions Positions() const;
  // Whether every lane is at its head. One with events and without a seat is not.
  bool AllSettled() const;
  // Whether those that are not can still get there: one of them is not fenced.
  bool MaySettle() const;

  // Forgets what is not needed: the checkpoints of producers that have nothing pending, and beyond
  // `producers_max` those that `is_held` does not know either.
  template <typename IsHeld>
  void Thin(size_t producers_max, IsHeld is_held);

 private:
  struct LaneBook {
    bool in_use = false;
    bool seated = false;
    bool fenced = false;
    uint64_t head = 0;
    uint64_t position = 0;
  };
  struct Producer {
    Reached reached;
    bool in_ledger = false;
  };

  bool IsSettled(const LaneBook& book) const {
    return book.head == 0 || (book.seated && book.position >= book.head);
  }

  std::array<LaneBook, event::kLaneCount> lanes_{};
  flow::ProducerLedger ledger_;
  absl::flat_hash_map<event::Id, Producer> producers_;
};

template <typename IsHeld>
void Progress::Thin(size_t producers_max, IsHeld is_held) {
  const bool many = producers_.size() > producers_max;
  for (auto it = producers_.begin(); it != producers_.end();) {
    const auto current = it++;
    Producer& producer = current->second;
    if (producer.reached.committed_through < producer.reached.journaled_through) continue;
    if (producer.in_ledger) ledger_.Forget(current->first);
    producer.in_ledger = false;
    if (many && !is_held(current->first)) producers_.erase(current);
  }
}

}  // namespace holdfast::pipeline
