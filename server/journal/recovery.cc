#include "server/journal/recovery.h"

#include <algorithm>
#include <memory>

#include "absl/strings/str_cat.h"

#include "server/base/log.h"
#include "server/base/seeded_bug.h"
#include "server/base/status_macros.h"
#include "server/journal/candidate.h"
#include "server/journal/producers.h"
#include "server/journal/scanner.h"

namespace holdfast::journal {
namespace {

// A damaged place whose loss is not known yet: it shows in what comes next and is whole.
struct Pending {
  uint64_t segment_id = 0;
  std::string segment;
  ByteRange bytes;
  std::string reason;
  bool proven = true;       // False: of no account, unless events turn out to be missing.
  bool whole_file = false;  // Nothing of the segment could be used.
};

// Walks all segments in order. What a frame says of the time before it closes the gap before it.
class Recovery {
 public:
  Recovery(disk::Disk& disk, size_t producers_max, Witness* witness)
      : disk_(disk), witness_(witness), producers_(producers_max) {}

  absl::StatusOr<Recovered> Run();

 private:
  absl::Status Scan(const Candidate& candidate, const Candidate* next);
  void OnHeader(const Candidate& candidate);
  void OnFrame(const FrameScanner& scanner, const Candidate& candidate, Segment* segment);
  void OnDamage(const FrameScanner::Damage& damage, const Candidate& candidate,
                const SegmentHeader* next, uint64_t end);
  bool Apply(const FrameScanner& scanner, bool first_in_segment);
  bool ApplyBatch(absl::string_view body, uint64_t* offset);
  void Raise(const LanePositions& before, bool first_in_segment);
  void CloseGap(uint64_t first_offset);
  void Report(const Pending& damage, uint64_t first_offset, uint64_t end_offset);
  absl::Status KeepTail();

