// A journal's folder, made by an input: segments as the journal would have written them, then what
// disks, hands and enemies do to files. Everything comes from the input's bytes; where they end, so
// does the making.

#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

#include "server/journal/format.h"
#include "tests/support/forgetful_disk.h"

namespace holdfast::fuzz {

// Of a segment's header, with its checksum.
inline constexpr size_t kSegmentHeaderBytes = 120;

// Puts the checksums right of a header or a frame that begins at `at`. Does nothing where there is
// no room for one.
void RepairSegmentHeader(std::string* file, size_t at);
void RepairFrame(std::string* file, size_t at);

// Whole blocks out of few bytes: a length (16 bits), so many bytes, zeros up to the next block.
std::string Inflate(absl::string_view packed);

class Folder {
 public:
  struct Event {
    uint64_t offset = 0;
    event::Lane lane = 0;
    uint64_t ordinal = 0;
    std::string bytes;
  };

  // A frame as it was written.
  struct Frame {
    std::string file;
    uint64_t begin = 0;
    uint64_t end = 0;
    uint64_t proves = 0;  // The offset that it says was durable before it.
    std::vector<Event> events;
  };

  explicit Folder(absl::string_view input);

  test::ForgetfulDisk& disk() { return disk_; }
  const std::map<std::string, std::string>& files() const { return files_; }

  // Whether all that happened to the folder is what happens to honest files: bits and blocks that
  // are lost or misdirected, ends that are cut off. Otherwise somebody wrote into it who knows how
  // to make a checksum, or took files away.
  bool honest() const { return honest_; }
  const std::vector<Frame>& frames() const { return frames_; }
  bool IsIntact(const std::string& file, uint64_t begin, uint64_t end) const;
  // The last offset that something still intact proves to have been durable.
  uint64_t ProvenOffset() const;

 private:
  void AddSegment();
  void AddFrame(std::string* file, const std::string& name, uint64_t salt);
  void AddGroupTo(journal::FrameBuilder* builder, Frame* frame, journal::FrameHeader* header);
  void AddStrangeFile();
  void Damage(uint8_t how);
  // Changes a few bytes of a header or frame and repairs what vouches for them.
  void Forge(std::string* file, size_t begin, bool is_frame);
  std::string PickFile();
  uint64_t PickByte(const std::string& file);

  journal::ByteCursor in_;
  test::ForgetfulDisk disk_;
  std::map<std::string, std::string> files_;      // As they are now.
  std::map<std::string, std::string> originals_;  // As they were written.
  std::map<std::string, std::vector<std::pair<uint64_t, uint64_t>>> unreadable_;
  std::vector<Frame> frames_;
  std::vector<Frame> headers_;  // Of segments; what they prove.
  bool honest_ = true;

  event::Id journal_id_;
  uint64_t next_id_ = 1;
  uint64_t end_offset_ = 1;
  journal::LanePositions heads_{};
  uint64_t last_sequence_ = 0;
  uint64_t previous_id_ = 0;
  uint64_t previous_end_byte_ = 0;
  uint64_t chain_ = 0;
  uint64_t next_number_ = 0;
};

}  // namespace holdfast::fuzz
