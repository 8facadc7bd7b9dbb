#include "server/journal/producers.h"

#include <algorithm>

namespace holdfast::journal {

uint64_t ProducerTable::LastSequence(const event::Id& producer) const {
  const auto place = places_.find(producer);
  return place == places_.end() ? 0 : place->second->last_sequence;
}

void ProducerTable::Advance(const event::Id& producer, uint64_t last_sequence,
                            uint64_t last_offset) {
  if (producer.is_nil()) return;
  const auto place = places_.find(producer);
  if (place != places_.end()) {
    ProducerState& state = *place->second;
    state.last_sequence = std::max(state.last_sequence, last_sequence);
    state.last_offset = std::max(state.last_offset, last_offset);
    order_.splice(order_.end(), order_, place->second);
    return;
  }
  order_.push_back({producer, last_sequence, last_offset});
  places_[producer] = std::prev(order_.end());
  if (order_.size() > producers_max_) {
    places_.erase(order_.front().producer);
    order_.pop_front();
  }
}

std::vector<ProducerState> ProducerTable::InOrder() const { return {order_.begin(), order_.end()}; }

}  // namespace holdfast::journal
