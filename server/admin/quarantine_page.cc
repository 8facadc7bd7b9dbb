#include "server/admin/quarantine_page.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/util/time_util.h"

#include "server/statement/quarantine_replay.h"

namespace holdfast::admin {
namespace {

using google::protobuf::util::TimeUtil;

google::protobuf::Timestamp TimestampOf(absl::Time time) {
  return TimeUtil::MicrosecondsToTimestamp(absl::ToUnixMicros(time));
}

v1::ListQuarantineResponse Describe(const writer::QuarantinePage& page) {
  v1::ListQuarantineResponse response;
  for (const writer::QuarantinedEvent& event : page.events) {
    v1::QuarantinedEvent* described = response.add_events();
    described->set_quarantine_id(event.quarantine_id);
    described->set_kind(event.kind);
    if (!event.producer.is_nil()) described->set_producer_id(event::FormatUuid(event.producer));
    described->set_sequence(event.sequence);
    described->set_errno_code(event.error_number);
    described->set_reason(event.reason);
    described->set_column(event.column);
    *described->mutable_first_at() = TimestampOf(event.first_at);
    *described->mutable_last_at() = TimestampOf(event.last_at);
    described->set_attempts(event.attempts);
    described->set_event_json(event.event_json);
    described->set_writer_id(event.writer_id);
    described->set_lane(event.lane);
    described->set_outcome(OutcomeOf(event.outcome));
    if (event.settled_at.has_value()) {
      *described->mutable_settled_at() = TimestampOf(*event.settled_at);
    }
    described->set_settled_by(event.settled_by);
    described->set_settled_reason(event.settled_reason);
  }
  if (page.next != 0) response.set_next_page_token(absl::StrCat(page.next));
  return response;
}

}  // namespace

v1::QuarantineOutcome OutcomeOf(absl::string_view outcome) {
  if (outcome.empty()) return v1::QUARANTINE_OUTCOME_WAITING;
  if (outcome == statement::kReplayedCommitted) return v1::QUARANTINE_OUTCOME_COMMITTED;
  if (outcome == statement::kReplayedDuplicate) return v1::QUARANTINE_OUTCOME_DUPLICATE;
  if (outcome == statement::kDiscarded) return v1::QUARANTINE_OUTCOME_DISCARDED;
  return v1::QUARANTINE_OUTCOME_UNSPECIFIED;
}

absl::StatusOr<writer::QuarantineQuery> ReadQuery(const v1::ListQuarantineRequest& request) {
  writer::QuarantineQuery query;
  if (request.page_size() > writer::kQuarantinePageMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("page_size: must be 0 to ", writer::kQuarantinePageMax));
  }
  if (request.page_size() > 0) query.rows_max = request.page_size();
  if (!request.page_token().empty() &&
      (!absl::SimpleAtoi(request.page_token(), &query.below) || query.below == 0)) {
    return absl::InvalidArgumentError("page_token: must be the last answer's next_page_token");
  }
  query.only = request.quarantine_id();
  query.include_settled = request.include_settled();
  query.include_content = request.include_content();
  return query;
}

absl::StatusOr<v1::ListQuarantineResponse> ReadQuarantine(mysql::SessionSource& sessions,
                                                          absl::Time deadline,
                                                          const writer::QuarantineQuery& query) {
  const auto page = writer::ListQuarantine(sessions, deadline, query);
  if (page.ok()) return Describe(*page);
  // Whatever the database said, to the operator it is: not now. An empty list would be a lie.
  return absl::UnavailableError(
      absl::StrCat("the quarantine cannot be read: ", page.status().message()));
}

}  // namespace holdfast::admin
