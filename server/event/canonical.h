// A self-delimiting encoding of values that are hashed: no two lists of values of the same types
// have the same bytes. Hashes of it decide lanes and are stored in the database: do not change it.
//
//   integer, bool   8 bytes, two's complement, lowest byte first
//   string          its length as an integer, then its bytes

#pragma once

#include <endian.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace holdfast::event {

class Canonical final {
 public:
  Canonical() = default;
  Canonical(const Canonical&) = delete;
  Canonical& operator=(const Canonical&) = delete;

  Canonical& Add(int64_t value) {
    const uint64_t lowest_first = htole64(static_cast<uint64_t>(value));
    Append(reinterpret_cast<const char*>(&lowest_first), sizeof(lowest_first));
    return *this;
  }

  Canonical& Add(absl::string_view value) {
    Add(static_cast<int64_t>(value.size()));
    Append(value.data(), value.size());
    return *this;
  }

  // XXH3, 64 bits, seed 0.
  uint64_t Hash() const;

 private:
  void Append(const char* bytes, size_t count) {
    if (count > short_.size() - short_bytes_ || !long_.empty()) return AppendLong(bytes, count);
    std::copy_n(bytes, count, short_.data() + short_bytes_);
    short_bytes_ += count;
  }
  void AppendLong(const char* bytes, size_t count);

  // Whatever a valid event says has room here; nothing is allocated for it.
  std::array<char, 1024> short_;
  size_t short_bytes_ = 0;
  std::string long_;  // All of it, where there was none.
};

}  // namespace holdfast::event
