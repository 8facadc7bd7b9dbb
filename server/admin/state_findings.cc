#include "server/admin/state_findings.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "server/admin/status.h"
#include "server/diagnosis/findings.h"
#include "server/event/kind.h"

namespace holdfast::admin {
namespace {

using diagnosis::Findings;

// Events that have waited for longer did not just come.
constexpr absl::Duration kLongPending = absl::Minutes(1);

void AddReadiness(const DaemonFacts& facts, const Readiness& readiness, Findings* findings) {
  for (const std::string& reason : readiness.refusing) {
    findings->Problem("readiness", reason, "gateways' events are refused",
                      "do as it says; events are taken again by themselves");
  }
  for (const std::string& reason : readiness.degraded) {
    findings->Problem("readiness", reason, "events are taken and wait in the journal",
                      "mend the cause, which a check above names; it is tried again by itself");
  }
  if (!readiness.refusing.empty() || !readiness.degraded.empty()) return;
  findings->Ok("readiness",
               absl::StrCat("takes events; version ", facts.version, ", writer ", facts.writer_id));
}

void AddBooks(const v1::Books& books, Findings* findings) {
  if (!books.complete()) {
    return findings->Warn("books", absl::StrCat(books.accepted(), " events accepted"),
                          "not every lane has read its position from the database yet, so nobody "
                          "knows how many of them are there",
                          "see \"lanes\" and \"login\" for what keeps them");
  }
  const std::string found =
      absl::StrCat(books.accepted(), " accepted = ", books.committed(), " committed + ",
                   books.duplicate(), " duplicate + ", books.quarantined(), " quarantined + ",
                   books.adjusted(), " adjusted + ", books.pending(), " pending");
  if (books.adjusted() == 0) return findings->Ok("books", found);
  findings->Warn("books", found,
                 "the journal was damaged: so many events could not be given back, or were in the "
                 "database already",
                 "see the log for the damaged ranges, and the disk");
}

void AddLanes(const std::vector<pipeline::LaneReport>& lanes, Findings* findings) {
  bool all_move = true;
  std::vector<std::string> stopped;
  for (const pipeline::LaneReport& lane : lanes) {
    const std::string name = event::LaneName(lane.lane);
    const bool is_late = lane.oldest_age > kLongPending;
    if (lane.state == pipeline::LaneState::kStopped || lane.state == pipeline::LaneState::kFenced) {
      stopped.push_back(name);
    } else if (lane.state == pipeline::LaneState::kRetrying || is_late) {
      all_move = false;
      const std::string age = absl::FormatDuration(absl::Trunc(lane.oldest_age, absl::Seconds(1)));
      findings->Warn("lanes",
                     absl::StrCat(name, ": its oldest event has waited ", age,
                                  lane.reason.empty() ? "" : "; ", lane.reason),
                     "its events wait in the journal and are tried again",
                     "see \"lock waits\", \"transactions\" and the way to the database");
    }
  }
  if (!stopped.empty()) {
    return findings->Problem("lanes", absl::StrCat(absl::StrJoin(stopped, ", "), " stand still"),
                             "their events wait in the journal; the others go on",
                             "see \"readiness\" for the reason of each");
  }
  if (all_move) findings->Ok("lanes", absl::StrCat(lanes.size(), ", none is held up"));
}

void AddConnections(const mysql::CircuitStatus& circuit, const mysql::DatabaseStatus& database,
                    Findings* findings) {
  switch (circuit.state) {
    case flow::BreakerState::kClosed:
      findings->Ok("breaker", absl::StrCat(circuit.name, " is closed"));
      break;
    case flow::BreakerState::kHalfOpen:
      findings->Warn("breaker", absl::StrCat(circuit.name, " is half open"),
                     "one attempt to connect is under way", "wait for it");
      break;
    case flow::BreakerState::kOpen:
      findings->Problem(
          "breaker", absl::StrCat(circuit.name, " is open: ", circuit.last_failure),
          "the database failed several times and is left alone for a moment",
          "mend what failed; it is tried again by itself (DB_BREAKER_RECOVERY_TIMEOUT)");
      break;
  }
  const std::string found = absl::StrCat(database.in_use, " in use, ", database.idle, " idle, ",
                                         database.waiting, " waited for");
  if (database.waiting == 0) return findings->Ok("pool", found);
  findings->Warn("pool", found, "lanes wait for a connection",
                 "raise DB_POOL_SIZE if the database has room; see \"lock waits\" for what holds "
                 "connections");
}

}  // namespace

void AddState(const DaemonView& daemon, v1::DiagnoseResponse* response) {
  Findings findings;
  const DaemonFacts facts = daemon.Facts();
  const pipeline::PipelineStatus pipeline = daemon.Pipeline();
  const mysql::DatabaseStatus database = daemon.Database();
  AddReadiness(facts, Assess(facts, pipeline, database), &findings);
  AddBooks(StatusOf(facts, pipeline, database, daemon.Circuit()).books(), &findings);
  AddLanes(pipeline.lanes, &findings);
  AddConnections(daemon.Circuit(), database, &findings);
  for (v1::Finding& finding : *findings.response().mutable_findings()) {
    response->add_findings()->Swap(&finding);
  }
}

}  // namespace holdfast::admin
