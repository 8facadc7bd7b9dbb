#include "server/admin/status.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "google/protobuf/util/time_util.h"

#include "server/event/kind.h"

namespace holdfast::admin {
namespace {

using google::protobuf::util::TimeUtil;

google::protobuf::Timestamp TimestampOf(absl::Time time) {
  return TimeUtil::MicrosecondsToTimestamp(absl::ToUnixMicros(time));
}

v1::LaneState StateOf(pipeline::LaneState state) {
  switch (state) {
    case pipeline::LaneState::kIdle:
      return v1::LANE_STATE_IDLE;
    case pipeline::LaneState::kBusy:
      return v1::LANE_STATE_BUSY;
    case pipeline::LaneState::kRetrying:
      return v1::LANE_STATE_RETRYING;
    case pipeline::LaneState::kStopped:
      return v1::LANE_STATE_STOPPED;
    case pipeline::LaneState::kFenced:
      return v1::LANE_STATE_FENCED;
  }
  return v1::LANE_STATE_UNSPECIFIED;
}

v1::Books BooksOf(const pipeline::LaneReport& lane) {
  v1::Books books;
  books.set_accepted(lane.head);
  books.set_complete(lane.seated);
  if (!lane.seated) return books;
  books.set_committed(lane.seat.committed);
  books.set_duplicate(lane.seat.duplicate);
  books.set_quarantined(lane.seat.quarantined);
  books.set_adjusted(lane.seat.adjusted);
  books.set_pending(lane.head - std::min(lane.seat.position, lane.head));
  return books;
}

v1::Books SumOf(const std::vector<pipeline::LaneReport>& lanes) {
  v1::Books sum;
  bool complete = true;
  for (const pipeline::LaneReport& lane : lanes) {
    const v1::Books books = BooksOf(lane);
    complete = complete && books.complete();
    sum.set_accepted(sum.accepted() + books.accepted());
    sum.set_committed(sum.committed() + books.committed());
    sum.set_duplicate(sum.duplicate() + books.duplicate());
    sum.set_quarantined(sum.quarantined() + books.quarantined());
    sum.set_adjusted(sum.adjusted() + books.adjusted());
    sum.set_pending(sum.pending() + books.pending());
  }
  sum.set_complete(complete);
  if (complete) return sum;
  // A part of a balance looks like a balance and is none.
  v1::Books accepted_only;
  accepted_only.set_accepted(sum.accepted());
  return accepted_only;
}

}  // namespace

Readiness Assess(const DaemonFacts& facts, const pipeline::PipelineStatus& pipeline,
                 const mysql::DatabaseStatus& database) {
  Readiness readiness;
  if (facts.draining) {
    readiness.refusing.push_back(
        "The daemon is draining: send to another, or wait for its return.");
  }
  if (!pipeline.journal.failure.ok()) {
    readiness.refusing.push_back(
        absl::StrCat("The journal has failed: ", pipeline.journal.failure.message(),
                     "; nothing more is acknowledged. Check the disk; the daemon ends by itself."));
  } else if (pipeline.journal.full) {
    readiness.refusing.push_back(absl::StrCat(
        "The journal is full: ", pipeline.journal.used_bytes, " of ", pipeline.journal.limit_bytes,
        " bytes hold undelivered events. Bring the database back; if that is far below the limit, "
        "free room on the journal's volume, otherwise raise HOLDFAST_JOURNAL_MAX_BYTES."));
  }
  if (!database.failure.ok()) {
    readiness.degraded.push_back(
        absl::StrCat("The database cannot be reached: ", database.failure.message(),
                     "; events are kept in the journal meanwhile."));
  }
  for (const pipeline::LaneReport& lane : pipeline.lanes) {
    const bool halted =
        lane.state == pipeline::LaneState::kStopped || lane.state == pipeline::LaneState::kFenced;
    if (!halted) continue;
    readiness.degraded.push_back(
        absl::StrCat("Lane ", event::LaneName(lane.lane), " has stopped: ", lane.reason));
  }
  return readiness;
}

Readiness Assess(const DaemonView& daemon) {
  return Assess(daemon.Facts(), daemon.Pipeline(), daemon.Database());
}

v1::GetStatusResponse StatusOf(const DaemonFacts& facts, const pipeline::PipelineStatus& pipeline,
                               const mysql::DatabaseStatus& database) {
  v1::GetStatusResponse status;
  status.set_version(facts.version);
  status.set_writer_id(facts.writer_id);
  *status.mutable_started_at() = TimestampOf(facts.started_at);
  status.set_draining(facts.draining);
  const Readiness readiness = Assess(facts, pipeline, database);
  for (const std::string& reason : readiness.refusing) status.add_missing(reason);
  for (const std::string& reason : readiness.degraded) status.add_missing(reason);
  *status.mutable_books() = SumOf(pipeline.lanes);
  for (const pipeline::LaneReport& lane : pipeline.lanes) {
    v1::LaneStatus* described = status.add_lanes();
    described->set_lane(event::LaneName(lane.lane));
    described->set_state(StateOf(lane.state));
    described->set_reason(lane.reason);
    *described->mutable_books() = BooksOf(lane);
    *described->mutable_oldest_age() =
        TimeUtil::MicrosecondsToDuration(absl::ToInt64Microseconds(lane.oldest_age));
  }
  v1::JournalStatus* journal = status.mutable_journal();
  journal->set_used_bytes(pipeline.journal.used_bytes);
  journal->set_limit_bytes(pipeline.journal.limit_bytes);
  journal->set_segments(pipeline.journal.segments);
  journal->set_full(pipeline.journal.full);
  journal->set_failure(std::string(pipeline.journal.failure.message()));
  journal->set_corruptions(pipeline.journal.corruptions.size());
  v1::DatabaseStatus* described = status.mutable_database();
  described->set_endpoint(database.endpoint);
  described->set_server_version(database.server_version);
  described->set_connections_in_use(database.in_use);
  described->set_connections_idle(database.idle);
  described->set_failure(std::string(database.failure.message()));
  for (const std::string& warning : database.warnings) described->add_warnings(warning);
  status.set_streams(pipeline.streams);
  return status;
}

v1::GetStatusResponse StatusOf(const DaemonView& daemon) {
  return StatusOf(daemon.Facts(), daemon.Pipeline(), daemon.Database());
}

v1::Circuit CircuitOf(const mysql::CircuitStatus& circuit) {
  v1::Circuit described;
  described.set_name(circuit.name);
  switch (circuit.state) {
    case flow::BreakerState::kClosed:
      described.set_state(v1::CIRCUIT_STATE_CLOSED);
      break;
    case flow::BreakerState::kOpen:
      described.set_state(v1::CIRCUIT_STATE_OPEN);
      break;
    case flow::BreakerState::kHalfOpen:
      described.set_state(v1::CIRCUIT_STATE_HALF_OPEN);
      break;
  }
  if (circuit.last_state_change != absl::InfinitePast()) {
    *described.mutable_last_state_change() = TimestampOf(circuit.last_state_change);
  }
  described.set_failures(static_cast<uint32_t>(circuit.failures));
  described.set_attempts(static_cast<uint32_t>(circuit.attempts));
  described.set_last_failure(circuit.last_failure);
  return described;
}

}  // namespace holdfast::admin
