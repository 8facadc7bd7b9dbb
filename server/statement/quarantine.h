// Events that the database refused, in holdfast_quarantine: written in the transaction that moves
// the lane past them, listed for operators.

#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"

#include "server/event/batch.h"
#include "server/event/kind.h"
#include "server/statement/build.h"
#include "server/statement/lane_position.h"

namespace holdfast::statement {

// As in sql/0001_holdfast.sql.
inline constexpr size_t kColumnNameBytesMax = 64;
inline constexpr size_t kReasonBytesMax = 512;

// Under what an event is kept once: a digest of its kind and of its bytes as they were sent.
event::Id QuarantineDigest(event::Kind kind, absl::string_view bytes);

// At most `bytes_max` bytes of `text`, cut between two characters.
absl::string_view CutText(absl::string_view text, size_t bytes_max);

// An event and why it was refused.
struct Refused {
  const event::Accepted* event = nullptr;  // Not owned.
  unsigned error_number = 0;
  absl::string_view column;  // Not owned, like the next.
  absl::string_view reason;
};

// The rows for some refused events, sorted by digest. An event that is there already is counted
// once more, and waits again if it had been settled. Hits without an id are each an event of their
// own, whatever they say: two of them are two rows. Owns what its call points to, except the
// events.
class QuarantineInsert {
 public:
  // `minimal`: without the JSON form and the words about the fault, for when the database refuses
  // them, too.
  QuarantineInsert(event::Kind kind, const LaneKey& lane, const event::Id& journal_id,
                   absl::Span<const Refused> refused, absl::Time now, bool minimal);
  QuarantineInsert(const QuarantineInsert&) = delete;
  QuarantineInsert& operator=(const QuarantineInsert&) = delete;

  const Call& call() const { return call_; }
  // Which of `refused` row `row` stands for.
  size_t IndexOfRow(size_t row) const { return order_[row]; }

 private:
  absl::string_view Keep(std::string text);

  const event::Id journal_id_;
  std::vector<event::Id> digests_;
  std::vector<size_t> order_;
  std::deque<std::string> texts_;
  Call call_;
};

// A row as operators see it.
struct QuarantinedEvent {
  uint64_t quarantine_id = 0;
  std::string kind;
  event::Id producer;
  uint64_t sequence = 0;
  unsigned error_number = 0;
  std::string reason;
  std::string column;
  absl::Time first_at;
  absl::Time last_at;
  uint32_t attempts = 0;
  std::string writer_id;
  std::string lane;
  std::string outcome;  // Empty while it waits; else a constant of quarantine_replay.h.
  std::optional<absl::Time> settled_at;
  std::string settled_by;
  std::string settled_reason;
  std::string event_json;  // Empty unless asked for.
};

// The newest rows below `below`, at most `rows_max`, without content: those that wait, or with
// `settled` all.
Call ListQuarantine(uint64_t below, uint64_t rows_max, bool settled);
absl::StatusOr<QuarantinedEvent> ReadQuarantined(const mysql::ResultRow& answer);

// The JSON form of one event: no row, or one with one column.
Call ReadQuarantinedContent(uint64_t quarantine_id);

}  // namespace holdfast::statement
