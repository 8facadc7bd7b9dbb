// A batch of events in memory: checked once, when it arrives, and shared as the bytes that came by
// everything that works on it until its last event is settled.

#pragma once

#include <google/protobuf/arena.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

#include "server/event/event_id.h"
#include "server/event/kind.h"
#include "server/event/trace.h"
#include "server/event/validate.h"

namespace holdfast::event {

// The most events and bytes that one request may carry.
inline constexpr int kBatchEventsMax = 8192;
inline constexpr size_t kBatchBytesMax = 4 << 20;

// One event that was taken.
struct Item {
  uint64_t sequence = 0;
  Lane lane = 0;
  absl::string_view bytes;  // As the gateway encoded it. Owned by the batch.
};

// One event that was not.
struct Refusal {
  uint64_t sequence = 0;
  Fault fault;
};

// A serialized v1::EventBatch, and what it is a part of.
struct Encoded {
  Encoded() = default;
  Encoded(std::string text)  // NOLINT(google-explicit-constructor): all of it.
      : whole(std::move(text)), size(whole.size()) {}
  // The bytes [part_begin, part_begin + part_size) of `text`.
  Encoded(std::string text, size_t part_begin, size_t part_size)
      : whole(std::move(text)), begin(part_begin), size(part_size) {}
  absl::string_view view() const { return absl::string_view(whole).substr(begin, size); }

  std::string whole;
  size_t begin = 0;
  size_t size = 0;
};

// Built by one thread, constant afterwards. Const methods are thread-safe.
class Batch {
 public:
  Batch() = default;
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;

  // Reads a serialized v1::EventBatch: splits, reads and validates each event on its own, so that
  // a bad one is a Refusal and nothing else is disturbed. `encoded` is kept. InvalidArgument, with
  // the message "<field>: <reason>", if the batch itself is unusable: not an EventBatch, no events,
  // more than kBatchEventsMax or kBatchBytesMax, first_sequence 0 or so large that the last
  // sequence would overflow. For the nil producer first_sequence must be 0; its events are numbered
  // from 1.
  // REQUIRES: 1 <= lanes_per_kind <= kLanesPerKindMax.
  static absl::StatusOr<std::unique_ptr<Batch>> Read(Encoded encoded, const Id& producer,
                                                     int lanes_per_kind, absl::Time now);

  // Adds an event that the journal gave back. It was valid when it was accepted, so it is read, not
  // validated; DataLoss if it is no event. `event_bytes` is copied. `first_sequence` and
  // `last_sequence` are the caller's to set.
  absl::Status Add(uint64_t sequence, Lane lane, absl::string_view event_bytes);

  // Keeps the trace of an event that was given to Add, and returns where: an address for the same
  // trace as the last time, which lives as long as the batch. REQUIRES: of_event.is_set().
  const Trace* AddTrace(const Trace& of_event);

  Id producer;
  uint64_t first_sequence = 0;  // Of all events, the refused ones included.
  uint64_t last_sequence = 0;
  absl::Time accepted_at;   // When it arrived.
  Trace trace;              // Of the call that brought it. Not set if the journal gave it back.
  std::vector<Item> items;  // In the order of their sequence.
  std::vector<Refusal> refusals;
  size_t bytes = 0;  // Memory held, about.

 private:
  void Weigh();  // Sets `bytes`.
  google::protobuf::Arena& Texts();

  Encoded encoded_;  // What Read was given. Items point into it: never touched again.
  std::optional<google::protobuf::Arena> texts_;  // What Add and AddTrace were given.
  const Trace* last_trace_ = nullptr;             // In `texts_`.
};

// An event on its way from the journal to the database.
struct Accepted {
  uint64_t offset = 0;   // Its number in the journal, over all lanes, from 1.
  uint64_t ordinal = 0;  // Its number in its lane, from 1 without a gap. Positions count these.
  Id producer;
  uint64_t sequence = 0;
  absl::Time accepted_at;
  absl::string_view bytes;
  const Trace* trace = nullptr;        // Of the call that brought it; nullptr: none.
  std::shared_ptr<const Batch> owner;  // Keeps `bytes` and `trace` alive.
};

}  // namespace holdfast::event
