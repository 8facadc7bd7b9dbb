#include "server/inspect/survey.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/match.h"

#include "server/base/status_macros.h"
#include "server/inspect/looking_disk.h"
#include "server/journal/segment.h"

namespace holdfast::inspect {
namespace {

// Looks beside a daemon that deletes and writes meanwhile.
constexpr int kAttempts = 5;

// So many bytes of [begin, end) are in the file.
uint64_t BytesIn(const SegmentSurvey& segment, uint64_t begin, uint64_t end) {
  return std::min(end, segment.bytes) - std::min(begin, segment.bytes);
}

class Surveyor final : public journal::Witness {
 public:
  Surveyor(uint64_t bytes_all, Progress progress) : bytes_all_(bytes_all), progress_(progress) {}

  void OnSegment(const journal::Candidate& candidate, uint64_t end) override;
  void OnFrame(const journal::FrameHeader& header, absl::string_view payload,
               uint64_t end) override;
  void OnTorn(absl::string_view segment, const journal::ByteRange& bytes,
              absl::string_view reason) override {
    out_.torn.push_back({std::string(segment), bytes, std::string(reason)});
  }

  Survey Finish(const journal::Recovered& recovered);

 private:
  void Count(const EventWalk::Event& event);

  const uint64_t bytes_all_;
  Progress progress_;
  Survey out_;
  EventWalk walk_;
  uint64_t bytes_before_ = 0;                      // Of the segments before the one at hand.
  absl::flat_hash_map<event::Id, size_t> places_;  // In out_.producers.
};

void Surveyor::OnSegment(const journal::Candidate& candidate, uint64_t end) {
  if (!out_.segments.empty()) bytes_before_ += out_.segments.back().bytes;
  SegmentSurvey segment;
  segment.name = candidate.name;
  segment.bytes = candidate.size;
  segment.end_byte = std::min(end, candidate.size);
  if (!candidate.set_aside) {
    segment.header_bytes = std::min(journal::kFramesBegin, candidate.size);
    for (const auto& [bytes, reason] : candidate.damage) {
      segment.header_bytes -= BytesIn(segment, bytes.begin, bytes.end);
    }
  }
  out_.segments.push_back(std::move(segment));
  progress_(bytes_before_, bytes_all_);
}

void Surveyor::OnFrame(const journal::FrameHeader& header, absl::string_view payload,
                       uint64_t end) {
  SegmentSurvey& segment = out_.segments.back();
  ++segment.frames;
  // Of a file that was cut off within the zeros behind its last frame, less is there.
  segment.frame_bytes += BytesIn(segment, header.position, end);
  walk_.OnFrame(header, payload, [this](const EventWalk::Event& event) { Count(event); });
  progress_(bytes_before_ + end, bytes_all_);
}

void Surveyor::Count(const EventWalk::Event& event) {
  SegmentSurvey& segment = out_.segments.back();
  ++segment.events;
  if (segment.first_offset == 0) segment.first_offset = event.offset;
  segment.last_offset = event.offset;
  segment.first_accepted_at = std::min(segment.first_accepted_at, event.accepted_at);
  segment.last_accepted_at = std::max(segment.last_accepted_at, event.accepted_at);

  ++out_.events;
  if (out_.first_offset == 0) out_.first_offset = event.offset;
  LaneSurvey& lane = out_.lanes[event.lane];
  ++lane.events;
  if (lane.first_ordinal == 0) lane.first_ordinal = event.ordinal;
  lane.last_ordinal = std::max(lane.last_ordinal, event.ordinal);

  auto place = places_.find(event.producer);
  if (place == places_.end()) {
    if (out_.producers.size() == kProducersMax) {
      ++out_.other_producers_events;
      return;
    }
    place = places_.emplace(event.producer, out_.producers.size()).first;
    out_.producers.push_back({.producer = event.producer, .first_sequence = event.sequence});
  }
  ProducerSurvey& producer = out_.producers[place->second];
  ++producer.events;
  producer.last_sequence = std::max(producer.last_sequence, event.sequence);
  producer.last_accepted_at = std::max(producer.last_accepted_at, event.accepted_at);
}

Survey Surveyor::Finish(const journal::Recovered& recovered) {
  out_.journal_id = recovered.journal_id;
  out_.next_offset = recovered.end_offset;
  for (const auto& [id, corruption] : recovered.corruptions) {
    out_.corruptions.push_back(corruption);
  }
  for (SegmentSurvey& segment : out_.segments) {
    for (const journal::Corruption& one : out_.corruptions) {
      if (one.segment != segment.name) continue;
      segment.corrupt_bytes += BytesIn(segment, one.first_byte, one.end_byte);
    }
    for (const Torn& one : out_.torn) {
      if (one.segment != segment.name) continue;
      segment.torn_bytes += BytesIn(segment, one.bytes.begin, one.bytes.end);
    }
    segment.unused_bytes = segment.bytes - segment.header_bytes - segment.frame_bytes -
                           segment.corrupt_bytes - segment.torn_bytes;
  }
  progress_(bytes_all_, bytes_all_);
  return std::move(out_);
}

absl::StatusOr<Survey> LookOnce(disk::Disk& disk, Progress progress) {
  HOLDFAST_ASSIGN_OR_RETURN(const uint64_t bytes_all, SegmentBytes(disk));
  LookingDisk looking(disk);
  Surveyor surveyor(bytes_all, progress);
  HOLDFAST_ASSIGN_OR_RETURN(const journal::Recovered recovered,
                            journal::Recover(looking, kProducersMax, &surveyor));
  Survey survey = surveyor.Finish(recovered);
  HOLDFAST_ASSIGN_OR_RETURN(const std::vector<std::string> names, disk.List());
  for (const std::string& name : names) {
    if (journal::ParseAnyName(name).has_value() &&
        absl::StrContains(name, journal::kCorruptEnding)) {
      survey.set_aside.push_back(name);
    }
  }
  return survey;
}

bool IsTheSame(const journal::Corruption& a, const journal::Corruption& b) {
  return a.segment == b.segment && a.first_byte == b.first_byte && a.end_byte == b.end_byte;
}

// Keeps what both looks found; the rest is what the daemon was writing just then.
void Confirm(const Survey& before, Survey& survey) {
  std::vector<journal::Corruption> confirmed;
  for (journal::Corruption& one : survey.corruptions) {
    const bool seen = std::any_of(before.corruptions.begin(), before.corruptions.end(),
                                  [&one](const auto& other) { return IsTheSame(one, other); });
    if (seen) {
      confirmed.push_back(std::move(one));
      continue;
    }
    for (SegmentSurvey& segment : survey.segments) {
      if (segment.name != one.segment) continue;
      const uint64_t bytes = BytesIn(segment, one.first_byte, one.end_byte);
      segment.corrupt_bytes -= bytes;
      segment.torn_bytes += bytes;
    }
    survey.torn.push_back({one.segment, {one.first_byte, one.end_byte}, one.reason});
  }
  survey.corruptions = std::move(confirmed);
}

}  // namespace

absl::StatusOr<uint64_t> SegmentBytes(disk::Disk& disk) {
  HOLDFAST_ASSIGN_OR_RETURN(const std::vector<std::string> names, disk.List());
  uint64_t bytes_all = 0;
  for (const std::string& name : names) {
    if (!journal::ParseSegmentName(name).has_value()) continue;
    HOLDFAST_ASSIGN_OR_RETURN(const std::unique_ptr<disk::File> file, disk.Open(name));
    HOLDFAST_ASSIGN_OR_RETURN(const uint64_t size, file->Size());
    bytes_all += size;
  }
  return bytes_all;
}

absl::StatusOr<Survey> Look(disk::Disk& disk, absl::FunctionRef<absl::StatusOr<bool>()> is_in_use,
                            Progress progress) {
  std::optional<Survey> before;
  absl::Status failure;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    // Asked before and after: it may start or end meanwhile. Not to know is as good as yes.
    const bool was_in_use = is_in_use().value_or(true);
    absl::StatusOr<Survey> survey = LookOnce(disk, progress);
    const bool in_use = is_in_use().value_or(true) || was_in_use;
    if (!survey.ok()) {
      failure = survey.status();
      // A segment whose every event is delivered may go at any time.
      if (in_use && (absl::IsNotFound(failure) || absl::IsUnavailable(failure))) continue;
      return failure;
    }
    survey->in_use = in_use;
    if (before.has_value()) Confirm(*before, *survey);
    if (!in_use || before.has_value() || survey->corruptions.empty()) return survey;
    before = *std::move(survey);
  }
  return failure;
}

void EventWalk::OnFrame(const journal::FrameHeader& header, absl::string_view payload,
                        absl::FunctionRef<void(const Event&)> on_event) {
  if (header.kind != journal::FrameKind::kGroup) return;
  Event event;
  event.offset = header.first_offset - 1;
  journal::RecordCursor records(payload);
  while (records.Next()) {
    if (records.type() != journal::RecordType::kBatch) continue;
    journal::BatchCursor batch(records.body());
    event.producer = batch.producer();
    event.accepted_at = batch.accepted_at();
    journal::BatchCursor::Item item;
    while (batch.Next(&item)) {
      ++event.offset;
      if (event.offset <= last_offset_) continue;
      event.sequence = item.sequence;
      event.ordinal = item.ordinal;
      event.lane = item.lane;
      event.bytes = item.bytes;
      on_event(event);
    }
  }
  last_offset_ = std::max(last_offset_, event.offset);
}

}  // namespace holdfast::inspect
