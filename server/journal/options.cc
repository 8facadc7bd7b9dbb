// JournalOptions: what is allowed, and what follows from it.

#include "server/journal/options.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

#include "server/base/status_macros.h"
#include "server/journal/format.h"

namespace holdfast::journal {
namespace {

constexpr uint64_t kSegmentBytesMin = uint64_t{64} << 10;
constexpr uint64_t kGroupBytesMin = uint64_t{1} << 10;
constexpr uint64_t kBatchBytesMax = uint64_t{8} << 20;
constexpr size_t kProducersLimit = 100000;

absl::Status InRange(absl::string_view field, uint64_t value, uint64_t min, uint64_t max) {
  if (value >= min && value <= max) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("journal ", field, " is ", value, "; must be from ", min, " to ", max));
}

uint64_t StateBytesMax(const JournalOptions& options) {
  return AlignToBlock(kFrameHeaderBytes + LanesRecordBytesMax() +
                      ProducersRecordBytes(options.producers_max));
}

}  // namespace

absl::Status JournalOptions::Validate() const {
  HOLDFAST_RETURN_IF_ERROR(
      InRange("segment_bytes", segment_bytes, kSegmentBytesMin, kSegmentBytesMax));
  if (segment_bytes % kBlockBytes != 0) {
    return absl::InvalidArgumentError(absl::StrCat("journal segment_bytes is ", segment_bytes,
                                                   "; must be a multiple of ", kBlockBytes));
  }
  HOLDFAST_RETURN_IF_ERROR(InRange("bytes_max", bytes_max, 4 * segment_bytes, kNumberMax));
  HOLDFAST_RETURN_IF_ERROR(
      InRange("group_bytes_max", group_bytes_max, kGroupBytesMin, kBatchBytesMax));
  HOLDFAST_RETURN_IF_ERROR(
      InRange("queue_bytes_max", queue_bytes_max, group_bytes_max, uint64_t{1} << 30));
  HOLDFAST_RETURN_IF_ERROR(InRange("producers_max", producers_max, 1, kProducersLimit));
  if (StateBytesMax(*this) > segment_bytes / 4) {
    return absl::InvalidArgumentError(
        absl::StrCat("journal producers_max is ", producers_max,
                     "; so many take more than a quarter of a segment of ", segment_bytes,
                     " bytes: lower it or raise segment_bytes"));
  }
  if (retention < absl::ZeroDuration()) {
    return absl::InvalidArgumentError("journal retention is negative; 0 keeps nothing");
  }
  if (idle_marker_after <= absl::ZeroDuration() || idle_marker_after == absl::InfiniteDuration()) {
    return absl::InvalidArgumentError("journal idle_marker_after must be above 0 and finite");
  }
  return absl::OkStatus();
}

uint64_t RecordBytesMax(const JournalOptions& options) {
  const uint64_t room = options.segment_bytes - kFramesBegin - StateBytesMax(options);
  return std::min(kBatchBytesMax, room / 2);
}

uint64_t GroupBytesMax(const JournalOptions& options) {
  return std::min(options.group_bytes_max, RecordBytesMax(options));
}

uint64_t FirstSegmentBytes(const JournalOptions& options, uint64_t tail_bytes) {
  const uint64_t least =
      kFramesBegin + StateBytesMax(options) + MarkerBytesMax() +
      AlignToBlock(kFrameHeaderBytes + LanesRecordBytesMax() + RecordBytesMax(options));
  return tail_bytes + std::max(least, AlignToBlock(options.segment_bytes / 4));
}

}  // namespace holdfast::journal
