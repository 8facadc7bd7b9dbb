#include "server/journal/candidate.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "server/base/status_macros.h"

namespace holdfast::journal {
namespace {

// Without a header the salt is in the frames; each vouches for itself.
std::optional<uint64_t> SaltFromFrames(disk::File& file, uint64_t file_bytes) {
  std::string block;
  for (uint64_t at = kFramesBegin; at < file_bytes; at += kBlockBytes) {
    if (!file.Read(at, kFrameHeaderBytes, &block).ok()) continue;
    const absl::StatusOr<FrameHeader> header = DecodeFrameHeader(block, at);
    if (header.ok()) return header->salt;
  }
  return std::nullopt;
}

// Fills in everything but the verdict whose journal it is.
absl::Status Look(disk::File& file, Candidate* candidate) {
  HOLDFAST_ASSIGN_OR_RETURN(candidate->size, file.Size());
  std::optional<SegmentHeader> foreign;
  for (uint64_t at = 0; at < kFramesBegin; at += kBlockBytes) {
    std::string block;
    const absl::Status read = file.Read(at, kBlockBytes, &block);
    const absl::StatusOr<SegmentHeader> header =
        read.ok() ? DecodeSegmentHeader(block)
                  : absl::StatusOr<SegmentHeader>(absl::DataLossError(read.message()));
    std::string damage(header.status().message());
    if (absl::IsFailedPrecondition(header.status())) {
      return absl::FailedPreconditionError(
          absl::StrCat(damage, "; start the newer program, or move it away"));
    }
    if (header.ok() && header->segment_id == candidate->id) {
      candidate->header_whole = true;
      candidate->header = *header;
      continue;
    }
    // The block may have been written to the wrong file: that is no reason to doubt the rest.
    if (header.ok()) {
      foreign = *header;
      damage = absl::StrCat("the header of segment ", header->segment_id, " is here");
    }
    candidate->damage.push_back({{at, at + kBlockBytes}, std::move(damage)});
  }
  if (candidate->header_whole) return absl::OkStatus();
  const std::optional<uint64_t> salt =
      SaltFromFrames(file, std::min(candidate->size, 2 * kSegmentBytesMax));
  candidate->header.salt = salt.value_or(0);
  candidate->set_aside = !salt.has_value() || (foreign.has_value() && foreign->salt == *salt);
  candidate->reason = foreign.has_value()
                          ? absl::StrCat("the file holds segment ", foreign->segment_id)
                          : "no header and no frame in it is whole";
  return absl::OkStatus();
}

// The one that most segments name; of equals the one that the newest names.
event::Id JournalOf(const std::vector<Candidate>& candidates) {
  std::map<event::Id, int> votes;
  event::Id elected;
  for (const Candidate& candidate : candidates) {
    if (!candidate.header_whole || candidate.set_aside) continue;
    if (++votes[candidate.header.journal_id] >= votes[elected]) {
      elected = candidate.header.journal_id;
    }
  }
  return elected;
}

// Renames the file to the first free of *.corrupt, *.corrupt.1, ...
absl::Status SetAside(disk::Disk& disk, const std::vector<std::string>& names,
                      const Candidate& candidate) {
  const std::string base = candidate.name.substr(0, candidate.name.size() - kSegmentEnding.size());
  std::string target = absl::StrCat(base, kCorruptEnding);
  for (int i = 1; std::find(names.begin(), names.end(), target) != names.end(); ++i) {
    target = absl::StrCat(base, kCorruptEnding, ".", i);
  }
  HOLDFAST_RETURN_IF_ERROR(disk.Rename(candidate.name, target));
  return disk.SyncFolder();
}

}  // namespace

absl::StatusOr<Found> FindCandidates(disk::Disk& disk) {
  HOLDFAST_ASSIGN_OR_RETURN(const std::vector<std::string> names, disk.List());
  Found found;
  for (const std::string& name : names) {
    const std::optional<uint64_t> any = ParseAnyName(name);
    if (!any.has_value()) continue;
    // What came after it would have a number that no start takes for one of ours.
    if (*any + 1 >= kNumberMax) {
      return absl::FailedPreconditionError(
          absl::StrCat(disk.path(), "/", name,
                       " has the last number that a segment can have, and no journal gets there; "
                       "find out what it is and move it away"));
    }
    found.next_segment_id = std::max(found.next_segment_id, *any + 1);
    if (absl::EndsWith(name, kBlankEnding)) {
      HOLDFAST_RETURN_IF_ERROR(disk.Remove(name));
    } else if (ParseSegmentName(name).has_value()) {
      Candidate candidate;
      candidate.id = *any;
      candidate.name = name;
      HOLDFAST_ASSIGN_OR_RETURN(const std::unique_ptr<disk::File> file, disk.Open(name));
      const absl::Status looked = Look(*file, &candidate);
      if (!looked.ok()) {
        return absl::Status(looked.code(),
                            absl::StrCat(disk.path(), "/", name, ": ", looked.message()));
      }
      found.candidates.push_back(std::move(candidate));
    }
  }
  found.journal_id = JournalOf(found.candidates);
  for (Candidate& candidate : found.candidates) {
    if (candidate.header_whole && !candidate.set_aside &&
        candidate.header.journal_id != found.journal_id) {
      candidate.set_aside = true;
      candidate.reason = "the file belongs to another journal";
    }
    if (candidate.set_aside) HOLDFAST_RETURN_IF_ERROR(SetAside(disk, names, candidate));
  }
  return found;
}

}  // namespace holdfast::journal
