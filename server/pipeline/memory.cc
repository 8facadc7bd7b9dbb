#include "server/pipeline/memory.h"

#include <algorithm>
#include <utility>

namespace holdfast::pipeline {
namespace {

// Gives the bytes back when the last event of the batch is done with.
struct Held {
  Held(std::shared_ptr<const event::Batch> held, size_t held_bytes, std::atomic<size_t>* held_in)
      : batch(std::move(held)), bytes(held_bytes), counter(held_in) {}
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;
  ~Held() { counter->fetch_sub(bytes); }

  const std::shared_ptr<const event::Batch> batch;
  const size_t bytes;
  std::atomic<size_t>* const counter;
};

std::shared_ptr<const event::Batch> Wrap(std::shared_ptr<const event::Batch> batch, size_t bytes,
                                         std::atomic<size_t>* counter) {
  const event::Batch* const raw = batch.get();
  auto held = std::make_shared<Held>(std::move(batch), bytes, counter);
  return std::shared_ptr<const event::Batch>(std::move(held), raw);
}

}  // namespace

Memory::Memory(size_t bytes_max, int lanes)
    : common_bytes_max_(bytes_max / 2), share_bytes_(bytes_max / 2 / static_cast<size_t>(lanes)) {}

std::shared_ptr<const event::Batch> Memory::TryHold(std::shared_ptr<const event::Batch> batch) {
  const size_t bytes = ChargeOf(*batch);
  size_t used = common_bytes_.load();
  do {
    if (bytes > common_bytes_max_ || used > common_bytes_max_ - bytes) return nullptr;
  } while (!common_bytes_.compare_exchange_weak(used, used + bytes));
  return Wrap(std::move(batch), bytes, &common_bytes_);
}

std::shared_ptr<const event::Batch> Memory::Hold(std::shared_ptr<const event::Batch> batch) {
  const size_t bytes = ChargeOf(*batch);
  own_bytes_.fetch_add(bytes);
  return Wrap(std::move(batch), bytes, &own_bytes_);
}

size_t ChargeOf(const event::Batch& batch) {
  return batch.bytes + batch.items.size() * sizeof(event::Accepted);
}

size_t ChargeOf(const event::Accepted& event) {
  if (event.owner == nullptr) return event.bytes.size() + sizeof(event::Accepted);
  return ChargeOf(*event.owner) / std::max<size_t>(event.owner->items.size(), 1);
}

}  // namespace holdfast::pipeline
