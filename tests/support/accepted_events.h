// Accepted events for tests of what stands behind the journal.

#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"

#include "holdfast/v1/event.pb.h"
#include "server/event/batch.h"

namespace holdfast::test {

// When the events below happened, unless they are changed: 2026-01-01T00:30:00.123456Z.
absl::Time EventTime();
void SetOccurredAt(absl::Time time, v1::Event* event);

// The id that number `n` stands for: a UUID; rising numbers give rising ids.
std::string UuidOf(uint64_t n);

// Ten tokens in, five out, a hundred micro-dollars.
v1::Event UsageOf(absl::string_view event_id, absl::string_view api_key_id = "key-1");
v1::Event HitsOf(absl::string_view identifier, int64_t hits, absl::string_view event_id = "");
v1::Event ObservedOf(absl::string_view identifier, int64_t observed);
v1::Event MessageOf(absl::string_view ig_message_id, absl::string_view text = "hello");

// The event that `bytes` are.
v1::Event Parsed(absl::string_view bytes);

// A lane's events, in order: sequences, offsets and ordinals run on from 1.
class AcceptedEvents {
 public:
  AcceptedEvents() = default;
  AcceptedEvents(const AcceptedEvents&) = delete;
  AcceptedEvents& operator=(const AcceptedEvents&) = delete;

  event::Accepted Add(const v1::Event& event);
  // The journal lost so many events here.
  void Skip(uint64_t ordinals) { ordinal_ += ordinals; }

  absl::Span<const event::Accepted> all() const { return events_; }
  // Those after ordinal `position`, at most `count`.
  absl::Span<const event::Accepted> After(uint64_t position, size_t count = SIZE_MAX) const;

 private:
  uint64_t ordinal_ = 0;
  event::Id producer_ = event::EventKey("producer");
  std::deque<std::string> bytes_;
  std::vector<event::Accepted> events_;
};

}  // namespace holdfast::test
