#include "server/inspect/report.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace holdfast::inspect {
namespace {

// Lines for producers; the others are summed up.
constexpr size_t kProducersShown = 100;

std::string Time(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone());
}

std::string Range(uint64_t first, uint64_t last) {
  return first == 0 ? "-" : absl::StrCat(first, "-", last);
}

// What is wrong with a segment, worst first.
absl::string_view State(const SegmentSurvey& segment, const Survey& survey) {
  const bool corrupt =
      std::any_of(survey.corruptions.begin(), survey.corruptions.end(),
                  [&](const journal::Corruption& one) { return one.segment == segment.name; });
  if (corrupt) return "CORRUPT";
  if (segment.torn_bytes == 0) return "whole";
  return survey.in_use ? "being written" : "torn tail";
}

void AppendHead(const std::string& folder, const Survey& survey, std::string* report) {
  absl::StrAppend(report, "Journal ",
                  survey.journal_id.is_nil() ? "(none)" : event::FormatUuid(survey.journal_id),
                  " in ", folder, "\n");
  if (survey.in_use) {
    absl::StrAppend(report,
                    "A daemon is at work on it: this is a moment of a moving thing, and its last "
                    "group may be in flight.\n");
  }
}

void AppendSegments(const Survey& survey, std::string* report) {
  absl::StrAppendFormat(report, "\n%-20s %12s %8s %10s  %-21s %-20s  %-20s  %s\n", "Segment",
                        "bytes", "frames", "events", "offsets", "first", "last", "state");
  for (const SegmentSurvey& segment : survey.segments) {
    const bool any = segment.events > 0;
    absl::StrAppendFormat(report, "%-20s %12d %8d %10d  %-21s %-20s  %-20s  %s\n", segment.name,
                          segment.bytes, segment.frames, segment.events,
                          Range(segment.first_offset, segment.last_offset),
                          any ? Time(segment.first_accepted_at) : "-",
                          any ? Time(segment.last_accepted_at) : "-", State(segment, survey));
  }
  for (const std::string& name : survey.set_aside) {
    absl::StrAppend(report, name, "  set aside by an earlier start; nothing in it is used\n");
  }
}

// Of a lane's events, those behind its position.
uint64_t Undelivered(const LaneSurvey& lane, uint64_t position) {
  const uint64_t behind = lane.last_ordinal - std::min(position, lane.last_ordinal);
  return std::min(behind, lane.events);
}

void AppendLanes(const Survey& survey, const std::optional<Positions>& positions,
                 std::string* report) {
  absl::StrAppendFormat(report, "\n%-14s %10s  %-21s  %s\n", "Lane", "events", "ordinals",
                        "undelivered");
  uint64_t undelivered = 0;
  for (event::Lane number = 0; number < event::kLaneCount; ++number) {
    const LaneSurvey& lane = survey.lanes[number];
    if (lane.events == 0) continue;
    const uint64_t position = positions.has_value() ? (*positions)[number].value_or(0) : 0;
    undelivered += Undelivered(lane, position);
    absl::StrAppendFormat(report, "%-14s %10d  %-21s  %s%d\n", event::LaneName(number), lane.events,
                          Range(lane.first_ordinal, lane.last_ordinal),
                          positions.has_value() ? "" : "at most ", Undelivered(lane, position));
  }
  absl::StrAppend(report, "\nEvents       ", survey.events, " held; the next gets offset ",
                  survey.next_offset, "\nUndelivered  ", positions.has_value() ? "" : "at most ",
                  undelivered);
  absl::StrAppend(report,
                  positions.has_value()
                      ? ", by the positions in holdfast_lanes\n"
                      : ": how far each lane has come is in the database (--database asks it); "
                        "what it has stays here until the retention is over\n");
}

