#include "server/admin/problems.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

#include "server/event/kind.h"

namespace holdfast::admin {
namespace {

constexpr absl::string_view kDaemon = "daemon";
constexpr absl::string_view kJournal = "journal";
constexpr absl::string_view kDatabase = "database";
constexpr absl::string_view kLanes = "lanes";

// As deploy/prometheus/alerts.yaml has it.
constexpr uint64_t kNearlyFullPercent = 50;

std::string FormatBytes(uint64_t bytes) {
  constexpr absl::string_view kUnits[] = {"KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes) / 1024;
  size_t unit = 0;
  for (; value >= 1024 && unit + 1 < std::size(kUnits); ++unit) value /= 1024;
  return absl::StrFormat("%.1f %s", value, kUnits[unit]);
}

void AddJournal(const DaemonFacts& facts, const journal::JournalStatus& journal,
                std::vector<Problem>* problems) {
  if (!journal.failure.ok()) {
    problems->push_back({Effect::kRefusing, kJournal,
                         absl::StrCat("The journal has failed: ", journal.failure.message(),
                                      "; nothing more is acknowledged."),
                         "Check the disk; the daemon ends by itself. Start it again on the same "
                         "folder: what was acknowledged is there."});
  } else if (journal.full) {
    problems->push_back(
        {Effect::kRefusing, kJournal,
         absl::StrCat("The journal is full: ", FormatBytes(journal.used_bytes), " of ",
                      FormatBytes(journal.limit_bytes), " hold undelivered events."),
         "Bring the database back; if that is far below the limit, free room on the "
         "journal's volume, otherwise raise HOLDFAST_JOURNAL_MAX_BYTES."});
  } else if (journal.limit_bytes > 0 &&
             journal.used_bytes * 100 > journal.limit_bytes * kNearlyFullPercent) {
    problems->push_back(
        {Effect::kWarning, kJournal,
         absl::StrCat("The journal is ", journal.used_bytes * 100 / journal.limit_bytes,
                      " % full of events that are not in the database."),
         "Mend what keeps them from it while there is time: once it is full, new "
         "events are refused."});
  }
  if (!journal.corruptions.empty()) {
    problems->push_back(
        {Effect::kEndangering, kJournal,
         absl::StrCat("The journal was damaged (places: ", journal.corruptions.size(),
                      "), first in ", journal.corruptions.front().segment, ": ",
                      journal.corruptions.front().reason, "."),
         "Replace the disk. The log of this start names the events that are missing: "
         "let gateways send them again, ids keep them from counting twice."});
  }
  if (facts.journal_is_volatile) {
    problems->push_back(
        {Effect::kEndangering, kJournal,
         absl::StrCat("The journal's folder ", facts.journal_folder,
                      " does not outlive this machine or pod, and neither do events "
                      "that are journaled and not yet committed."),
         "Mount a volume there, or let gateways wait for COMMITTED."});
  }
}

void AddDatabase(const mysql::DatabaseStatus& database, std::vector<Problem>* problems) {
  if (!database.failure.ok()) {
    problems->push_back(
        {Effect::kDelaying, kDatabase,
         absl::StrCat("The database cannot be reached: ", database.failure.message(),
                      "; events are kept in the journal meanwhile."),
         "Bring the database back, or correct the MYSQL_ settings; what waits is then "
         "delivered by itself."});
  }
  for (const std::string& warning : database.warnings) {
    problems->push_back(
        {Effect::kEndangering, kDatabase,
         absl::StrCat("The database may lose what it has committed: ", warning, "."),
         "Change it on the server, and in its configuration."});
  }
}

// "usage-0", or "usage-0, usage-1": the lanes of one complaint.
struct Complaint {
  std::vector<std::string> lanes;
  std::string reason;
  absl::Duration oldest_age;

  std::string Lanes() const {
    return absl::StrCat(lanes.size() == 1 ? "Lane " : "Lanes ", absl::StrJoin(lanes, ", "));
  }
};

// Lanes with the same complaint are one problem.
void AddTo(std::vector<Complaint>* complaints, const pipeline::LaneReport& lane) {
  auto found = std::find_if(complaints->begin(), complaints->end(),
                            [&](const Complaint& known) { return known.reason == lane.reason; });
  if (found == complaints->end()) {
    complaints->push_back({{}, lane.reason, absl::ZeroDuration()});
    found = complaints->end() - 1;
  }
  found->lanes.push_back(event::LaneName(lane.lane));
  found->oldest_age = std::max(found->oldest_age, lane.oldest_age);
}

void AddLanes(const std::vector<pipeline::LaneReport>& lanes, bool database_is_away,
              std::vector<Problem>* problems) {
  std::vector<Complaint> halted;
  std::vector<Complaint> behind;
  for (const pipeline::LaneReport& lane : lanes) {
    if (lane.state == pipeline::LaneState::kStopped || lane.state == pipeline::LaneState::kFenced) {
      AddTo(&halted, lane);
    } else if (lane.oldest_age > kWaitsLong && !database_is_away) {
      AddTo(&behind, lane);
    }
  }
  for (const Complaint& complaint : halted) {
    problems->push_back(
        {Effect::kDelaying, kLanes,
         absl::StrCat(complaint.Lanes(), complaint.lanes.size() == 1 ? " has" : " have",
                      " stopped: ", complaint.reason, "."),
         "The reason says what to mend. What waits stays in the journal, and "
         "other lanes go on."});
  }
  for (const Complaint& complaint : behind) {
    problems->push_back(
        {Effect::kWarning, kLanes,
         absl::StrCat(complaint.Lanes(), complaint.lanes.size() == 1 ? " is" : " are",
                      " behind: the oldest event has waited for ",
                      absl::FormatDuration(absl::Trunc(complaint.oldest_age, absl::Seconds(1))),
                      complaint.reason.empty() ? "" : "; ", complaint.reason, "."),
         "Look at the database: locks that are held for long, slow statements, a full disk."});
  }
}

}  // namespace

std::vector<Problem> ProblemsOf(const DaemonFacts& facts, const pipeline::PipelineStatus& pipeline,
                                const mysql::DatabaseStatus& database) {
  std::vector<Problem> problems;
  if (facts.draining) {
    problems.push_back({Effect::kRefusing, kDaemon,
                        "The daemon is draining: it takes no new events.",
                        "Send to another, or wait for its return."});
  }
  AddJournal(facts, pipeline.journal, &problems);
  AddDatabase(database, &problems);
  AddLanes(pipeline.lanes, !database.failure.ok(), &problems);
  std::stable_sort(problems.begin(), problems.end(),
                   [](const Problem& a, const Problem& b) { return a.effect < b.effect; });
  return problems;
}

}  // namespace holdfast::admin
