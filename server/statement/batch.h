// A batch of events of one kind, ready for its tables: raw rows, keyed by the events' own ids, and
// the counters that follow from those rows that turn out to be new.
//
//   batch = Batch::Make(...)           rows sorted by primary key, no key twice
//   run raw() in pieces                Reject(row) for each that the database refuses
//   where fewer came in than were sent LookUps, Learn (or, where ids say it all, NoteDuplicates)
//   run Counters()                     sorted by key
//
// So two batches lock rows in one order, and a hot counter is locked only for the last statement.

#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/span.h"

#include "server/event/batch.h"
#include "server/event/kind.h"
#include "server/statement/build.h"

namespace holdfast::statement {

// What becomes of an event.
enum class Fate : uint8_t {
  kNew,
  kDuplicate,  // Its id is there already, with the same content.
  kConflict,   // Its id is there already, with other content.
  kRejected,   // The database refused its row.
};

struct BatchOptions {
  // A random number, another one for each transaction: tells which raw rows it inserted itself.
  uint64_t tag = 0;
  // Where the hours of usage_stats begin.
  absl::Duration stats_utc_offset = absl::ZeroDuration();
  // Store "api_key:..." identifiers of rate limits as "api_key:sha256:<hex>".
  bool hash_api_keys = false;
};

struct Tally {
  uint64_t fresh = 0;
  uint64_t duplicate = 0;
  uint64_t conflict = 0;
  uint64_t rejected = 0;
};

// Not thread-safe. The events must outlive it, and it must outlive the calls it gave out.
class Batch {
 public:
  // REQUIRES: `events` are valid and of `kind`.
  static std::unique_ptr<Batch> Make(event::Kind kind, absl::Span<const event::Accepted> events,
                                     const BatchOptions& options);
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;
  virtual ~Batch() = default;

  // The raw rows. There may be none.
  const Call& raw() const { return raw_; }
  // Which of the events row `row` stands for.
  size_t EventOfRow(size_t row) const { return row_events_[row]; }

  // The database refused row `row`. Events of the same id and content share its fate. Returns them
  // all.
  virtual std::vector<size_t> Reject(size_t row) = 0;

  // Of rows [first, first + count), fewer were inserted than were sent. What to ask to learn which;
  // none if the id alone makes a duplicate: then say how many with NoteDuplicates.
  virtual std::vector<Call> LookUps(size_t first, size_t count) const = 0;
  // An answer to one of them. Internal if it makes no sense.
  virtual absl::Status Learn(const mysql::ResultRow& answer) = 0;
  void NoteDuplicates(uint64_t count) { unnamed_duplicates_ += count; }

  // The statements that add to counters what the new events say, in their order.
  virtual std::vector<Call> Counters() = 0;

  Fate fate(size_t event) const { return fates_[event]; }
  Tally Count() const;

 protected:
  explicit Batch(absl::Span<const event::Accepted> events)
      : events_(events), fates_(events.size(), Fate::kNew) {}

  // The event as it lies in its bytes. The view is good until the next call, its texts as long as
  // this.
  const event::EventView& Read(const event::Accepted& event);

  const absl::Span<const event::Accepted> events_;
  std::vector<Fate> fates_;  // By event.
  Call raw_;
  std::vector<uint32_t> row_events_;

 private:
  event::Decoded decoded_;
  std::vector<std::unique_ptr<v1::Event>> messages_;  // What views of unusual events point into.
  uint64_t unnamed_duplicates_ = 0;
};

}  // namespace holdfast::statement
