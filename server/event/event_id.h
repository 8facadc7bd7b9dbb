// Identities: of producers, of events, of an event's content.

#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"

#include "server/event/view.h"

namespace holdfast::event {

// Sixteen bytes, compared bytewise.
struct Id {
  std::array<uint8_t, 16> bytes{};

  // The bytes as a database takes them (BINARY(16)). Valid as long as this Id.
  absl::string_view view() const {
    return absl::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  // The nil id: as a producer, one whose sequences are not remembered (a Write without
  // producer_id).
  bool is_nil() const { return *this == Id{}; }
  friend auto operator<=>(const Id&, const Id&) = default;
  template <typename H>
  friend H AbslHashValue(H state, const Id& id) {
    return H::combine(std::move(state), id.bytes);
  }
};

// The sixteen bytes of a UUID in its text form (8-4-4-4-12 hex digits, either case), or nullopt.
std::optional<Id> ParseUuid(absl::string_view text);

// The canonical text form.
std::string FormatUuid(const Id& id);

// A random (version 4) UUID from the system's generator.
Id RandomUuid();

// The key under which an event id is stored: the bytes of a UUID, of anything else the first
// sixteen bytes of its SHA-256.
Id EventKey(absl::string_view event_id);

// A 64-bit hash of what a usage or rate-limit event says, independent of how it was encoded. Two
// events with one id and different hashes are a client's bug, not a duplicate. Stored in the
// database: do not change.
//
// It is XXH3 over the canonical encoding (canonical.h) of: the event's field number of its kind,
// occurred_at in microseconds, then each field in the order of its number, with the values that are
// stored: a window's start and end in seconds after their defaults, of a `count` its field number
// and its value. The event_id is left out: it is the key. A field that the contract gains later
// must be added at the end and only where it differs from its default, or stored hashes no longer
// match. REQUIRES: `event` is valid and not a message.
uint64_t ContentHash(const EventView& event);

}  // namespace holdfast::event
