// What the checks of an audit share: asking, counting, giving up in time.

#pragma once

#include <string>
#include <utility>
#include <vector>

#include "server/base/clock.h"
#include "server/base/status_macros.h"
#include "server/inspect/audit.h"
#include "server/mysql/session.h"
#include "server/statement/build.h"

namespace holdfast::inspect {

// Not thread-safe: one audit.
class Auditor final {
 public:
  Auditor(const AuditOptions& options, absl::FunctionRef<std::vector<LaneBooks>()> books,
          absl::FunctionRef<bool()> cancelled, mysql::SessionSource& sessions, base::Clock& clock)
      : options_(options),
        books_(books),
        cancelled_(cancelled),
        sessions_(sessions),
        clock_(clock) {}

  absl::StatusOr<AuditReport> Run();

 private:
  using Answer = std::vector<mysql::ResultRow>;
  using Lanes = std::vector<std::pair<std::string, LaneBooks>>;  // With the writer of each.

  // A session for this statement alone: between two the pool's other users have their turn.
  absl::StatusOr<Answer> Ask(const statement::Call& call);
  bool IsLate() const { return clock_.Steady() >= options_.deadline; }
  Check& Begin(std::string name, std::string about);
  void Differ(std::string place, std::string what, std::string expected, std::string found);

  // audit_lanes.cc
  absl::StatusOr<Lanes> ReadLanes();
  absl::Status CheckLanes();
  absl::Status CheckLane(const LaneBooks& mine);
  absl::StatusOr<bool> Agrees(const LaneBooks& mine, bool last_look);
  void CheckSums(const Lanes& lanes);

  // audit_usage.cc
  absl::Status CheckUsage();
  absl::Status CheckKey(const std::string& key);
  absl::Status CheckWindow(const std::string& key, absl::Time begin, absl::Time* end);
  absl::Status LookAgain(const std::string& key, absl::Time begin, absl::Time end);

  // audit_rows.cc
  absl::Status CheckRows(const Lanes& before);
  absl::Status CheckQuarantine();
  absl::StatusOr<uint64_t> CountMessages();
  void CompareRows(absl::string_view table, absl::string_view kind, uint64_t rows,
                   const Lanes& before, const Lanes& after);

  const AuditOptions& options_;
  const absl::FunctionRef<std::vector<LaneBooks>()> books_;
  const absl::FunctionRef<bool()> cancelled_;
  mysql::SessionSource& sessions_;
  base::Clock& clock_;
  AuditReport report_;
  uint64_t usage_rows_ = 0;  // That the walk over usage_records has seen.
};

}  // namespace holdfast::inspect
