// The daemon's books against holdfast_lanes.

#include <algorithm>

#include "absl/strings/str_cat.h"

#include "server/inspect/auditor.h"
#include "server/statement/audit.h"

namespace holdfast::inspect {
namespace {

using statement::LaneRow;

// committed + duplicate + quarantined + adjusted: what the position must be.
std::string SumOf(const LaneRow& row) {
  return absl::StrCat(static_cast<int64_t>(row.committed + row.duplicate + row.quarantined) +
                      row.adjusted);
}

}  // namespace

absl::StatusOr<Auditor::Lanes> Auditor::ReadLanes() {
  HOLDFAST_ASSIGN_OR_RETURN(const Answer answer, Ask(statement::ListAllLanes()));
  Lanes lanes;
  for (const mysql::ResultRow& row : answer) {
    LaneBooks books;
    HOLDFAST_ASSIGN_OR_RETURN(std::string writer_id, statement::ReadText(row, 0));
    HOLDFAST_ASSIGN_OR_RETURN(books.lane, statement::ReadText(row, 1));
    HOLDFAST_ASSIGN_OR_RETURN(books.row,
                              statement::ReadLane(mysql::ResultRow(row.begin() + 2, row.end())));
    lanes.emplace_back(std::move(writer_id), std::move(books));
  }
  return lanes;
}

absl::Status Auditor::CheckLanes() {
  Check& check = Begin("lanes",
                       "what this daemon has settled, lane by lane, against its rows in "
                       "holdfast_lanes, and every row's sum against its position");
  const std::vector<LaneBooks> books = books_();
  for (const LaneBooks& mine : books) {
    ++check.compared;
    HOLDFAST_RETURN_IF_ERROR(CheckLane(mine));
  }
  if (books.empty()) check.note = "no lane of this daemon has read its position yet";
  HOLDFAST_ASSIGN_OR_RETURN(const Lanes lanes, ReadLanes());
  CheckSums(lanes);
  return absl::OkStatus();
}

void Auditor::CheckSums(const Lanes& lanes) {
  for (const auto& [writer_id, lane] : lanes) {
    if (writer_id != options_.writer_id) ++report_.checks.back().compared;
    const std::string sum = SumOf(lane.row);
    if (sum == absl::StrCat(lane.row.position)) continue;
    Differ(absl::StrCat("holdfast_lanes: ", lane.lane, " of writer ", writer_id),
           "committed + duplicate + quarantined + adjusted", absl::StrCat(lane.row.position), sum);
  }
}

// While events flow, a transaction may have committed that the daemon has no answer for yet: then
// the row is ahead, and the daemon is asked again until it has caught up.
absl::Status Auditor::CheckLane(const LaneBooks& mine) {
  LaneBooks now = mine;
  for (int look = 1;; ++look) {
    const bool last_look = look >= options_.looks_max || IsLate();
    HOLDFAST_ASSIGN_OR_RETURN(const bool agrees, Agrees(now, last_look));
    if (agrees) {
      if (look > 1) ++report_.checks.back().in_flight;
      return absl::OkStatus();
    }
    if (last_look) return absl::OkStatus();
    clock_.Sleep(options_.look_again_after);
    for (const LaneBooks& one : books_()) {
      if (one.lane == mine.lane) now = one;
    }
  }
}

// Tells the differences only on the last look.
absl::StatusOr<bool> Auditor::Agrees(const LaneBooks& mine, bool last_look) {
  HOLDFAST_ASSIGN_OR_RETURN(const Lanes lanes, ReadLanes());
  const auto found = std::find_if(lanes.begin(), lanes.end(), [&](const auto& lane) {
    return lane.first == options_.writer_id && lane.second.lane == mine.lane;
  });
  const std::string place = absl::StrCat("holdfast_lanes: ", mine.lane);
  if (found == lanes.end()) {
    if (last_look) Differ(place, "row", "1", "0");
    return false;
  }
  const LaneRow& row = found->second.row;
  // Under traffic that never rests the row is always a little ahead; its sum was checked alone.
  bool moving = false;
  for (const LaneBooks& one : books_()) {
    moving |= one.lane == mine.lane && one.row.position > mine.row.position &&
              row.position >= mine.row.position && row.position <= one.row.position;
  }
  if (moving && row.journal_id == mine.row.journal_id) return true;
  bool agrees = true;
  const auto compare = [&](absl::string_view what, const std::string& expected,
                           const std::string& is) {
    if (expected == is) return;
    agrees = false;
    if (last_look) Differ(place, std::string(what), expected, is);
  };
  compare("journal_id", event::FormatUuid(mine.row.journal_id), event::FormatUuid(row.journal_id));
  compare("epoch", absl::StrCat(mine.row.epoch), absl::StrCat(row.epoch));
  compare("position", absl::StrCat(mine.row.position), absl::StrCat(row.position));
  compare("committed", absl::StrCat(mine.row.committed), absl::StrCat(row.committed));
  compare("duplicate", absl::StrCat(mine.row.duplicate), absl::StrCat(row.duplicate));
  compare("quarantined", absl::StrCat(mine.row.quarantined), absl::StrCat(row.quarantined));
  compare("adjusted", absl::StrCat(mine.row.adjusted), absl::StrCat(row.adjusted));
  return agrees;
}

}  // namespace holdfast::inspect
