// A self-delimiting encoding of values that are hashed: no two lists of values of the same types
// have the same bytes. Hashes of it decide lanes and are stored in the database: do not change it.
//
//   integer, bool   8 bytes, two's complement, lowest byte first
//   string          its length as an integer, then its bytes

#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace holdfast::event {

class Canonical final {
 public:
  Canonical() { bytes_.reserve(512); }

  Canonical& Add(int64_t value) {
    std::array<char, 8> lowest_first;
    auto rest = static_cast<uint64_t>(value);
    for (char& byte : lowest_first) {
      byte = static_cast<char>(rest & 0xff);
      rest >>= 8;
    }
    bytes_.append(lowest_first.data(), lowest_first.size());
    return *this;
  }

  Canonical& Add(absl::string_view value) {
    Add(static_cast<int64_t>(value.size()));
    bytes_.append(value.data(), value.size());
    return *this;
  }

  // XXH3, 64 bits, seed 0.
  uint64_t Hash() const;

 private:
  std::string bytes_;
};

}  // namespace holdfast::event
