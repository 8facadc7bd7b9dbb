// A batch whose raw rows carry an id of sixteen bytes, a hash of the content and the transaction's
// tag: what usage events and rate-limit hits have in common.

#pragma once

#include <cstdint>
#include <vector>

#include "server/event/event_id.h"
#include "server/statement/batch.h"

namespace holdfast::statement {

class IdBatch : public Batch {
 public:
  std::vector<size_t> Reject(size_t row) final;
  std::vector<Call> LookUps(size_t first, size_t count) const final;
  absl::Status Learn(const mysql::ResultRow& answer) final;

 protected:
  // `look_ups`: SELECT event_id, content_hash, batch_tag by ids, as MakeLookUps gives them.
  using LookUpLadder = std::vector<const mysql::Statement*>;
  IdBatch(absl::Span<const event::Accepted> events, uint64_t tag, const LookUpLadder& look_ups)
      : Batch(events), tag_(tag), look_ups_(look_ups) {}

  // The look-ups for `table`, for a few fixed numbers of ids: shapes stay bounded.
  static LookUpLadder MakeLookUps(absl::string_view table);

  // First every event that has an id, then Fold: sorts by id, and decides among events that share
  // one. The first of them gets the row, whatever becomes of it.
  void Add(uint32_t event, const event::Id& id, uint64_t content_hash);
  void Fold();

  struct Row {
    event::Id id;
    uint64_t content_hash;
  };
  const std::vector<Row>& rows() const { return rows_; }  // After Fold; as row_events_.
  uint64_t tag() const { return tag_; }

 private:
  struct Entry {
    uint64_t high;  // The id as two numbers, so that comparing is cheap.
    uint64_t low;
    uint64_t content_hash;
    uint32_t event;
  };
  struct Follower {
    uint32_t row;
    uint32_t event;
    uint64_t content_hash;
  };
  absl::Span<const Follower> FollowersOf(size_t row) const;

  const uint64_t tag_;
  const LookUpLadder& look_ups_;
  std::vector<Entry> entries_;
  std::vector<Row> rows_;
  std::vector<Follower> followers_;  // By row: events whose id an earlier event of the batch has.
};

}  // namespace holdfast::statement
