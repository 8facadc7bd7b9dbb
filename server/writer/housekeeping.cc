#include "server/writer/housekeeping.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"

#include "server/base/check.h"
#include "server/base/log.h"
#include "server/base/status_macros.h"
#include "server/writer/transaction.h"

namespace holdfast::writer {
namespace {

absl::Status CheckPositive(absl::string_view field, absl::Duration duration) {
  if (duration > absl::ZeroDuration()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(field, ": ", absl::FormatDuration(duration), "; it must be above zero"));
}

}  // namespace

absl::Status HousekeepingOptions::Validate() const {
  if (writer_id.empty()) return absl::InvalidArgumentError("writer_id: empty; it must be set");
  if (hits_retention < event::kHitsIdRetention) {
    return absl::InvalidArgumentError(absl::StrCat(
        "hits_retention: ", absl::FormatDuration(hits_retention), "; ids are promised ",
        "to be remembered for ", absl::FormatDuration(event::kHitsIdRetention)));
  }
  HOLDFAST_RETURN_IF_ERROR(CheckPositive("touch_after", touch_after));
  if (lane_retention < 2 * touch_after) {
    return absl::InvalidArgumentError(absl::StrCat(
        "lane_retention: ", absl::FormatDuration(lane_retention),
        "; it must be at least twice touch_after, ", absl::FormatDuration(touch_after)));
  }
  return CheckPositive("rent_timeout", rent_timeout);
}

Housekeeping::Housekeeping(const HousekeepingOptions& options, mysql::SessionSource& sessions,
                           base::Clock& clock)
    : options_(options), sessions_(sessions), clock_(clock) {
  const absl::Status valid = options_.Validate();
  HOLDFAST_CHECK(valid.ok());
}

absl::Status Housekeeping::Step() {
  more_ = false;
  HOLDFAST_ASSIGN_OR_RETURN(const absl::Time now, ServerTime());
  // Our own first, lest they be among the old ones.
  HOLDFAST_RETURN_IF_ERROR(TouchOwnLanes(now));
  HOLDFAST_RETURN_IF_ERROR(DeleteExpiredHits(now));
  return DeleteOldLanes(now);
}

// Whoever's clock is ahead would take the lanes of all others for old, and they would begin anew.
absl::StatusOr<absl::Time> Housekeeping::ServerTime() {
  HOLDFAST_ASSIGN_OR_RETURN(const std::unique_ptr<Transaction> transaction,
                            Transaction::Begin(sessions_, clock_.Steady() + options_.rent_timeout));
  return transaction->Now(clock_.Now());
}

absl::Status Housekeeping::TouchOwnLanes(absl::Time now) {
  HOLDFAST_ASSIGN_OR_RETURN(
      const std::vector<statement::FoundLane> idle,
      Find(statement::FindIdleLanes(options_.writer_id, now - options_.touch_after)));
  for (const statement::FoundLane& lane : idle) {
    HOLDFAST_RETURN_IF_ERROR(Run(statement::TouchLane({lane.writer_id, lane.lane}, now)).status());
  }
  return absl::OkStatus();
}

absl::Status Housekeeping::DeleteExpiredHits(absl::Time now) {
  HOLDFAST_ASSIGN_OR_RETURN(const uint64_t deleted,
                            Run(statement::DeleteExpiredHits(now - options_.hits_retention)));
  if (deleted >= statement::kExpiredHitsAtOnce) more_ = true;
  return absl::OkStatus();
}

absl::Status Housekeeping::DeleteOldLanes(absl::Time now) {
  const absl::Time before = now - options_.lane_retention;
  HOLDFAST_ASSIGN_OR_RETURN(const std::vector<statement::FoundLane> old,
                            Find(statement::FindOldLanes(before)));
  for (const statement::FoundLane& lane : old) {
    HOLDFAST_RETURN_IF_ERROR(
        Run(statement::DeleteOldLane({lane.writer_id, lane.lane}, before)).status());
    base::LogInfo("lane of a writer that is gone removed",
                  {{"writer_id", lane.writer_id}, {"lane", lane.lane}});
  }
  if (old.size() >= statement::kLanesAtOnce) more_ = true;
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> Housekeeping::Run(const statement::Call& call) {
  HOLDFAST_ASSIGN_OR_RETURN(const std::unique_ptr<Transaction> transaction,
                            Transaction::Begin(sessions_, clock_.Steady() + options_.rent_timeout));
  HOLDFAST_ASSIGN_OR_RETURN(const uint64_t affected, transaction->ExecuteAll(call));
  HOLDFAST_RETURN_IF_ERROR(transaction->Commit());
  return affected;
}

absl::StatusOr<std::vector<statement::FoundLane>> Housekeeping::Find(const statement::Call& call) {
  HOLDFAST_ASSIGN_OR_RETURN(const std::unique_ptr<Transaction> transaction,
                            Transaction::Begin(sessions_, clock_.Steady() + options_.rent_timeout));
  HOLDFAST_ASSIGN_OR_RETURN(const std::vector<mysql::ResultRow> answer, transaction->Query(call));
  std::vector<statement::FoundLane> lanes;
  for (const mysql::ResultRow& row : answer) {
    HOLDFAST_ASSIGN_OR_RETURN(statement::FoundLane lane, statement::ReadFoundLane(row));
    lanes.push_back(std::move(lane));
  }
  return lanes;
}

}  // namespace holdfast::writer
