// How much memory the lanes' events take, and who may take more.
//
// Half of it is for events that come straight from the journal's thread, first come, first served;
// when it is used up, events are left to the journal. The other half is split evenly: every lane
// has a share of its own, so that one that reads from the journal, or keeps a batch that fails,
// never waits for the memory of another.

#pragma once

#include <atomic>
#include <cstddef>
#include <memory>

#include "server/event/batch.h"

namespace holdfast::pipeline {

// Thread-safe. Must outlive every batch that it holds.
class Memory final {
 public:
  // `lanes`: how many share it. REQUIRES: lanes > 0.
  Memory(size_t bytes_max, int lanes);

  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  // `batch`, counted until the last copy of the returned pointer is gone; null if there is no room.
  std::shared_ptr<const event::Batch> TryHold(std::shared_ptr<const event::Batch> batch);

  // As TryHold, out of a lane's own share: always succeeds. The lane sees to it that it takes no
  // more than its share, but for what one event may be over.
  std::shared_ptr<const event::Batch> Hold(std::shared_ptr<const event::Batch> batch);

  // What a lane may hold of its own.
  size_t share_bytes() const { return share_bytes_; }
  // What a lane may hold of the common half, so that a slow one leaves some to the others.
  size_t lane_bytes_max() const { return common_bytes_max_ / 2; }

  size_t used_bytes() const { return common_bytes_.load() + own_bytes_.load(); }

 private:
  const size_t common_bytes_max_;
  const size_t share_bytes_;
  std::atomic<size_t> common_bytes_{0};
  std::atomic<size_t> own_bytes_{0};
};

// The memory of a whole batch with the lanes' entries for it.
size_t ChargeOf(const event::Batch& batch);
// An event's part in that of its batch, about.
size_t ChargeOf(const event::Accepted& event);

}  // namespace holdfast::pipeline
