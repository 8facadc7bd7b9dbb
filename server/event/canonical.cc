#include "server/event/canonical.h"

#include <xxhash.h>

namespace holdfast::event {

uint64_t Canonical::Hash() const {
  return long_.empty() ? XXH3_64bits(short_.data(), short_bytes_)
                       : XXH3_64bits(long_.data(), long_.size());
}

void Canonical::AppendLong(const char* bytes, size_t count) {
  if (long_.empty()) long_.assign(short_.data(), short_bytes_);
  long_.append(bytes, count);
}

}  // namespace holdfast::event
