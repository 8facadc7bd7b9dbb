// Reads the quarantine for operators.

#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "server/mysql/session.h"
#include "server/statement/quarantine.h"

namespace holdfast::writer {

using statement::QuarantinedEvent;

inline constexpr uint64_t kQuarantinePageMax = 1000;

// Content on one page, about: a page that would hold more ends early.
inline constexpr size_t kQuarantinePageBytesMax = size_t{2} << 20;

struct QuarantineQuery {
  uint64_t below = UINT64_MAX;  // Only quarantine ids below this: the last page's `next`.
  uint64_t rows_max = 100;      // 1 to kQuarantinePageMax; beyond that, that.
  uint64_t only = 0;            // If not 0: this one alone, settled or not.
  bool include_settled = false;
  bool include_content = false;
};

struct QuarantinePage {
  std::vector<QuarantinedEvent> events;  // Newest first.
  uint64_t next = 0;                     // `below` of the next page; 0 if this is the last.
};

// One page. Fails, with a verdict, while the database cannot be asked: an empty page means that
// there are no such events. `deadline` (steady clock): to wait for a session.
absl::StatusOr<QuarantinePage> ListQuarantine(mysql::SessionSource& sessions, absl::Time deadline,
                                              const QuarantineQuery& query);

}  // namespace holdfast::writer
