// Writes segments: turns groups into frames and makes them durable. One thread's work, without
// locks; the journal's writing thread owns it.
//
// A frame is one write and one fdatasync. After anything has failed the object must not be used
// again
//  (the page cache lies after a failed sync).

#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/types/span.h"

#include "server/base/clock.h"
#include "server/disk/buffer.h"
#include "server/disk/disk.h"
#include "server/journal/format.h"
#include "server/journal/journal.h"
#include "server/journal/producers.h"
#include "server/journal/recovery.h"
#include "server/journal/segment.h"
#include "server/metrics/metrics.h"

namespace holdfast::journal {

// A batch on its way to the disk.
struct Entry {
  std::shared_ptr<const event::Batch> batch;
  size_t first_new_item = 0;  // Those before it are held already.
  size_t record_bytes = 0;    // In a frame; 0: nothing of it is to be written.
  std::string trace_field;    // To stand behind its first event, part of those; empty: none.
};

// Not thread-safe.
class Appender {
 public:
  // Goes on where `recovered` ends; `tail` is its tail. It has no segment before the first Begin.
  Appender(const Recovered& recovered, RecoveredTail tail, size_t producers_max, disk::Disk& disk,
           base::Clock& clock, metrics::Metrics& metrics);

  // What is to stand behind item `first_new_item` of `batch`: empty, or a trace field.
  static std::string TraceFieldFor(const event::Batch& batch, size_t first_new_item);

  // The bytes that `batch` would take in a frame, beginning with item `first_new_item`, without a
  // trace field.
  static size_t RecordBytes(const event::Batch& batch, size_t first_new_item);

  // Whether a frame with so many bytes of batch records fits into the segment. False without one.
  bool Fits(size_t record_bytes) const;

  // Puts a blank into use as the next segment: header, state, and in the first one the frame that
  // recovery could not prove durable; sync; its name; sync of the folder. Returns its description.
  absl::StatusOr<Segment> Begin(Blank blank);

  // Makes the frame that recovery could not prove durable so, where it is: for a start without room
  // for a segment. What was read from the page cache counts as held, so it must not be lost later.
  absl::Status KeepTailInPlace() const;

  // Writes one group and syncs it, and says in `durable` what each entry has become. `numbered` is
  // called before anything is written, when `durable` says what they are about to become.
  // REQUIRES: some entry has bytes to write, and they fit.
  absl::Status Commit(absl::Span<const Entry> entries, std::vector<Durable>* durable,
                      absl::FunctionRef<void()> numbered);

  // The same for a group of which nothing is to be written: all was durable before.
  void Acknowledge(absl::Span<const Entry> entries, std::vector<Durable>* durable) const;

  // Writes a frame without events, which proves the last group durable. Room for it was left.
  // REQUIRES: `unproven`.
  absl::Status Mark();

  // The last group is not proven durable by anything behind it.
  bool unproven() const { return unproven_; }
  uint64_t end_byte() const { return end_byte_; }
  uint64_t end_offset() const { return end_offset_; }
  const LanePositions& heads() const { return heads_; }

 private:
  FrameHeader NextHeader(FrameKind kind) const;
  SegmentHeader DescribeNext(const Blank& blank) const;
  // Completes a frame in `buffer_` and moves on behind it.
  void FinishFrame(FrameBuilder& frame, const FrameHeader& header);
  // Completes the frame, which is all that `buffer_` holds, writes and syncs it.
  absl::Status WriteFrame(FrameBuilder& frame, const FrameHeader& header);
  void AddBatch(FrameBuilder& frame, const Entry& entry, Durable* durable, LanePositions* heads,
                uint64_t* end_offset) const;
  void Remember(absl::Span<const Durable> durable);

  disk::Disk& disk_;
  base::Clock& clock_;
  metrics::Metrics& metrics_;

  const event::Id journal_id_;
  uint64_t end_offset_;  // The next offset to be given.
  LanePositions heads_;
  ProducerTable producers_;  // What is durable, never what only waits.
  RecoveredTail tail_;       // Until the first Begin.
  uint64_t previous_id_;     // Of the segment before the next one.
  uint64_t previous_unproven_byte_;

  std::unique_ptr<disk::File> file_;  // The segment, if there is one.
  uint64_t salt_ = 0;
  uint64_t file_bytes_ = 0;
  uint64_t end_byte_ = 0;  // Also of the segment before the first Begin.
  uint64_t chain_ = 0;
  uint64_t next_number_ = 0;
  bool unproven_ = false;
  disk::Buffer buffer_;
};

}  // namespace holdfast::journal
