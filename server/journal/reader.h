// Reads one lane back: across segments, past what holds nothing of the lane, up to what is durable.

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "server/disk/disk.h"
#include "server/journal/catalog.h"
#include "server/journal/journal.h"
#include "server/journal/scanner.h"
#include "server/journal/segment.h"

namespace holdfast::journal {

// Not thread-safe. Memory: one frame, and what one call returns.
class LaneReader final : public Reader {
 public:
  LaneReader(disk::Disk& disk, Catalog& catalog, event::Lane lane, uint64_t after_ordinal)
      : disk_(disk), catalog_(catalog), lane_(lane), last_ordinal_(after_ordinal) {}

  absl::StatusOr<std::vector<Record>> NextUpTo(uint64_t last, size_t bytes_max) override;
  uint64_t read_through() const override { return read_through_; }

 private:
  enum class Step { kGoOn, kEnd };

  // To the next frame of the segment, or to the next segment.
  absl::StatusOr<Step> NextFrame();
  absl::StatusOr<Step> NextSegment();
  // Opens its segment and makes it the one at hand. UNAVAILABLE: nothing has changed.
  absl::Status Enter(Place place);
  void OnFrame(const FrameHeader& header);
  // Takes what is left of the frame at hand. False if `last` or `bytes_max` was reached first.
  bool TakeItems(uint64_t last, size_t bytes_max);
  void Take(const BatchCursor::Item& item, uint64_t offset);
  // What follows the damaged place begins with this offset.
  void CloseGap(uint64_t first_offset);
  std::vector<Record> Found();

  disk::Disk& disk_;
  Catalog& catalog_;
  const event::Lane lane_;
  uint64_t last_ordinal_;  // Of what was returned.
  uint64_t read_through_ = 0;

  Segment segment_;  // As of the last look; id 0: none yet.
  std::unique_ptr<disk::File> file_;
  std::optional<FrameScanner> scanner_;
  uint64_t expected_ = 0;                       // The next offset in the segment.
  std::optional<FrameScanner::Damage> damage_;  // Not reported yet: its loss shows in what follows.

  bool in_frame_ = false;  // The scanner's payload is not used up: these stand in it.
  RecordCursor records_;
  bool in_batch_ = false;
  BatchCursor batch_;
  uint64_t item_offset_ = 0;  // Of the item that comes next.

  // What this call returns: bytes in data_, to which the records' views are set at its end.
  std::vector<Record> found_;
  std::vector<size_t> found_begin_;
  std::string data_;
  uint64_t scanned_bytes_ = 0;
};

}  // namespace holdfast::journal
