// Walks the fields of a serialized protobuf message without parsing what is inside them, so that a
// request can be split into events that are then parsed one by one.

#pragma once

#include <cstdint>

#include "absl/strings/string_view.h"

namespace holdfast::event {

// One field of a message, as it stands on the wire.
struct WireField {
  int number = 0;
  bool is_bytes = false;  // Length-delimited: `bytes` holds. Otherwise a varint: `varint` holds.
  uint64_t varint = 0;
  absl::string_view bytes;  // Without tag and length.
  absl::string_view whole;  // With tag and length: a message of this field alone.
};

// Reads the varint and length-delimited fields in the order of the wire; fields of other wire types
// are passed over, as a parser passes over fields that it does not know. Not thread-safe. `message`
// must outlive the reader and what it gave out. A message above INT_MAX bytes is malformed.
class WireReader final {
 public:
  explicit WireReader(absl::string_view message) : message_(message) {}

  // Moves to the next field. False at the end, or where the message is malformed: see `ok`.
  bool Next(WireField* field);

  // Whether everything up to here was well formed.
  bool ok() const { return ok_; }

 private:
  const absl::string_view message_;
  size_t position_ = 0;
  bool ok_ = true;
};

}  // namespace holdfast::event
