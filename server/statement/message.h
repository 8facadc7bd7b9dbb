// Messages: one row each in `message`, which may be a gateway's own table, so only the columns that
// its ingest writes are named.

#pragma once

#include <vector>

#include "server/statement/batch.h"

namespace holdfast::statement {

class MessageBatch final : public Batch {
 public:
  explicit MessageBatch(absl::Span<const event::Accepted> events);

  std::vector<size_t> Reject(size_t row) override;
  // None: a second delivery is a duplicate, whatever it says.
  std::vector<Call> LookUps(size_t, size_t) const override { return {}; }
  absl::Status Learn(const mysql::ResultRow& answer) override;
  std::vector<Call> Counters() override { return {}; }

 private:
  void MakeRows();

  struct Follower {
    uint32_t row;
    uint32_t event;
  };
  std::vector<Follower> followers_;  // By row: events whose id an earlier event of the batch has.
};

}  // namespace holdfast::statement
