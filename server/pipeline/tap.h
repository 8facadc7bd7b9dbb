// Lets operators watch a sample of the events go by. While nobody listens it costs one look at an
// atomic number for each group; while somebody does, the journal's thread copies at most
// `rate_max` events a second for each listener, and waits for no reader.

#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/span.h"

#include "server/event/event_id.h"
#include "server/event/kind.h"
#include "server/journal/journal.h"
#include "server/writer/lane_writer.h"

namespace holdfast::pipeline {

struct TapOptions {
  // Events in a second, at most: 1 to 1000.
  uint32_t rate_max = 20;
  std::optional<event::Kind> kind;  // Only these; refused events have none.
  bool content = false;             // Whether to copy what the gateway sent.
};

// An event that went by.
struct Tapped {
  enum class Outcome { kJournaled, kCommitted, kQuarantined, kRefused };
  Outcome outcome = Outcome::kJournaled;
  std::string reason;               // Of a refusal or quarantine; without values.
  std::optional<event::Lane> lane;  // Not of a refused event, nor the four below.
  uint64_t offset = 0;
  uint64_t ordinal = 0;
  uint64_t bytes = 0;
  absl::Time occurred_at;
  event::Id producer;
  uint64_t sequence = 0;
  absl::Time accepted_at;
  absl::Time known_at;  // When the outcome was.
  std::string content;  // If asked for.
};

// What one listener is shown. Thread-safe.
class TapQueue final {
 public:
  // Events that it holds, and bytes of content: what comes beyond is dropped and counted. All of it
  // fits into one response of gRPC's default size.
  static constexpr size_t kEventsMax = 2048;
  static constexpr size_t kContentBytesMax = size_t{2} << 20;

  struct Taken {
    std::vector<Tapped> events;
    uint64_t not_sampled = 0;  // Since the last call: more came than `rate_max`.
    uint64_t dropped = 0;      // Since the last call: the queue was full.
    bool empty() const { return events.empty() && not_sampled == 0 && dropped == 0; }
  };

  // REQUIRES: 1 <= rate_max <= 1000.
  explicit TapQueue(const TapOptions& options) : options_(options) {}

  // Takes the events whose outcome is known, and those that have waited for it for `patience`.
  Taken Take(absl::Time now, absl::Duration patience);

 private:
  friend class Tap;
  void OnDurable(const journal::Durable& durable, absl::Time now);
  void OnSettled(event::Lane lane, uint64_t position,
                 absl::Span<const writer::Rejection> rejections, absl::Time now);
  size_t Allowance(size_t wanted, absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void AddItem(const journal::Durable& durable, size_t index) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void AddRefusal(const event::Batch& batch, const event::Refusal& refusal, absl::Time now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Add(Tapped tapped) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const TapOptions options_;

  absl::Mutex mu_;
  std::deque<Tapped> held_ ABSL_GUARDED_BY(mu_);
  size_t content_bytes_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t not_sampled_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t dropped_ ABSL_GUARDED_BY(mu_) = 0;
  double tokens_ ABSL_GUARDED_BY(mu_) = 0;
  absl::Time refilled_at_ ABSL_GUARDED_BY(mu_) = absl::InfinitePast();
};

// Thread-safe.
class Tap final {
 public:
  static constexpr size_t kListenersMax = 8;

  // Nullptr if too many listen already. It listens until Leave.
  std::shared_ptr<TapQueue> Listen(const TapOptions& options);
  void Leave(const std::shared_ptr<TapQueue>& queue);

  bool listening() const { return listeners_.load(std::memory_order_relaxed) > 0; }

  // A group, before its lanes are told of it; a lane's progress. `now` is the system's time.
  void OnDurable(absl::Span<const journal::Durable> group, absl::Time now);
  void OnSettled(event::Lane lane, uint64_t position,
                 absl::Span<const writer::Rejection> rejections, absl::Time now);

 private:
  std::atomic<size_t> listeners_ = 0;
  absl::Mutex mu_;
  std::vector<std::shared_ptr<TapQueue>> queues_ ABSL_GUARDED_BY(mu_);
};

}  // namespace holdfast::pipeline
