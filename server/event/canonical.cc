#include "server/event/canonical.h"

#include <xxhash.h>

namespace holdfast::event {

uint64_t Canonical::Hash() const { return XXH3_64bits(bytes_.data(), bytes_.size()); }

}  // namespace holdfast::event
