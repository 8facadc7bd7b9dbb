#include "server/admin/status.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "google/protobuf/util/time_util.h"

#include "server/admin/problems.h"
#include "server/admin/summary.h"
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

v1::ProblemEffect EffectOf(Effect effect) {
  switch (effect) {
    case Effect::kRefusing:
      return v1::PROBLEM_EFFECT_REFUSING;
    case Effect::kEndangering:
      return v1::PROBLEM_EFFECT_ENDANGERING;
    case Effect::kDelaying:
      return v1::PROBLEM_EFFECT_DELAYING;
    case Effect::kWarning:
      return v1::PROBLEM_EFFECT_WARNING;
  }
  return v1::PROBLEM_EFFECT_UNSPECIFIED;
}

Readiness ReadinessOf(const std::vector<Problem>& problems) {
  Readiness readiness;
  for (const Problem& problem : problems) {
    const std::string sentences = absl::StrCat(problem.cause, " ", problem.remedy);
    if (problem.effect == Effect::kRefusing) readiness.refusing.push_back(sentences);
    if (problem.effect == Effect::kDelaying) readiness.degraded.push_back(sentences);
  }
  return readiness;
}

google::protobuf::Duration DurationOf(absl::Duration duration) {
  return TimeUtil::MicrosecondsToDuration(absl::ToInt64Microseconds(duration));
}

void DescribeLanes(const std::vector<pipeline::LaneReport>& lanes, v1::GetStatusResponse* status) {
  for (const pipeline::LaneReport& lane : lanes) {
    v1::LaneStatus* described = status->add_lanes();
    described->set_lane(event::LaneName(lane.lane));
    described->set_state(StateOf(lane.state));
    described->set_reason(lane.reason);
    *described->mutable_books() = BooksOf(lane);
    *described->mutable_oldest_age() = DurationOf(lane.oldest_age);
  }
}

void DescribeJournal(const journal::JournalStatus& journal, const std::string& folder,
                     v1::JournalStatus* described) {
  described->set_used_bytes(journal.used_bytes);
  described->set_limit_bytes(journal.limit_bytes);
  described->set_segments(journal.segments);
  described->set_full(journal.full);
  described->set_failure(std::string(journal.failure.message()));
  described->set_corruptions(journal.corruptions.size());
  described->set_folder(folder);
}

void DescribeDatabase(const mysql::DatabaseStatus& database, v1::DatabaseStatus* described) {
  described->set_endpoint(database.endpoint);
  described->set_server_version(database.server_version);
  described->set_connections_in_use(database.in_use);
  described->set_connections_idle(database.idle);
  described->set_failure(std::string(database.failure.message()));
  for (const std::string& warning : database.warnings) described->add_warnings(warning);
  described->set_connections_waiting(database.waiting);
  described->set_connections_limit(database.limit);
}

void DescribeProblems(const std::vector<Problem>& problems, v1::GetStatusResponse* status) {
  const Readiness readiness = ReadinessOf(problems);
  for (const std::string& reason : readiness.refusing) status->add_missing(reason);
  for (const std::string& reason : readiness.degraded) status->add_missing(reason);
  for (const Problem& problem : problems) {
    v1::Problem* described = status->add_problems();
    described->set_effect(EffectOf(problem.effect));
    described->set_subject(std::string(problem.subject));
    described->set_cause(problem.cause);
    described->set_remedy(problem.remedy);
  }
}

}  // namespace

Readiness Assess(const DaemonFacts& facts, const pipeline::PipelineStatus& pipeline,
                 const mysql::DatabaseStatus& database) {
  return ReadinessOf(ProblemsOf(facts, pipeline, database));
}

Readiness Assess(const DaemonView& daemon) {
  return Assess(daemon.Facts(), daemon.Pipeline(), daemon.Database());
}

v1::GetStatusResponse StatusOf(const DaemonFacts& facts, const pipeline::PipelineStatus& pipeline,
                               const mysql::DatabaseStatus& database,
                               const mysql::CircuitStatus& circuit) {
  const std::vector<Problem> problems = ProblemsOf(facts, pipeline, database);
  v1::GetStatusResponse status;
  status.set_version(facts.version);
  status.set_writer_id(facts.writer_id);
  *status.mutable_started_at() = TimestampOf(facts.started_at);
  *status.mutable_answered_at() = TimestampOf(facts.now);
  status.set_draining(facts.draining);
  status.set_admin_port(static_cast<uint32_t>(facts.admin_port));
  *status.mutable_summary() = SummaryOf(problems, facts, pipeline, database);
  DescribeProblems(problems, &status);
  *status.mutable_books() = SumOf(pipeline.lanes);
  DescribeLanes(pipeline.lanes, &status);
  DescribeJournal(pipeline.journal, facts.journal_folder, status.mutable_journal());
  DescribeDatabase(database, status.mutable_database());
  *status.add_circuits() = CircuitOf(circuit);
  status.set_streams(pipeline.streams);
  return status;
}

v1::GetStatusResponse StatusOf(const DaemonView& daemon) {
  return StatusOf(daemon.Facts(), daemon.Pipeline(), daemon.Database(), daemon.Circuit());
}

v1::GetHistoryResponse HistoryOf(const std::vector<Sample>& samples) {
  v1::GetHistoryResponse history;
  *history.mutable_interval() = DurationOf(History::kInterval);
  for (const Sample& sample : samples) {
    v1::Sample* described = history.add_samples();
    *described->mutable_at() = TimestampOf(sample.at);
    described->set_accepted(sample.accepted);
    described->set_complete(sample.complete);
    described->set_committed(sample.committed);
    described->set_pending(sample.pending);
    described->set_journal_used_bytes(sample.journal_used_bytes);
    described->set_journal_syncs(sample.journal_syncs);
    *described->mutable_journal_sync_time() = DurationOf(sample.journal_sync_time);
  }
  return history;
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
  if (circuit.last_failure_at != absl::InfinitePast()) {
    *described.mutable_last_failure_time() = TimestampOf(circuit.last_failure_at);
  }
  v1::CircuitConfig* config = described.mutable_config();
  config->set_failure_threshold(static_cast<uint32_t>(circuit.options.failure_threshold));
  config->set_min_throughput(static_cast<uint32_t>(circuit.options.min_throughput));
  *config->mutable_failure_window() = DurationOf(circuit.options.failure_window);
  *config->mutable_recovery_timeout() = DurationOf(circuit.options.recovery_timeout);
  *config->mutable_half_open_timeout() = DurationOf(circuit.options.half_open_timeout);
  return described;
}

v1::ListCircuitsResponse CircuitsOf(const DaemonView& daemon) {
  v1::ListCircuitsResponse circuits;
  *circuits.add_circuits() = CircuitOf(daemon.Circuit());
  return circuits;
}

}  // namespace holdfast::admin
