// The trace that a gateway's call belongs to, as its `traceparent` says: W3C Trace Context
// (https://www.w3.org/TR/trace-context-1/). It is carried along and never decides anything.

#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/string_view.h"

#include "server/event/event_id.h"

namespace holdfast::event {

struct Trace {
  Id id;                            // Nil: no trace.
  std::array<uint8_t, 8> parent{};  // The caller's span. Not zero in a trace.
  uint8_t flags = 0;                // Bit 0: sampled. The others are zero.

  bool is_set() const { return !id.is_nil(); }
  friend bool operator==(const Trace&, const Trace&) = default;
};

// What a `traceparent` says; nullopt where it is not valid, which is then as if there were none. Of
// a version above 00 what stands where version 00 has it counts; flags that version 00 does not
// define are dropped.
std::optional<Trace> ParseTraceparent(absl::string_view text);

// "00-<trace id>-<parent id>-<flags>": hexadecimal digits and hyphens, whatever was sent.
// REQUIRES: trace.is_set().
std::string FormatTraceparent(const Trace& trace);

// The trace id, 32 hexadecimal digits.
std::string FormatTraceId(const Trace& trace);

// The different traces of many events: the first few, and how many there are beside them. Not
// thread-safe.
class TraceSet {
 public:
  static constexpr size_t kKeptMax = 4;

  // Two are the same if their trace ids are. REQUIRES: trace.is_set().
  void Add(const Trace& trace);

  // In the order in which they came.
  const std::vector<Trace>& kept() const { return kept_; }
  size_t more() const { return others_.size(); }
  bool empty() const { return kept_.empty(); }

 private:
  std::vector<Trace> kept_;
  absl::flat_hash_set<Id> others_;
};

}  // namespace holdfast::event
