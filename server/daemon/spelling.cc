#include "server/daemon/spelling.h"

#include <algorithm>
#include <numeric>

namespace holdfast::daemon {
namespace {

size_t Distance(absl::string_view from, absl::string_view to) {
  // distances[j]: from the part of `from` seen so far to the first j characters of `to`.
  std::vector<size_t> distances(to.size() + 1);
  std::iota(distances.begin(), distances.end(), size_t{0});
  for (size_t i = 0; i < from.size(); ++i) {
    size_t diagonal = distances[0];
    distances[0] = i + 1;
    for (size_t j = 0; j < to.size(); ++j) {
      const size_t replaced = diagonal + (from[i] == to[j] ? 0 : 1);
      diagonal = distances[j + 1];
      distances[j + 1] = std::min({replaced, distances[j] + 1, distances[j + 1] + 1});
    }
  }
  return distances.back();
}

}  // namespace

std::string NearestOf(absl::string_view name, const std::vector<std::string>& known) {
  // Longer than any name of ours: not worth the arithmetic.
  if (name.size() > 128) return "";
  size_t least = name.size() / 3 + 1;
  std::string nearest;
  for (const std::string& candidate : known) {
    const size_t distance = Distance(name, candidate);
    if (distance < least) {
      least = distance;
      nearest = candidate;
    }
  }
  return nearest;
}

}  // namespace holdfast::daemon
