// Rate-limit events: counts in rate_limit_records, which may be a gateway's own table, so only the
// columns that every version of it has are named; and the ids of hits in holdfast_rate_limit_hits.

#pragma once

#include <deque>
#include <string>

#include "server/statement/id_batch.h"

namespace holdfast::statement {

class RateLimitBatch final : public IdBatch {
 public:
  RateLimitBatch(absl::Span<const event::Accepted> events, const BatchOptions& options);

  // Hits first, then what was observed: where a batch says both of one row, the greater counts.
  std::vector<Call> Counters() override;

 private:
  void MakeRows();
  absl::string_view Stored(absl::string_view identifier);

  const bool hash_api_keys_;
  std::deque<std::string> hashed_;  // Identifiers as stored, where that is not as sent.
};

}  // namespace holdfast::statement
