// Money from decimal text, without a detour over floating point.

#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace holdfast::client {

// The most that the contract takes: a hundred million dollars.
inline constexpr int64_t kMicrosMax = 100'000'000'000'000;

// `dollars`, a JSON number such as "0.1", "12" or "5.1e-7", in millionths, exactly rounded: half a
// millionth and more goes up. INVALID_ARGUMENT for what is negative, too large or no number.
absl::StatusOr<int64_t> MicrosFromDollars(absl::string_view dollars);

}  // namespace holdfast::client
