#include "server/admin/audit.h"

#include "absl/strings/str_cat.h"
#include "google/protobuf/util/time_util.h"

namespace holdfast::admin {
namespace {

using google::protobuf::util::TimeUtil;

constexpr uint32_t kDifferencesMax = 1000;

}  // namespace

absl::Status ReadAudit(const v1::AuditRequest& request, inspect::AuditOptions* options) {
  if (request.differences_max() > kDifferencesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("differences_max: must be 0 to ", kDifferencesMax));
  }
  if (request.differences_max() > 0) options->differences_max = request.differences_max();
  if (!request.has_since()) return absl::OkStatus();
  const google::protobuf::Timestamp& since = request.since();
  if (since.seconds() < TimeUtil::kTimestampMinSeconds ||
      since.seconds() > TimeUtil::kTimestampMaxSeconds || since.nanos() < 0 ||
      since.nanos() > 999'999'999) {
    return absl::InvalidArgumentError("since: must be a time of the years 1 to 9999");
  }
  options->since = absl::FromUnixMicros(TimeUtil::TimestampToMicroseconds(since));
  return absl::OkStatus();
}

std::vector<inspect::LaneBooks> BooksOf(const pipeline::PipelineStatus& pipeline,
                                        const event::Id& journal_id) {
  std::vector<inspect::LaneBooks> books;
  for (const pipeline::LaneReport& report : pipeline.lanes) {
    if (!report.seated || report.state == pipeline::LaneState::kFenced) continue;
    inspect::LaneBooks& lane = books.emplace_back();
    lane.lane = event::LaneName(report.lane);
    lane.row.journal_id = journal_id;
    lane.row.epoch = report.seat.epoch;
    lane.row.position = report.seat.position;
    lane.row.committed = report.seat.committed;
    lane.row.duplicate = report.seat.duplicate;
    lane.row.quarantined = report.seat.quarantined;
    lane.row.adjusted = report.seat.adjusted;
  }
  return books;
}

void Describe(const inspect::AuditReport& report, v1::AuditResponse* response) {
  for (const inspect::Check& check : report.checks) {
    v1::AuditCheck* described = response->add_checks();
    described->set_name(check.name);
    described->set_about(check.about);
    described->set_compared(check.compared);
    described->set_differences(check.differences);
    described->set_in_flight(check.in_flight);
    described->set_note(check.note);
  }
  for (const inspect::Difference& difference : report.differences) {
    v1::AuditDifference* described = response->add_differences();
    described->set_check(difference.check);
    described->set_place(difference.place);
    described->set_what(difference.what);
    described->set_expected(difference.expected);
    described->set_found(difference.found);
  }
  response->set_incomplete(report.incomplete);
}

}  // namespace holdfast::admin
