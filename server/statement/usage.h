// Usage events: a raw row each in usage_records, and the hourly counters of usage_stats.

#pragma once

#include "server/statement/id_batch.h"

namespace holdfast::statement {

class UsageBatch final : public IdBatch {
 public:
  UsageBatch(absl::Span<const event::Accepted> events, const BatchOptions& options);

  std::vector<Call> Counters() override;

 private:
  void MakeRows();

  const int64_t offset_seconds_;
};

}  // namespace holdfast::statement
