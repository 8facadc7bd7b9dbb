// The last sequence of each producer, bounded: above `producers_max` the longest silent are
// forgotten.

#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <vector>

#include "absl/container/flat_hash_map.h"

#include "server/event/event_id.h"
#include "server/journal/journal.h"

namespace holdfast::journal {

// Not thread-safe.
class ProducerTable {
 public:
  explicit ProducerTable(size_t producers_max) : producers_max_(producers_max) {}
  ProducerTable(const ProducerTable& other) = delete;
  ProducerTable& operator=(const ProducerTable& other) = delete;
  ProducerTable(ProducerTable&& other) = default;
  ProducerTable& operator=(ProducerTable&& other) = default;

  // 0 if the producer is not known.
  uint64_t LastSequence(const event::Id& producer) const;

  // Notes that the producer spoke. Neither value ever goes down. The nil producer is not
  // remembered.
  void Advance(const event::Id& producer, uint64_t last_sequence, uint64_t last_offset);

  // The longest silent first: fed to Advance in this order, it makes the same table again.
  std::vector<ProducerState> InOrder() const;

 private:
  using Order = std::list<ProducerState>;

  size_t producers_max_;
  Order order_;  // The longest silent first.
  absl::flat_hash_map<event::Id, Order::iterator> places_;
};

}  // namespace holdfast::journal
