#include "server/inspect/positions.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "server/base/status_macros.h"
#include "server/statement/lane_position.h"

namespace holdfast::inspect {
namespace {

using mysql::ResultRow;

absl::StatusOr<std::vector<ResultRow>> Ask(mysql::Rented& session, const statement::Call& call) {
  absl::StatusOr<std::vector<ResultRow>> answer = session->Query(*call.statement, call.rows);
  if (!answer.ok()) session.Condemn();
  return answer;
}

}  // namespace

absl::StatusOr<Positions> ReadPositions(mysql::SessionSource& sessions, absl::Time deadline,
                                        const event::Id& journal_id, bool in_use) {
  HOLDFAST_ASSIGN_OR_RETURN(mysql::Rented session, sessions.Rent(deadline));
  HOLDFAST_ASSIGN_OR_RETURN(const std::vector<ResultRow> rows,
                            Ask(session, statement::ListLanesOfJournal(journal_id)));
  Positions positions;
  for (const ResultRow& row : rows) {
    HOLDFAST_ASSIGN_OR_RETURN(const std::string writer_id, statement::ReadText(row, 0));
    HOLDFAST_ASSIGN_OR_RETURN(const std::string name, statement::ReadText(row, 1));
    HOLDFAST_ASSIGN_OR_RETURN(uint64_t position, statement::ReadUnsigned(row, 2));
    if (!in_use) {
      HOLDFAST_ASSIGN_OR_RETURN(const std::vector<ResultRow> settled,
                                Ask(session, statement::AwaitLanePosition({writer_id, name})));
      if (settled.empty()) continue;
      HOLDFAST_ASSIGN_OR_RETURN(position, statement::ReadUnsigned(settled.front(), 0));
    }
    for (event::Lane lane = 0; lane < event::kLaneCount; ++lane) {
      if (event::LaneName(lane) != name) continue;
      // More rows than one: the writer id was changed. Settled under either is settled.
      positions[lane] = std::max(positions[lane].value_or(0), position);
    }
  }
  return positions;
}

}  // namespace holdfast::inspect
