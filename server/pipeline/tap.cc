#include "server/pipeline/tap.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

#include "server/event/validate.h"
#include "server/event/window.h"

namespace holdfast::pipeline {
namespace {

std::optional<absl::Time> OccurredAt(absl::string_view bytes) {
  event::Decoded decoded;
  if (event::Decode(bytes, &decoded).has_value() || !decoded.view.occurred_at.has_value()) {
    return std::nullopt;
  }
  return event::OccurredAt(decoded.view);
}

}  // namespace

std::shared_ptr<TapQueue> Tap::Listen(const TapOptions& options) {
  absl::MutexLock lock(&mu_);
  if (queues_.size() == kListenersMax) return nullptr;
  queues_.push_back(std::make_shared<TapQueue>(options));
  listeners_.store(queues_.size(), std::memory_order_relaxed);
  return queues_.back();
}

void Tap::Leave(const std::shared_ptr<TapQueue>& queue) {
  absl::MutexLock lock(&mu_);
  queues_.erase(std::remove(queues_.begin(), queues_.end(), queue), queues_.end());
  listeners_.store(queues_.size(), std::memory_order_relaxed);
}

void Tap::OnDurable(absl::Span<const journal::Durable> group, absl::Time now) {
  absl::MutexLock lock(&mu_);
  for (const std::shared_ptr<TapQueue>& queue : queues_) {
    for (const journal::Durable& durable : group) queue->OnDurable(durable, now);
  }
}

void Tap::OnSettled(event::Lane lane, uint64_t position,
                    absl::Span<const writer::Rejection> rejections, absl::Time now) {
  absl::MutexLock lock(&mu_);
  for (const std::shared_ptr<TapQueue>& queue : queues_) {
    queue->OnSettled(lane, position, rejections, now);
  }
}

void TapQueue::OnDurable(const journal::Durable& durable, absl::Time now) {
  const event::Batch& batch = *durable.batch;
  absl::MutexLock lock(&mu_);
  // What was held already did not arrive now.
  std::vector<size_t> items;
  for (size_t i = durable.first_new_item; i < batch.items.size(); ++i) {
    const event::Kind kind = event::KindOfLane(batch.items[i].lane);
    if (!options_.kind.has_value() || *options_.kind == kind) items.push_back(i);
  }
  const size_t refusals = options_.kind.has_value() ? 0 : batch.refusals.size();
  const size_t all = items.size() + refusals;
  const size_t some = Allowance(all, now);
  not_sampled_ += all - some;
  // Evenly, so that no place in a batch is never seen.
  for (size_t n = 0; n < some; ++n) {
    const size_t index = n * all / some;
    if (index < items.size()) {
      AddItem(durable, items[index]);
    } else {
      AddRefusal(batch, batch.refusals[index - items.size()], now);
    }
  }
}

size_t TapQueue::Allowance(size_t wanted, absl::Time now) {
  const double rate = options_.rate_max;
  if (now > refilled_at_) {
    const double seconds = std::min(1.0, absl::ToDoubleSeconds(now - refilled_at_));
    tokens_ = std::min(rate, tokens_ + seconds * rate);
  }
  refilled_at_ = now;
  const size_t allowed = std::min(wanted, static_cast<size_t>(tokens_));
  tokens_ -= static_cast<double>(allowed);
  return allowed;
}

void TapQueue::AddItem(const journal::Durable& durable, size_t index) {
  const event::Batch& batch = *durable.batch;
  const event::Item& item = batch.items[index];
  Tapped tapped;
  tapped.lane = item.lane;
  tapped.offset = durable.last_offset - (batch.items.size() - 1 - index);
  tapped.ordinal = durable.ordinals[index];
  tapped.bytes = item.bytes.size();
  tapped.occurred_at = OccurredAt(item.bytes).value_or(batch.accepted_at);
  tapped.producer = batch.producer;
  tapped.sequence = item.sequence;
  tapped.accepted_at = batch.accepted_at;
  if (options_.content) tapped.content = std::string(item.bytes);
  Add(std::move(tapped));
}

void TapQueue::AddRefusal(const event::Batch& batch, const event::Refusal& refusal,
                          absl::Time now) {
  Tapped tapped;
  tapped.outcome = Tapped::Outcome::kRefused;
  tapped.reason = absl::StrCat(refusal.fault.field, ": ", refusal.fault.reason);
  tapped.producer = batch.producer;
  tapped.sequence = refusal.sequence;
  tapped.accepted_at = tapped.occurred_at = batch.accepted_at;
  tapped.known_at = now;
  Add(std::move(tapped));
}

void TapQueue::Add(Tapped tapped) {
  if (held_.size() >= kEventsMax || content_bytes_ + tapped.content.size() > kContentBytesMax) {
    ++dropped_;
    return;
  }
  content_bytes_ += tapped.content.size();
  held_.push_back(std::move(tapped));
}

void TapQueue::OnSettled(event::Lane lane, uint64_t position,
                         absl::Span<const writer::Rejection> rejections, absl::Time now) {
  absl::MutexLock lock(&mu_);
  for (Tapped& tapped : held_) {
    if (tapped.outcome != Tapped::Outcome::kJournaled || tapped.lane != lane ||
        tapped.ordinal > position) {
      continue;
    }
    tapped.outcome = Tapped::Outcome::kCommitted;
    tapped.known_at = now;
    for (const writer::Rejection& rejection : rejections) {
      if (rejection.offset != tapped.offset) continue;
      tapped.outcome = Tapped::Outcome::kQuarantined;
      tapped.reason = rejection.reason;
    }
  }
}

TapQueue::Taken TapQueue::Take(absl::Time now, absl::Duration patience) {
  Taken taken;
  absl::MutexLock lock(&mu_);
  std::deque<Tapped> waiting;
  for (Tapped& tapped : held_) {
    const bool is_open = tapped.outcome == Tapped::Outcome::kJournaled;
    if (is_open && now - tapped.accepted_at < patience) {
      waiting.push_back(std::move(tapped));
      continue;
    }
    if (is_open) tapped.known_at = now;
    content_bytes_ -= tapped.content.size();
    taken.events.push_back(std::move(tapped));
  }
  held_ = std::move(waiting);
  taken.not_sampled = std::exchange(not_sampled_, 0);
  taken.dropped = std::exchange(dropped_, 0);
  return taken;
}

}  // namespace holdfast::pipeline
