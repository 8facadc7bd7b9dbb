// How many rows the tables have, against what all writers' lanes count.

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "server/inspect/auditor.h"
#include "server/statement/audit.h"

namespace holdfast::inspect {
namespace {

constexpr uint64_t kPageRows = 10'000;

template <typename Lanes, typename Value>
uint64_t Sum(const Lanes& lanes, absl::string_view kind, Value value) {
  uint64_t sum = 0;
  for (const auto& [writer_id, lane] : lanes) {
    if (absl::StartsWith(lane.lane, absl::StrCat(kind, "-"))) sum += value(lane.row);
  }
  return sum;
}

uint64_t Committed(const statement::LaneRow& row) { return row.committed; }

}  // namespace

absl::Status Auditor::CheckRows(const Lanes& before) {
  Check& check = Begin("rows",
                       "the rows of usage_records and message against what the lanes of all "
                       "writers have committed");
  check.note =
      "rows from before Holdfast, rows that were expired, and lanes of writers that were gone for "
      "30 "
      "days show as differences; rate_limit_records has merged counts, which follow from no rows";
  check.compared = 2;
  HOLDFAST_ASSIGN_OR_RETURN(const uint64_t messages, CountMessages());
  if (!report_.incomplete.empty()) return absl::OkStatus();
  HOLDFAST_ASSIGN_OR_RETURN(const Lanes after, ReadLanes());
  CompareRows("usage_records", "usage", usage_rows_, before, after);
  CompareRows("message", "message", messages, before, after);
  return absl::OkStatus();
}

// Counted while events flow, the rows lie between what was committed before and after.
void Auditor::CompareRows(absl::string_view table, absl::string_view kind, uint64_t rows,
                          const Lanes& before, const Lanes& after) {
  const uint64_t least = Sum(before, kind, Committed);
  const uint64_t most = std::max(least, Sum(after, kind, Committed));
  if (rows >= least && rows <= most) {
    if (least != most) ++report_.checks.back().in_flight;
    return;
  }
  Differ(std::string(table), "rows",
         least == most ? absl::StrCat(least) : absl::StrCat(least, " to ", most),
         absl::StrCat(rows));
}

absl::StatusOr<uint64_t> Auditor::CountMessages() {
  uint64_t all = 0;
  std::string after;
  while (true) {
    if (IsLate()) {
      report_.incomplete = "its time was over while it counted message; give it more";
      return all;
    }
    HOLDFAST_ASSIGN_OR_RETURN(const Answer page, Ask(statement::CountMessages(after, kPageRows)));
    if (page.size() != 1) return absl::InternalError("no count of message");
    HOLDFAST_ASSIGN_OR_RETURN(const uint64_t rows, statement::ReadUnsigned(page[0], 0));
    all += rows;
    if (rows < kPageRows) return all;
    HOLDFAST_ASSIGN_OR_RETURN(after, statement::ReadText(page[0], 1));
  }
}

absl::Status Auditor::CheckQuarantine() {
  Check& check =
      Begin("quarantine",
            "what the lanes of all writers have quarantined against holdfast_quarantine: "
            "at least a row for each event that was not replayed, at most its attempts");
  check.compared = 1;
  for (int look = 1;; ++look) {
    HOLDFAST_ASSIGN_OR_RETURN(const Lanes before, ReadLanes());
    HOLDFAST_ASSIGN_OR_RETURN(const Answer answer, Ask(statement::CountQuarantine()));
    HOLDFAST_ASSIGN_OR_RETURN(const Lanes after, ReadLanes());
    if (answer.size() != 1) return absl::InternalError("no count of holdfast_quarantine");
    HOLDFAST_ASSIGN_OR_RETURN(const uint64_t held, statement::ReadUnsigned(answer[0], 0));
    HOLDFAST_ASSIGN_OR_RETURN(const uint64_t attempts, statement::ReadUnsigned(answer[0], 1));
    uint64_t least = 0;
    uint64_t most = 0;
    for (const auto& [writer_id, lane] : before) least += lane.row.quarantined;
    for (const auto& [writer_id, lane] : after) most += lane.row.quarantined;
    if (attempts >= least && held <= most) {
      if (look > 1) ++check.in_flight;
      return absl::OkStatus();
    }
    if (look < 2 && !IsLate()) {
      clock_.Sleep(options_.look_again_after);
      continue;
    }
    if (held > most) {
      Differ("holdfast_quarantine", "rows not replayed", absl::StrCat(most), absl::StrCat(held));
    } else {
      Differ("holdfast_quarantine", "attempts of all rows", absl::StrCat(least),
             absl::StrCat(attempts));
    }
    check.note = "rows that were taken out of the quarantine show as a difference";
    return absl::OkStatus();
  }
}

}  // namespace holdfast::inspect
