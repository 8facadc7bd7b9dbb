// Recovery's first look at the folder: which files are segments of this journal, and what their
// headers say.

#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

#include "server/disk/disk.h"
#include "server/event/event_id.h"
#include "server/journal/format.h"
#include "server/journal/segment.h"

namespace holdfast::journal {

// A segment file.
struct Candidate {
  uint64_t id = 0;
  std::string name;
  uint64_t size = 0;
  // False: both copies are damaged, and `header` holds only the salt, which its frames gave away.
  bool header_whole = false;
  SegmentHeader header;
  std::vector<std::pair<ByteRange, std::string>> damage;  // Copies of the header, and why.
  // Nothing in it can be used; it has been renamed to *.corrupt.
  bool set_aside = false;
  std::string reason;
};

struct Found {
  event::Id journal_id;  // Nil: no header is whole.
  uint64_t next_segment_id = 1;
  std::vector<Candidate> candidates;  // By number.
};

// Errors as Recover's.
absl::StatusOr<Found> FindCandidates(disk::Disk& disk);

}  // namespace holdfast::journal
