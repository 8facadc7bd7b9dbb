#include "server/journal/segment.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

#include "server/base/log.h"
#include "server/base/status_macros.h"
#include "server/disk/buffer.h"

namespace holdfast::journal {
namespace {

constexpr size_t kIdDigits = 16;
// Zeros are written and synced so many at a time: a larger burst would make the group commits that
// go on beside it wait in the device's queue.
constexpr uint64_t kZeroBytes = uint64_t{1} << 20;

std::string Name(uint64_t id, absl::string_view ending) {
  return absl::StrCat(absl::Hex(id, absl::kZeroPad16), ending);
}

absl::Status FillWithZeros(disk::File& file, uint64_t file_bytes) {
  const disk::Buffer zeros(std::min(file_bytes, kZeroBytes), '\0');
  for (uint64_t at = 0; at < file_bytes; at += zeros.size()) {
    const size_t length = std::min<uint64_t>(zeros.size(), file_bytes - at);
    HOLDFAST_RETURN_IF_ERROR(file.Write(at, absl::string_view(zeros).substr(0, length)));
    HOLDFAST_RETURN_IF_ERROR(file.Sync());
  }
  return absl::OkStatus();
}

}  // namespace

std::string SegmentName(uint64_t id) { return Name(id, kSegmentEnding); }

std::string BlankName(uint64_t id) { return Name(id, kBlankEnding); }

std::optional<uint64_t> ParseAnyName(absl::string_view name) {
  if (name.size() <= kIdDigits || name[kIdDigits] != '.') return std::nullopt;
  const absl::string_view digits = name.substr(0, kIdDigits);
  uint64_t id = 0;
  if (!absl::SimpleHexAtoi(digits, &id)) return std::nullopt;
  // Only what we would have written ourselves: lower case, no sign, in range.
  if (id == 0 || id > kNumberMax || Name(id, "") != digits) return std::nullopt;
  return id;
}

std::optional<uint64_t> ParseSegmentName(absl::string_view name) {
  if (name.size() != kIdDigits + kSegmentEnding.size() || !absl::EndsWith(name, kSegmentEnding)) {
    return std::nullopt;
  }
  return ParseAnyName(name);
}

absl::StatusOr<Blank> MakeBlank(disk::Disk& disk, uint64_t id, uint64_t file_bytes) {
  const std::string name = BlankName(id);
  Blank blank{.id = id, .file_bytes = file_bytes, .file = nullptr};
  HOLDFAST_ASSIGN_OR_RETURN(blank.file, disk.Create(name));
  const absl::Status filled = FillWithZeros(*blank.file, file_bytes);
  if (filled.ok()) return blank;
  blank.file = nullptr;
  const absl::Status removed = disk.Remove(name);
  if (!removed.ok()) {
    base::LogWarning("cannot remove an unfinished journal segment; the next start will",
                     {{"file", name}, {"error", removed}});
  }
  return filled;
}

}  // namespace holdfast::journal
