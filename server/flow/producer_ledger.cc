#include "server/flow/producer_ledger.h"

#include <algorithm>

#include "server/base/check.h"

namespace holdfast::flow {

ProducerLedger::ProducerLedger() : settled_(event::kLaneCount, 0) {}

void ProducerLedger::Journaled(const event::Id& producer, uint64_t last_sequence,
                               uint64_t last_offset, absl::Span<const LaneOffset> lanes) {
  HOLDFAST_CHECK(last_offset >= journaled_through_);
  Producer& entry = producers_[producer];
  for (const LaneOffset& lane : lanes) {
    HOLDFAST_CHECK(lane.lane < event::kLaneCount && lane.last_offset <= last_offset);
    // "Nothing is pending" was said before these events were there.
    uint64_t& settled = settled_[lane.lane];
    if (settled == kNothingPending) settled = journaled_through_;
    entry.last_offsets[lane.lane] = lane.last_offset;
  }
  journaled_through_ = last_offset;
  if (last_sequence <= entry.last_sequence) return;
  entry.last_sequence = last_sequence;
  std::deque<Checkpoint>& checkpoints = entry.checkpoints;
  if (!checkpoints.empty() && checkpoints.back().offset == last_offset) checkpoints.pop_back();
  if (checkpoints.size() == kCheckpointsMax) Thin(&checkpoints);
  checkpoints.push_back({last_offset, last_sequence});
}

void ProducerLedger::Settled(event::Lane lane, uint64_t offset) {
  HOLDFAST_CHECK(lane < event::kLaneCount);
  settled_[lane] = offset;
}

uint64_t ProducerLedger::settled(event::Lane lane) const {
  HOLDFAST_CHECK(lane < event::kLaneCount);
  return settled_[lane];
}

uint64_t ProducerLedger::CommittedThrough(const event::Id& producer) const {
  const auto found = producers_.find(producer);
  if (found == producers_.end()) return 0;
  const Producer& entry = found->second;
  // Lanes that hold nothing of this producer any more, however far they are, do not matter.
  uint64_t settled_through = kNothingPending;
  for (const auto& [lane, last_offset] : entry.last_offsets) {
    if (settled_[lane] < last_offset) settled_through = std::min(settled_through, settled_[lane]);
  }
  while (!entry.checkpoints.empty() && entry.checkpoints.front().offset <= settled_through) {
    entry.committed_through = entry.checkpoints.front().sequence;
    entry.checkpoints.pop_front();
  }
  return entry.committed_through;
}

void ProducerLedger::Forget(const event::Id& producer) { producers_.erase(producer); }

// Drops checkpoints wherever their neighbours stay close enough together, so that those that are
// left are spread evenly over the backlog. Any two gaps in a row are then wider than `spacing`
// together, so at most about half of the checkpoints are left. The last one always is.
void ProducerLedger::Thin(std::deque<Checkpoint>* checkpoints) {
  const uint64_t span = checkpoints->back().offset - checkpoints->front().offset;
  const uint64_t spacing = span / (kCheckpointsMax / 4);
  size_t kept = 1;
  for (size_t i = 1; i < checkpoints->size(); ++i) {
    const bool is_last = i + 1 == checkpoints->size();
    if (is_last || (*checkpoints)[i + 1].offset - (*checkpoints)[kept - 1].offset > spacing) {
      (*checkpoints)[kept++] = (*checkpoints)[i];
    }
  }
  checkpoints->resize(kept);
}

}  // namespace holdfast::flow