  disk::Disk& disk_;
  Witness* const witness_;  // Or nullptr.
  ProducerTable producers_;
  Recovered out_;
  std::vector<Pending> pending_;
  Pending place_;          // The end of the last whole frame.
  std::string tail_file_;  // Where out_.tail is.
  uint64_t expected_ = 0;  // The next offset that a frame should hold; 0: nothing was seen yet.
  uint64_t proven_ = 0;    // The last offset that something says was durable.
  uint64_t chain_ = 0;     // The link that the next frame must carry; 0: not known.
};

absl::StatusOr<Recovered> Recovery::Run() {
  HOLDFAST_ASSIGN_OR_RETURN(const Found found, FindCandidates(disk_));
  out_.next_segment_id = found.next_segment_id;
  out_.journal_id = found.journal_id;
  for (size_t i = 0; i < found.candidates.size(); ++i) {
    const Candidate* next = i + 1 < found.candidates.size() ? &found.candidates[i + 1] : nullptr;
    HOLDFAST_RETURN_IF_ERROR(Scan(found.candidates[i], next));
  }
  CloseGap(std::max(expected_, proven_ + 1));
  HOLDFAST_RETURN_IF_ERROR(KeepTail());
  out_.end_offset = expected_;
  out_.producers = producers_.InOrder();
  return std::move(out_);
}

absl::Status Recovery::Scan(const Candidate& candidate, const Candidate* next) {
  if (candidate.set_aside) {
    if (witness_ != nullptr) witness_->OnSegment(candidate, 0);
    pending_.push_back({candidate.id,
                        candidate.name,
                        {0, candidate.size},
                        candidate.reason,
                        /*proven=*/true,
                        /*whole_file=*/true});
    return absl::OkStatus();
  }
  OnHeader(candidate);
  place_ = {candidate.id, candidate.name, {kFramesBegin, kFramesBegin}, "frames are missing"};
  out_.previous_unproven_byte = 0;
  HOLDFAST_ASSIGN_OR_RETURN(const std::unique_ptr<disk::File> file, disk_.Open(candidate.name));
  Segment segment;
  segment.id = candidate.id;
  segment.name = candidate.name;
  segment.salt = candidate.header.salt;
  segment.file_bytes = candidate.size;
  segment.first_offset = candidate.header.first_offset;

  // The header behind says where this segment ended. What it does not count was dropped by an
  // earlier recovery and must never come back: its offsets have been given to others.
  const bool linked =
      next != nullptr && next->header_whole && next->header.previous_id == candidate.id;
  const SegmentHeader* const behind = linked ? &next->header : nullptr;
  const uint64_t end =
      std::min(2 * kSegmentBytesMax, linked ? behind->previous_end_byte : candidate.size);
  if (witness_ != nullptr) witness_->OnSegment(candidate, end);
  FrameScanner scanner(*file, segment.salt, FrameScanner::ReadErrors::kAreDamage);
  while (true) {
    HOLDFAST_ASSIGN_OR_RETURN(const FrameScanner::Found found, scanner.Next(end, kAllLanes));
    if (found == FrameScanner::Found::kEnd) break;
    if (found == FrameScanner::Found::kFrame) {
      OnFrame(scanner, candidate, &segment);
    } else {
      if (HOLDFAST_SEEDED_BUG(kRecoveryStopsAtDamage)) break;
      OnDamage(scanner.damage(), candidate, behind, end);
    }
  }
  if (next == nullptr && candidate.header_whole && candidate.size < candidate.header.file_bytes) {
    // It had its full length before its first frame, so no crash made it shorter; and there is no
    // segment behind it whose header would tell what is missing.
    pending_.push_back({candidate.id,
                        candidate.name,
                        {candidate.size, candidate.header.file_bytes},
                        "the end of the file was cut off, and with it whatever stood there",
                        /*proven=*/true});
  }
  segment.unreadable = scanner.unreadable();
  out_.previous_id = segment.id;
  out_.previous_end_byte = segment.end_byte;
  out_.previous_chain = chain_;
  out_.segments.push_back(std::move(segment));
  return absl::OkStatus();
}

void Recovery::OnHeader(const Candidate& candidate) {
  const uint64_t chain = std::exchange(chain_, 0);
  for (const auto& [bytes, reason] : candidate.damage) {
    pending_.push_back({candidate.id, candidate.name, bytes, reason});
  }
  if (!candidate.header_whole) return;
  const SegmentHeader& header = candidate.header;
  if (out_.previous_id != 0 && header.previous_id > out_.previous_id) {
    pending_.push_back({header.previous_id,
                        SegmentName(header.previous_id),
                        {0, 0},
                        "the segment is missing",
                        /*proven=*/false});
  } else if (header.previous_id == out_.previous_id && chain != 0 && header.previous_chain != 0 &&
             header.previous_chain != chain) {
    pending_.push_back(
        {candidate.id, candidate.name, {0, 0}, "the segment does not follow the one before it"});
  }
  CloseGap(header.first_offset);
  proven_ = std::max(proven_, header.born_offset);
  chain_ = header.checksum;
  out_.tail.present = false;
}

void Recovery::OnFrame(const FrameScanner& scanner, const Candidate& candidate, Segment* segment) {
  const FrameHeader& header = scanner.header();
  const Pending place{candidate.id, candidate.name, {header.position, scanner.position()}, ""};
  if (chain_ != 0 && header.chain != chain_) {
    Pending broken = place;
    broken.bytes.end = broken.bytes.begin;
    broken.reason = "the frame does not follow the one before it";
    pending_.push_back(std::move(broken));
  }
  chain_ = header.checksum;
  const bool first_in_segment = segment->end_byte == kFramesBegin;
  if (!Apply(scanner, first_in_segment)) {
    pending_.push_back(place);
    pending_.back().reason = "a frame is whole but makes no sense";
    return;
  }
  if (witness_ != nullptr) witness_->OnFrame(header, scanner.payload(), scanner.position());
  // A state frame counts what was known when it was written, the copied frame behind it included:
  // of where that one begins, the segment's header speaks.
  if (header.kind != FrameKind::kState) CloseGap(header.first_offset);
  if (header.kind == FrameKind::kGroup) expected_ = std::max(expected_, header.end_offset());
  proven_ = std::max(proven_, std::min(header.durable_offset, header.first_offset - 1));

  if (segment->first_offset == 0) segment->first_offset = header.first_offset;
  segment->end_byte = scanner.position();
  segment->end_offset = std::max(segment->end_offset, header.end_offset());
  segment->heads = out_.heads;
  segment->holds_events |= header.event_count > 0;
  place_.bytes = {segment->end_byte, segment->end_byte};
  tail_file_ = candidate.name;
  const bool unproven = header.position >= candidate.header.born_bytes &&
                        !HOLDFAST_SEEDED_BUG(kUnprovenTailIsTrusted);
  out_.previous_unproven_byte = unproven ? header.position : 0;
  out_.tail.present = unproven && header.kind == FrameKind::kGroup;
  out_.tail.header = header;
}

void Recovery::OnDamage(const FrameScanner::Damage& damage, const Candidate& candidate,
                        const SegmentHeader* next, uint64_t end) {
  chain_ = 0;
  Pending pending{candidate.id, candidate.name, damage.bytes, damage.reason};
  if (damage.bytes.end == end && next == nullptr) {
    if (damage.written_end == damage.bytes.begin) return;  // Room that was never used.
    pending.bytes.end = damage.written_end;
    pending.proven = damage.unreadable || damage.bytes.begin < candidate.header.born_bytes;
  } else if (next != nullptr && next->previous_unproven_byte != 0) {
    pending.proven = damage.bytes.begin < next->previous_unproven_byte;
  }
  pending_.push_back(std::move(pending));
}

bool Recovery::Apply(const FrameScanner& scanner, bool first_in_segment) {
  uint64_t offset = scanner.header().first_offset;
  RecordCursor records(scanner.payload());
  while (records.Next()) {
    if (records.type() == RecordType::kLanes) {
      LanePositions before;
      if (!DecodeLanes(records.body(), &before)) return false;
      Raise(before, first_in_segment);
    } else if (records.type() == RecordType::kProducers) {
      std::vector<ProducerState> producers;
      if (!DecodeProducers(records.body(), &producers)) return false;
      for (const ProducerState& state : producers) {
        producers_.Advance(state.producer, state.last_sequence, state.last_offset);
      }
    } else if (!ApplyBatch(records.body(), &offset)) {
      return false;
    }
  }
  return records.well_formed() && offset == scanner.header().end_offset();
}

bool Recovery::ApplyBatch(absl::string_view body, uint64_t* offset) {
  BatchCursor batch(body);
  BatchCursor::Item item;
  while (batch.Next(&item)) {
    out_.heads[item.lane] = std::max(out_.heads[item.lane], item.ordinal);
    ++*offset;
  }
  if (!batch.well_formed()) return false;
  producers_.Advance(batch.producer(), batch.last_sequence(), *offset - 1);
  return true;
}

// `before`: the heads before a frame. Where they are beyond what was seen, the frames between are
// lost; their ordinals are not given again, and the segment before counts as holding them.
void Recovery::Raise(const LanePositions& before, bool first_in_segment) {
  for (size_t lane = 0; lane < before.size(); ++lane) {
    out_.heads[lane] = std::max(out_.heads[lane], before[lane]);
  }
  if (first_in_segment && !out_.segments.empty()) out_.segments.back().heads = out_.heads;
}

// Something whole says that the next offset there is `first_offset`: all that is missing before it
// was acknowledged and is lost.
void Recovery::CloseGap(uint64_t first_offset) {
  const bool lost = expected_ != 0 && first_offset > expected_;
  if (lost && pending_.empty()) pending_.push_back(place_);
  auto owner = std::find_if(pending_.begin(), pending_.end(),
                            [](const Pending& damage) { return damage.proven; });
  if (owner == pending_.end()) owner = pending_.begin();
  for (auto damage = pending_.begin(); damage != pending_.end(); ++damage) {
    const uint64_t begin = expected_ != 0 ? expected_ : damage->whole_file ? 0 : first_offset;
    if (damage == owner && lost) {
      Report(*damage, begin, first_offset);
    } else if (damage->proven) {
      Report(*damage, begin, begin);
    } else if (damage->bytes.begin < damage->bytes.end) {
      base::LogInfo("the journal ends in a group that was never acknowledged; dropped",
                    {{"segment", damage->segment},
                     {"first_byte", damage->bytes.begin},
                     {"end_byte", damage->bytes.end},
                     {"reason", damage->reason}});
      if (witness_ != nullptr) witness_->OnTorn(damage->segment, damage->bytes, damage->reason);
    }
  }
  pending_.clear();
  expected_ = std::max(expected_, first_offset);
}

void Recovery::Report(const Pending& damage, uint64_t first_offset, uint64_t end_offset) {
  out_.corruptions.push_back({damage.segment_id,
                              {.segment = damage.segment,
                               .first_byte = damage.bytes.begin,
                               .end_byte = damage.bytes.end,
                               .first_offset = first_offset,
                               .end_offset = end_offset,
                               .reason = damage.reason}});
}

absl::Status Recovery::KeepTail() {
  RecoveredTail& tail = out_.tail;
  if (!tail.present) return absl::OkStatus();
  tail.file = tail_file_;
  HOLDFAST_ASSIGN_OR_RETURN(const std::unique_ptr<disk::File> file, disk_.Open(tail_file_));
  HOLDFAST_RETURN_IF_ERROR(file->Read(tail.header.position + kFrameHeaderBytes,
                                      tail.header.payload_bytes, &tail.payload));
  if (tail.payload.size() != tail.header.payload_bytes ||
      Checksum(tail.payload, tail.header.salt) != tail.header.payload_checksum) {
    return absl::UnavailableError(
        absl::StrCat(disk_.path(), "/", tail_file_, " changed while it was read"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Recovered> Recover(disk::Disk& disk, size_t producers_max, Witness* witness) {
  return Recovery(disk, producers_max, witness).Run();
}

}  // namespace holdfast::journal
