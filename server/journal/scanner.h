// Finds the frames of one segment, one after another, whatever its bytes are. Recovery and readers
// see a segment through this and so agree on what is whole.
//
// Time is linear in the segment and memory bounded by the largest frame: where a frame's header is
// whole its length is believed, even if its payload is damaged; where there is none, the search
// goes on at the next block.

#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "server/disk/disk.h"
#include "server/journal/format.h"
#include "server/journal/segment.h"

namespace holdfast::journal {

inline constexpr uint64_t kAllLanes = ~uint64_t{0};

// Not thread-safe.
class FrameScanner {
 public:
  enum class Found {
    kFrame,   // header() and payload() tell which.
    kDamage,  // damage() tells where; a frame or the end follows.
    kEnd,     // Nothing more begins before the end.
  };
  // What to do when the disk cannot read: hand on its error and stay where we are, or take the
  // place for damaged and remember it in unreadable().
  enum class ReadErrors { kReturn, kAreDamage };

  struct Damage {
    ByteRange bytes;
    uint64_t written_end = 0;  // Behind this it is all zeros.
    bool unreadable = false;   // Some of it could not be read.
    std::string reason;        // Of the first byte.
  };

  // `file` must outlive the scanner. Places in `unreadable` are not read again. A frame, or
  // damage, begins at `position`.
  FrameScanner(disk::File& file, uint64_t salt, ReadErrors read_errors,
               std::vector<ByteRange> unreadable = {}, uint64_t position = kFramesBegin);

  // Looks for what comes next before byte `end`. Of frames that hold none of `lanes` (bit n: lane
  // n) the payload is neither read nor checked, and payload() is empty; those without events are
  // always read if `lanes` is kAllLanes. Fails only with ReadErrors::kReturn; the next call tries
  // the same place.
  absl::StatusOr<Found> Next(uint64_t end, uint64_t lanes);

  const FrameHeader& header() const { return header_; }
  absl::string_view payload() const { return payload_; }  // Valid until the next call of Next.
  const Damage& damage() const { return damage_; }
  const std::vector<ByteRange>& unreadable() const { return unreadable_; }
  // Where the next call goes on.
  uint64_t position() const { return position_; }

 private:
  // Looks at `at`. OK: header_ and payload_ are set. DATA_LOSS: no whole frame; *next is where to
  // look next. Otherwise the disk's error.
  absl::Status TryFrame(uint64_t at, uint64_t end, uint64_t lanes, uint64_t* next);
  absl::StatusOr<absl::string_view> Fetch(uint64_t at, uint64_t length, uint64_t end);
  const ByteRange* UnreadableAt(uint64_t at) const;
  void NoteDamage(uint64_t at, uint64_t next, bool unreadable, const absl::Status& why);

  disk::File& file_;
  const uint64_t salt_;
  const ReadErrors read_errors_;
  std::vector<ByteRange> unreadable_;
  uint64_t position_;
  FrameHeader header_;
  absl::string_view payload_;
  Damage damage_;
  std::string window_;  // What was read last, from window_begin_.
  uint64_t window_begin_ = 0;
};

}  // namespace holdfast::journal
