// Usage events: a raw row each in usage_records, and the hourly counters of usage_stats.

#pragma once

#include <vector>

#include "server/event/view.h"
#include "server/statement/id_batch.h"

namespace holdfast::statement {

class UsageBatch final : public IdBatch {
 public:
  UsageBatch(absl::Span<const event::Accepted> events, const BatchOptions& options);

  std::vector<Call> Counters() override;

 private:
  // What an event says; its texts lie in the event's bytes.
  struct Said {
    event::UsageView usage;
    event::Moment occurred_at;
    bool has_uuid = false;  // As its id: the text need not be kept.
  };
  void MakeRows();

  const int64_t offset_seconds_;
  std::vector<Said> said_;  // By event.
};

}  // namespace holdfast::statement
