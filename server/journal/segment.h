// Segments as files: their names, how a blank one is made, what the journal knows of each.

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

#include "server/disk/disk.h"
#include "server/journal/format.h"
#include "server/journal/journal.h"

namespace holdfast::journal {

// Bytes [begin, end) of a file.
struct ByteRange {
  uint64_t begin = 0;
  uint64_t end = 0;
};

// A segment that holds frames.
struct Segment {
  uint64_t id = 0;
  std::string name;
  uint64_t salt = 0;
  uint64_t file_bytes = 0;
  uint64_t first_offset = 0;         // The lowest that it may hold.
  uint64_t end_byte = kFramesBegin;  // Durable up to here.
  uint64_t end_offset = 0;           // One past the last durable offset, here or before.
  LanePositions heads{};             // Of each lane, the last ordinal here or before.
  bool holds_events = false;
  bool sealed = true;                     // Nothing is written to it any more.
  bool condemned = false;                 // About to be deleted: no reader may enter.
  std::vector<ByteRange> unreadable;      // Recovery could not read these: readers step over them.
  std::optional<absl::Time> released_at;  // Steady time.
};

// "000000000000002a.jnl".
std::string SegmentName(uint64_t id);
// The same with another ending.
std::string BlankName(uint64_t id);
// The number in such a name; nullopt for names that are not ours.
std::optional<uint64_t> ParseSegmentName(absl::string_view name);
// Also those that were never put into use, or set aside: "000000000000002a.<anything>".
std::optional<uint64_t> ParseAnyName(absl::string_view name);

inline constexpr absl::string_view kSegmentEnding = ".jnl";
inline constexpr absl::string_view kBlankEnding = ".tmp";
inline constexpr absl::string_view kCorruptEnding = ".corrupt";

// A file of zeros that is durable, under a name that recovery throws away. To write into it
// allocates nothing, so that its fdatasync has no filesystem journal to wait for and cannot run out
// of space.
struct Blank {
  uint64_t id = 0;
  uint64_t file_bytes = 0;
  std::unique_ptr<disk::File> file;
};

// Makes one. On failure (RESOURCE_EXHAUSTED: no space) removes what it had begun.
// REQUIRES: `file_bytes` is a multiple of kBlockBytes.
absl::StatusOr<Blank> MakeBlank(disk::Disk& disk, uint64_t id, uint64_t file_bytes);

}  // namespace holdfast::journal