void AppendProducers(const Survey& survey, std::string* report) {
  if (survey.producers.empty()) return;
  absl::StrAppendFormat(report, "\n%-36s %10s  %-21s  %s\n", "Producer", "events", "sequences",
                        "last event");
  uint64_t others = survey.other_producers_events;
  for (size_t i = 0; i < survey.producers.size(); ++i) {
    const ProducerSurvey& producer = survey.producers[i];
    if (i >= kProducersShown) {
      others += producer.events;
      continue;
    }
    absl::StrAppendFormat(
        report, "%-36s %10d  %-21s  %s\n",
        producer.producer.is_nil() ? "(none)" : event::FormatUuid(producer.producer),
        producer.events,
        producer.producer.is_nil() ? "-" : Range(producer.first_sequence, producer.last_sequence),
        Time(producer.last_accepted_at));
  }
  if (others > 0) absl::StrAppend(report, "and others, with ", others, " events\n");
}

std::string Lost(const journal::Corruption& one) {
  if (one.end_offset == 0) return "which events it held nobody knows";
  if (one.end_offset <= one.first_offset) return "no event is missing for it";
  return absl::StrCat("events lost: offsets ", one.first_offset, " to ", one.end_offset - 1, " (",
                      one.end_offset - one.first_offset, ")");
}

void AppendPlaces(const Survey& survey, std::string* report) {
  for (const journal::Corruption& one : survey.corruptions) {
    absl::StrAppend(report, "\nCORRUPT    ", one.segment, " bytes ", one.first_byte, " to ",
                    one.end_byte, ": ", one.reason, "; ", Lost(one));
  }
  for (const Torn& one : survey.torn) {
    absl::StrAppend(report, survey.in_use ? "\nin flight  " : "\ntorn tail  ", one.segment,
                    " bytes ", one.bytes.begin, " to ", one.bytes.end, ": ", one.reason,
                    "; never acknowledged, so nothing is lost");
  }
  if (survey.finding() != Finding::kWhole) absl::StrAppend(report, "\n");
}

absl::string_view Verdict(const Survey& survey) {
  switch (survey.finding()) {
    case Finding::kWhole:
      return "Whole: every event that was acknowledged is here or was delivered.\n";
    case Finding::kTorn:
      return survey.in_use ? "Whole, as far as it is written.\n"
                           : "Torn tail: the last write was cut off before it was acknowledged. "
                             "The next start drops it; nothing is lost.\n";
    case Finding::kCorrupt:
      return "Corrupt: what was acknowledged is not all here. Everything else is delivered; the "
             "runbook (HoldfastJournalDamaged) says what to do.\n";
  }
  return "";
}

}  // namespace

std::string ListReport(const std::string& folder, const Survey& survey,
                       const std::optional<Positions>& positions) {
  std::string report;
  AppendHead(folder, survey, &report);
  AppendSegments(survey, &report);
  AppendLanes(survey, positions, &report);
  AppendProducers(survey, &report);
  AppendPlaces(survey, &report);
  return report;
}

std::string VerifyReport(const std::string& folder, const Survey& survey) {
  std::string report;
  AppendHead(folder, survey, &report);
  SegmentSurvey all;
  for (const SegmentSurvey& segment : survey.segments) {
    all.bytes += segment.bytes;
    all.header_bytes += segment.header_bytes;
    all.frame_bytes += segment.frame_bytes;
    all.corrupt_bytes += segment.corrupt_bytes;
    all.torn_bytes += segment.torn_bytes;
    all.unused_bytes += segment.unused_bytes;
  }
  absl::StrAppendFormat(&report,
                        "\nheaders       %14d\nwhole frames  %14d  with %d events\n"
                        "corrupt       %14d\n%s     %14d\n"
                        "unused        %14d  zeros, or dropped by an earlier start\n"
                        "all           %14d  bytes in %d segments\n",
                        all.header_bytes, all.frame_bytes, survey.events, all.corrupt_bytes,
                        survey.in_use ? "in flight" : "torn tail", all.torn_bytes, all.unused_bytes,
                        all.bytes, survey.segments.size());
  AppendPlaces(survey, &report);
  absl::StrAppend(&report, "\n", Verdict(survey));
  return report;
}

}  // namespace holdfast::inspect
