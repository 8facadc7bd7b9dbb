// Guesses which name was meant.

#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace holdfast::daemon {

// The one of `known` that takes the fewest insertions, removals and replacements of a character to
// get to from `name`; empty if that is more than a third of it.
std::string NearestOf(absl::string_view name, const std::vector<std::string>& known);

}  // namespace holdfast::daemon
