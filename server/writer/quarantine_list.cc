#include "server/writer/quarantine_list.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "server/base/status_macros.h"
#include "server/writer/transaction.h"

namespace holdfast::writer {
namespace {

// One by one, so that no answer is larger than one event.
absl::Status AddContent(Transaction& transaction, QuarantinedEvent& event) {
  HOLDFAST_ASSIGN_OR_RETURN(
      const std::vector<mysql::ResultRow> answer,
      transaction.Query(statement::ReadQuarantinedContent(event.quarantine_id)));
  if (answer.empty()) return absl::OkStatus();  // Discarded meanwhile.
  HOLDFAST_ASSIGN_OR_RETURN(event.event_json, statement::ReadText(answer.front(), 0));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<QuarantinePage> ListQuarantine(mysql::SessionSource& sessions, absl::Time deadline,
                                              const QuarantineQuery& query) {
  const bool one = query.only != 0;
  const uint64_t rows_max = one ? 1 : std::clamp<uint64_t>(query.rows_max, 1, kQuarantinePageMax);
  const uint64_t below = one ? query.only + 1 : query.below;
  HOLDFAST_ASSIGN_OR_RETURN(const std::unique_ptr<Transaction> transaction,
                            Transaction::Begin(sessions, deadline));
  // One more than the page holds tells whether there is another page.
  HOLDFAST_ASSIGN_OR_RETURN(const std::vector<mysql::ResultRow> answer,
                            transaction->Query(statement::ListQuarantine(
                                below, rows_max + 1, one || query.include_settled)));
  QuarantinePage page;
  size_t content_bytes = 0;
  for (const mysql::ResultRow& row : answer) {
    if (page.events.size() == rows_max && one) break;
    if (page.events.size() == rows_max || content_bytes > kQuarantinePageBytesMax) {
      page.next = page.events.back().quarantine_id;
      break;
    }
    HOLDFAST_ASSIGN_OR_RETURN(QuarantinedEvent event, statement::ReadQuarantined(row));
    if (one && event.quarantine_id != query.only) break;
    if (query.include_content) {
      HOLDFAST_RETURN_IF_ERROR(AddContent(*transaction, event));
      content_bytes += event.event_json.size();
    }
    page.events.push_back(std::move(event));
  }
  return page;
}

}  // namespace holdfast::writer
