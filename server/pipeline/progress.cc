#include "server/pipeline/progress.h"

#include <algorithm>
#include <utility>

#include "server/base/check.h"
#include "server/base/seeded_bug.h"

namespace holdfast::pipeline {

using flow::kNothingPending;

Progress::Progress(absl::Span<const event::Lane> lanes, const journal::LanePositions& heads,
                   uint64_t last_offset, std::vector<journal::ProducerState> producers) {
  for (const event::Lane lane : lanes) {
    lanes_[lane].in_use = true;
    lanes_[lane].head = heads[lane];
    if (heads[lane] == 0) ledger_.Settled(lane, kNothingPending);
  }
  // The ledger wants them in the order of the journal.
  std::sort(producers.begin(), producers.end(),
            [](const journal::ProducerState& a, const journal::ProducerState& b) {
              return a.last_offset < b.last_offset;
            });
  std::vector<flow::ProducerLedger::LaneOffset> everywhere;
  for (const journal::ProducerState& known : producers) {
    // A damaged journal may know of a producer's events and not have them.
    const uint64_t offset = std::min(known.last_offset, last_offset);
    everywhere.clear();
    for (const event::Lane lane : lanes) {
      if (heads[lane] > 0) everywhere.push_back({lane, offset});
    }
    ledger_.Journaled(known.producer, known.last_sequence, offset, everywhere);
    Producer& producer = producers_[known.producer];
    producer.reached.journaled_through = known.last_sequence;
    producer.in_ledger = true;
  }
}

void Progress::OnDurable(const journal::Durable& durable) {
  const event::Batch& batch = *durable.batch;
  std::array<uint64_t, event::kLaneCount> last_offsets{};
  for (size_t i = durable.first_new_item; i < batch.items.size(); ++i) {
    const event::Lane lane = batch.items[i].lane;
    LaneBook& book = lanes_[lane];
    HOLDFAST_CHECK(book.in_use && durable.ordinals[i] > book.head);
    const uint64_t offset = durable.last_offset - (batch.items.size() - 1 - i);
    if (ledger_.settled(lane) == kNothingPending) ledger_.Settled(lane, offset - 1);
    book.head = durable.ordinals[i];
    last_offsets[lane] = offset;
  }
  if (batch.producer.is_nil()) return;
  if (durable.first_new_item < batch.items.size() &&
      batch.items[durable.first_new_item].sequence <= Of(batch.producer).journaled_through) {
    Forget(batch.producer);
  }
  Producer& producer = producers_[batch.producer];
  // A batch that was held already, all of it.
  if (batch.last_sequence <= producer.reached.journaled_through) return;
  std::vector<flow::ProducerLedger::LaneOffset> lanes;
  for (size_t lane = 0; lane < last_offsets.size(); ++lane) {
    if (last_offsets[lane] == 0) continue;
    lanes.push_back({static_cast<event::Lane>(lane), last_offsets[lane]});
  }
  ledger_.Journaled(batch.producer, batch.last_sequence, durable.last_offset, lanes);
  producer.in_ledger = true;
  producer.reached.journaled_through = batch.last_sequence;
  Update(batch.producer);  // It may have been nothing but refused events.
}

void Progress::OnSeated(event::Lane lane, uint64_t position) {
  LaneBook& book = lanes_[lane];
  if (position >= book.head) {
    ledger_.Settled(lane, kNothingPending);
  } else if (book.seated) {
    ledger_.Settled(lane, 0);  // Until its first event is read, nothing is known.
  }
  book.seated = true;
  book.position = position;
}

void Progress::OnSettled(event::Lane lane, uint64_t position, uint64_t offset) {
  LaneBook& book = lanes_[lane];
  book.position = std::max(book.position, position);
  if (book.position >= book.head) {
    ledger_.Settled(lane, kNothingPending);
  } else {
    ledger_.Settled(lane, std::max(ledger_.settled(lane), offset));
  }
}

void Progress::OnFenced(event::Lane lane) { lanes_[lane].fenced = true; }

void Progress::Forget(const event::Id& producer) {
  ledger_.Forget(producer);
  producers_.erase(producer);
}

Reached Progress::Of(const event::Id& producer) const {
  const auto it = producers_.find(producer);
  return it == producers_.end() ? Reached{} : it->second.reached;
}

bool Progress::Update(const event::Id& id) {
  const auto it = producers_.find(id);
  if (it == producers_.end() || !it->second.in_ledger) return false;
  Reached& reached = it->second.reached;
  const uint64_t committed = HOLDFAST_SEEDED_BUG(kCommittedBeforeCommit)
                                 ? reached.journaled_through
                                 : ledger_.CommittedThrough(id);
  if (committed <= reached.committed_through) return false;
  reached.committed_through = committed;
  return true;
}

std::vector<event::Id> Progress::UpdateAll() {
  std::vector<event::Id> moved;
  for (const auto& [id, producer] : producers_) {
    if (producer.reached.committed_through == producer.reached.journaled_through) continue;
    if (Update(id)) moved.push_back(id);
  }
  return moved;
}

journal::LanePositions Progress::Positions() const {
  journal::LanePositions positions{};
  for (size_t lane = 0; lane < lanes_.size(); ++lane) {
    if (lanes_[lane].seated) positions[lane] = lanes_[lane].position;
  }
  return positions;
}

bool Progress::AllSettled() const {
  return std::all_of(lanes_.begin(), lanes_.end(),
                     [this](const LaneBook& book) { return IsSettled(book); });
}

bool Progress::MaySettle() const {
  return std::any_of(lanes_.begin(), lanes_.end(),
                     [this](const LaneBook& book) { return !IsSettled(book) && !book.fenced; });
}

}  // namespace holdfast::pipeline
