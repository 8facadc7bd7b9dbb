#include "tests/sim/media.h"

#include <algorithm>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "server/journal/format.h"
#include "server/journal/segment.h"

namespace holdfast::sim {
namespace {

constexpr uint64_t kSectorBytes = 512;

// Where the last whole frame of a segment begins, and where the frames end.
struct Extent {
  uint64_t last_frame = 0;
  uint64_t end = 0;
};

Extent ExtentOf(const std::string& contents) {
  Extent extent;
  uint64_t position = journal::kFramesBegin;
  while (position + journal::kFrameHeaderBytes <= contents.size()) {
    const auto header = journal::DecodeFrameHeader(
        absl::string_view(contents).substr(position, journal::kFrameHeaderBytes), position);
    if (!header.ok()) break;
    extent.last_frame = position;
    position += header->bytes_on_disk();
    extent.end = position;
  }
  return extent;
}

std::vector<std::string> Segments(test::ForgetfulDisk& disk) {
  std::vector<std::string> segments;
  const auto names = disk.List();
  for (const std::string& name : *names) {
    if (!absl::EndsWith(name, ".tmp")) segments.push_back(name);
  }
  return segments;
}

}  // namespace

Damage DamageSomething(test::ForgetfulDisk& disk, Random& random) {
  Damage damage;
  const std::vector<std::string> segments = Segments(disk);
  if (segments.empty()) return damage;
  const size_t place = segments.size() - 1 - random.Below(std::min<size_t>(segments.size(), 3));
  damage.file = segments[place];
  const std::string contents = disk.Contents(damage.file);
  const Extent extent = ExtentOf(contents);
  const bool newest = place + 1 == segments.size();
  if (contents.empty()) return {};
  // Mostly where there is something to lose.
  const uint64_t limit = random.OneIn(8) || extent.end == 0 ? contents.size() : extent.end;
  const uint64_t byte = random.Below(limit);
  switch (random.Below(4)) {
    case 0:
      damage.what = "zeroed sector";
      disk.Overwrite(damage.file, byte / kSectorBytes * kSectorBytes,
                     std::string(kSectorBytes, '\0'));
      damage.undecidable = newest && (byte / kSectorBytes + 1) * kSectorBytes > extent.last_frame;
      break;
    case 1:
      damage.what = "truncated file";
      disk.Truncate(damage.file, byte);
      damage.undecidable = newest;
      break;
    case 2:
      if (random.OneIn(3)) {
        damage.what = "erased file";
        disk.Erase(damage.file);
        damage.erased = true;
        damage.undecidable = newest;
        break;
      }
      [[fallthrough]];
    default:
      damage.what = "flipped bit";
      disk.FlipBit(damage.file, byte, static_cast<int>(random.Below(8)));
      damage.undecidable = newest && byte >= extent.last_frame;
      break;
  }
  absl::StrAppend(&damage.what, " at ", byte, " of ", extent.end, newest ? ", newest" : "");
  return damage;
}

}  // namespace holdfast::sim
