#include "server/inspect/audit.h"

#include "server/inspect/auditor.h"

namespace holdfast::inspect {
namespace {

// How long a statement waits for a connection from the pool.
constexpr absl::Duration kSessionWait = absl::Seconds(5);

}  // namespace

absl::StatusOr<AuditReport> Audit(const AuditOptions& options,
                                  absl::FunctionRef<std::vector<LaneBooks>()> books,
                                  absl::FunctionRef<bool()> cancelled,
                                  mysql::SessionSource& sessions, base::Clock& clock) {
  return Auditor(options, books, cancelled, sessions, clock).Run();
}

absl::StatusOr<AuditReport> Auditor::Run() {
  HOLDFAST_RETURN_IF_ERROR(CheckLanes());
  HOLDFAST_ASSIGN_OR_RETURN(const Lanes before, ReadLanes());
  HOLDFAST_RETURN_IF_ERROR(CheckUsage());
  if (!options_.since.has_value() && report_.incomplete.empty()) {
    HOLDFAST_RETURN_IF_ERROR(CheckRows(before));
    HOLDFAST_RETURN_IF_ERROR(CheckQuarantine());
  }
  return std::move(report_);
}

absl::StatusOr<Auditor::Answer> Auditor::Ask(const statement::Call& call) {
  if (cancelled_()) return absl::CancelledError("the caller has gone");
  HOLDFAST_ASSIGN_OR_RETURN(mysql::Rented session, sessions_.Rent(clock_.Steady() + kSessionWait));
  absl::StatusOr<Answer> answer = session->Query(*call.statement, call.rows);
  if (!answer.ok()) session.Condemn();
  return answer;
}

Check& Auditor::Begin(std::string name, std::string about) {
  report_.checks.push_back({.name = std::move(name), .about = std::move(about), .note = ""});
  return report_.checks.back();
}

void Auditor::Differ(std::string place, std::string what, std::string expected, std::string found) {
  Check& check = report_.checks.back();
  ++check.differences;
  if (report_.differences.size() == options_.differences_max) return;
  report_.differences.push_back(
      {check.name, std::move(place), std::move(what), std::move(expected), std::move(found)});
}

}  // namespace holdfast::inspect
