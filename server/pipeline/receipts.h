// The callers that wait for one unary batch each.

#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"

#include "server/event/batch.h"
#include "server/journal/journal.h"
#include "server/pipeline/pipeline.h"
#include "server/pipeline/progress.h"
#include "server/writer/lane_writer.h"

namespace holdfast::pipeline {

// A caller to be answered, once no lock is held.
struct Answer {
  absl::AnyInvocable<void(Receipt)> done;
  Receipt receipt;
};
void Send(std::vector<Answer> answers);

// Not thread-safe. Callers whose wait is over are collected for TakeAnswers.
class Receipts final {
 public:
  // Waiting at the same time.
  static constexpr size_t kReceiptsMax = 10'000;

  // A number for Cancel, or 0 if too many wait; then `done` is untouched. `batch` is told apart by
  // its address, so it must live until OnDurable or Cancel.
  uint64_t Add(const event::Batch* batch, bool until_committed,
               absl::AnyInvocable<void(Receipt)>& done);

  // Before the lanes are told, after `progress` was.
  void OnDurable(const journal::Durable& durable, const Progress& progress);
  // Before the OnSettled that covers it.
  void OnRejected(const writer::Rejection& rejection);
  void OnSettled(event::Lane lane, uint64_t position);
  void OnCommitted(const event::Id& producer, uint64_t committed_through);

  // The answer with `reason`, to be sent by the caller; nullopt if it was answered already.
  std::optional<Answer> Cancel(uint64_t number, const absl::Status& reason);
  void CancelAll(const absl::Status& reason);

  std::vector<Answer> TakeAnswers();
  size_t count() const { return waiting_.size(); }

 private:
  struct Waiting {
    absl::AnyInvocable<void(Receipt)> done;
    bool until_committed = false;
    const event::Batch* batch = nullptr;  // Until it is durable.
    uint64_t first_offset = 0;            // Of its new events, once durable; 0 if there are none.
    uint64_t last_offset = 0;
    // What is still to come far enough: lanes by ordinal, and the producer by sequence (0: not).
    std::vector<std::pair<event::Lane, uint64_t>> lanes;
    event::Id producer;
    uint64_t first_sequence = 0;
    uint64_t sequence = 0;
    std::vector<writer::Rejection> rejections;
    bool is_over() const { return lanes.empty() && sequence == 0; }
  };
  // Who waits for a value: (value, number).
  using Queue = std::set<std::pair<uint64_t, uint64_t>>;

  void WaitForLanes(uint64_t number, const journal::Durable& durable, const Progress& progress);
  void LeaveProducer(uint64_t number, Waiting* waiting);
  Answer Remove(uint64_t number, absl::Status status);
  void Finish(uint64_t number, absl::Status status);

  uint64_t last_number_ = 0;
  absl::flat_hash_map<uint64_t, Waiting> waiting_;
  absl::flat_hash_map<const event::Batch*, uint64_t> by_batch_;
  std::map<uint64_t, uint64_t> by_first_offset_;
  std::array<Queue, event::kLaneCount> by_lane_;       // By ordinal.
  absl::flat_hash_map<event::Id, Queue> by_producer_;  // By sequence.
  std::vector<Answer> answers_;
};

}  // namespace holdfast::pipeline
