#include "server/pipeline/receipts.h"

#include <algorithm>
#include <utility>

#include "server/base/check.h"

namespace holdfast::pipeline {

void Send(std::vector<Answer> answers) {
  for (Answer& answer : answers) std::move(answer.done)(std::move(answer.receipt));
}

uint64_t Receipts::Add(const event::Batch* batch, bool until_committed,
                       absl::AnyInvocable<void(Receipt)>& done) {
  if (waiting_.size() >= kReceiptsMax) return 0;
  const uint64_t number = ++last_number_;
  HOLDFAST_CHECK(by_batch_.emplace(batch, number).second);
  Waiting& waiting = waiting_[number];
  waiting.done = std::move(done);
  waiting.until_committed = until_committed;
  waiting.batch = batch;
  return number;
}

void Receipts::OnDurable(const journal::Durable& durable, const Progress& progress) {
  const auto it = by_batch_.find(durable.batch.get());
  if (it == by_batch_.end()) return;
  const uint64_t number = it->second;
  by_batch_.erase(it);
  Waiting& waiting = waiting_.at(number);
  waiting.batch = nullptr;
  if (waiting.until_committed) WaitForLanes(number, durable, progress);
  if (waiting.is_over()) Finish(number, absl::OkStatus());
}

void Receipts::WaitForLanes(uint64_t number, const journal::Durable& durable,
                            const Progress& progress) {
  const event::Batch& batch = *durable.batch;
  Waiting& waiting = waiting_.at(number);
  std::array<uint64_t, event::kLaneCount> last_ordinals{};
  for (size_t i = durable.first_new_item; i < batch.items.size(); ++i) {
    last_ordinals[batch.items[i].lane] = durable.ordinals[i];
  }
  for (size_t lane = 0; lane < last_ordinals.size(); ++lane) {
    if (last_ordinals[lane] == 0) continue;
    by_lane_[lane].emplace(last_ordinals[lane], number);
    waiting.lanes.emplace_back(static_cast<event::Lane>(lane), last_ordinals[lane]);
  }
  const size_t new_items = batch.items.size() - durable.first_new_item;
  if (new_items > 0) {
    waiting.last_offset = durable.last_offset;
    waiting.first_offset = durable.last_offset - (new_items - 1);
    by_first_offset_[waiting.first_offset] = number;
  }
  if (durable.first_new_item > 0) {
    const uint64_t held_through = batch.items[durable.first_new_item - 1].sequence;
    if (progress.Of(batch.producer).committed_through < held_through) {
      by_producer_[batch.producer].emplace(held_through, number);
      waiting.producer = batch.producer;
      waiting.first_sequence = batch.first_sequence;
      waiting.sequence = held_through;
    }
  }
}

void Receipts::OnRejected(const writer::Rejection& rejection) {
  // Those that sent it again, while it was pending.
  if (const auto held = by_producer_.find(rejection.producer); held != by_producer_.end()) {
    for (auto at = held->second.lower_bound({rejection.sequence, 0}); at != held->second.end();
         ++at) {
      Waiting& waiting = waiting_.at(at->second);
      if (waiting.first_sequence <= rejection.sequence) waiting.rejections.push_back(rejection);
    }
  }
  auto it = by_first_offset_.upper_bound(rejection.offset);
  if (it == by_first_offset_.begin()) return;
  Waiting& waiting = waiting_.at((--it)->second);
  if (rejection.offset <= waiting.last_offset) waiting.rejections.push_back(rejection);
}

void Receipts::OnSettled(event::Lane lane, uint64_t position) {
  Queue& queue = by_lane_[lane];
  while (!queue.empty() && queue.begin()->first <= position) {
    const auto [ordinal, number] = *queue.begin();
    queue.erase(queue.begin());
    Waiting& waiting = waiting_.at(number);
    auto& lanes = waiting.lanes;
    lanes.erase(std::find(lanes.begin(), lanes.end(), std::pair(lane, ordinal)));
    if (waiting.is_over()) Finish(number, absl::OkStatus());
  }
}

void Receipts::OnCommitted(const event::Id& producer, uint64_t committed_through) {
  while (true) {
    const auto it = by_producer_.find(producer);
    if (it == by_producer_.end() || it->second.begin()->first > committed_through) return;
    const uint64_t number = it->second.begin()->second;
    Waiting& waiting = waiting_.at(number);
    LeaveProducer(number, &waiting);
    if (waiting.is_over()) Finish(number, absl::OkStatus());
  }
}

void Receipts::LeaveProducer(uint64_t number, Waiting* waiting) {
  const auto it = by_producer_.find(waiting->producer);
  it->second.erase({waiting->sequence, number});
  if (it->second.empty()) by_producer_.erase(it);
  waiting->sequence = 0;
}

std::optional<Answer> Receipts::Cancel(uint64_t number, const absl::Status& reason) {
  if (!waiting_.contains(number)) return std::nullopt;
  return Remove(number, reason);
}

void Receipts::CancelAll(const absl::Status& reason) {
  while (!waiting_.empty()) Finish(waiting_.begin()->first, reason);
}

void Receipts::Finish(uint64_t number, absl::Status status) {
  answers_.push_back(Remove(number, std::move(status)));
}

Answer Receipts::Remove(uint64_t number, absl::Status status) {
  const auto it = waiting_.find(number);
  Waiting waiting = std::move(it->second);
  waiting_.erase(it);
  if (waiting.batch != nullptr) by_batch_.erase(waiting.batch);
  if (waiting.first_offset != 0) by_first_offset_.erase(waiting.first_offset);
  for (const auto& [lane, ordinal] : waiting.lanes) by_lane_[lane].erase({ordinal, number});
  if (waiting.sequence != 0) LeaveProducer(number, &waiting);
  Answer answer;
  answer.done = std::move(waiting.done);
  answer.receipt.committed = status.ok() && waiting.until_committed;
  answer.receipt.status = std::move(status);
  answer.receipt.rejections = std::move(waiting.rejections);
  return answer;
}

std::vector<Answer> Receipts::TakeAnswers() { return std::exchange(answers_, {}); }

}  // namespace holdfast::pipeline
