#include "tests/unit/pipeline/fake_journal.h"

#include <algorithm>
#include <utility>

namespace holdfast::test {

class FakeReader final : public journal::Reader {
 public:
  FakeReader(FakeJournal* journal, event::Lane lane, uint64_t after_ordinal)
      : journal_(journal), lane_(lane), next_(after_ordinal) {}

  absl::StatusOr<std::vector<Record>> NextUpTo(uint64_t last, size_t bytes_max) override {
    absl::MutexLock lock(&journal_->mu_);
    if (journal_->refuse_reads_) return absl::UnavailableError("the disk cannot be read");
    std::vector<Record> records;
    size_t bytes = 0;
    const auto& lane = journal_->lanes_[lane_];
    for (; next_ < std::min<uint64_t>(lane.size(), last) && bytes < bytes_max; ++next_) {
      if (journal_->lost_[lane_].contains(next_ + 1)) continue;
      Record record = lane[next_].record;
      record.bytes = lane[next_].bytes;
      bytes += record.bytes.size();
      read_through_ = record.offset;
      records.push_back(record);
    }
    journal_->records_read_ += records.size();
    if (records.empty()) read_through_ = journal_->last_offset_;
    return records;
  }

  uint64_t read_through() const override { return read_through_; }

 private:
  FakeJournal* const journal_;
  const event::Lane lane_;
  uint64_t next_;  // Index of the next record: ordinals count from 1.
  uint64_t read_through_ = 0;
};

FakeJournal::FakeJournal() = default;
FakeJournal::~FakeJournal() { Stop(); }

void FakeJournal::HoldBack(bool hold) {
  absl::MutexLock lock(&mu_);
  held_back_ = hold;
}

void FakeJournal::HoldSync(bool hold) {
  absl::MutexLock lock(&mu_);
  hold_sync_ = hold;
}

void FakeJournal::Fail(const absl::Status& failure) {
  absl::MutexLock lock(&mu_);
  failure_ = failure;
}

void FakeJournal::SetRoom(bool room) {
  absl::MutexLock lock(&mu_);
  room_ = room;
}

void FakeJournal::RefuseReads(bool refuse) {
  absl::MutexLock lock(&mu_);
  refuse_reads_ = refuse;
}

void FakeJournal::Lose(event::Lane lane, uint64_t ordinal) {
  absl::MutexLock lock(&mu_);
  lost_[lane].insert(ordinal);
}

void FakeJournal::Spoil(event::Lane lane, uint64_t ordinal) {
  absl::MutexLock lock(&mu_);
  lanes_[lane][ordinal - 1].bytes = "\xff\xff not an event";
}

void FakeJournal::Reopen() {
  absl::MutexLock lock(&mu_);
  for (size_t lane = 0; lane < lanes_.size(); ++lane) recovered_heads_[lane] = lanes_[lane].size();
  handed_in_.clear();
  for (const auto& [id, state] : durable_) handed_in_[id] = state.last_sequence;
  queue_.clear();
  stopping_ = false;
  listener_ = nullptr;
}

std::vector<uint64_t> FakeJournal::kept_again() const {
  absl::MutexLock lock(&mu_);
  return kept_again_;
}

void FakeJournal::Forget(const event::Id& producer) {
  absl::MutexLock lock(&mu_);
  handed_in_.erase(producer);
  durable_.erase(producer);
}

journal::LanePositions FakeJournal::released() const {
  absl::MutexLock lock(&mu_);
  return released_;
}

uint64_t FakeJournal::records_read() const {
  absl::MutexLock lock(&mu_);
  return records_read_;
}

std::vector<journal::ProducerState> FakeJournal::producers() const {
  absl::MutexLock lock(&mu_);
  std::vector<journal::ProducerState> states;
  for (const auto& [id, state] : durable_) states.push_back(state);
  return states;
}

void FakeJournal::Start(journal::Listener* listener) {
  listener_ = listener;
  thread_ = std::thread([this] { Run(); });
}

absl::Status FakeJournal::Append(std::shared_ptr<const event::Batch> batch) {
  absl::MutexLock lock(&mu_);
  if (!failure_.ok()) return absl::DataLossError("the journal has failed");
  if (stopping_) return absl::UnavailableError("the journal is stopped");
  if (!room_) return absl::ResourceExhaustedError("the journal is full");
  if (!batch->producer.is_nil()) {
    uint64_t& last = handed_in_[batch->producer];
    if (batch->first_sequence > last + 1) return absl::FailedPreconditionError("a gap");
    last = std::max(last, batch->last_sequence);
  }
  queue_.push_back(std::move(batch));
  return absl::OkStatus();
}

bool FakeJournal::HasWork() const {
  return stopping_ || (!failure_.ok() && !failure_told_) || (!queue_.empty() && !held_back_);
}

void FakeJournal::Run() {
  while (true) {
    std::vector<journal::Durable> group;
    absl::Status failure;
    {
      absl::MutexLock lock(&mu_);
      mu_.Await(absl::Condition(this, &FakeJournal::HasWork));
      if (!failure_.ok()) {
        if (failure_told_) return;
        failure_told_ = true;
        failure = failure_;
      } else {
        if (queue_.empty()) return;
        for (const auto& batch : queue_) group.push_back(MakeDurable(batch));
        queue_.clear();
      }
    }
    if (failure.ok()) {
      listener_->OnNumbered(group);
      absl::MutexLock lock(&mu_);
      mu_.Await(absl::Condition(this, &FakeJournal::MaySync));
      failure_told_ = !failure_.ok();
      failure = failure_;
    }
    if (!failure.ok()) return listener_->OnFailure(failure);
    listener_->OnDurable(group);
  }
}

journal::Durable FakeJournal::MakeDurable(const std::shared_ptr<const event::Batch>& batch) {
  journal::Durable durable;
  durable.batch = batch;
  durable.ordinals.resize(batch->items.size());
  journal::ProducerState& state = durable_[batch->producer];
  state.producer = batch->producer;
  for (size_t i = 0; i < batch->items.size(); ++i) {
    const event::Item& item = batch->items[i];
    if (!batch->producer.is_nil() && item.sequence <= state.last_sequence) {
      durable.first_new_item = i + 1;
      continue;
    }
    auto& lane = lanes_[item.lane];
    durable.ordinals[i] = lane.size() + 1;
    Record record;
    record.record.offset = ++last_offset_;
    record.record.ordinal = lane.size() + 1;
    record.record.producer = batch->producer;
    record.record.sequence = item.sequence;
    record.record.accepted_at = batch->accepted_at;
    record.record.trace = batch->trace;
    record.bytes = std::string(item.bytes);
    lane.push_back(std::move(record));
  }
  durable.last_offset = last_offset_;
  durable.first_offset = last_offset_ + 1 - batch->items.size();
  state.last_sequence = std::max(state.last_sequence, batch->last_sequence);
  state.last_offset = last_offset_;
  if (batch->producer.is_nil()) durable_.erase(batch->producer);
  return durable;
}

bool FakeJournal::HasRoom() const {
  absl::MutexLock lock(&mu_);
  return room_;
}

uint64_t FakeJournal::LastSequence(const event::Id& producer) const {
  absl::MutexLock lock(&mu_);
  const auto it = handed_in_.find(producer);
  return it == handed_in_.end() ? 0 : it->second;
}

void FakeJournal::Release(const journal::LanePositions& settled, absl::Time /*seen_at*/) {
  absl::MutexLock lock(&mu_);
  for (size_t lane = 0; lane < settled.size(); ++lane) {
    if (settled[lane] < released_[lane]) kept_again_.push_back(settled[lane]);
  }
  released_ = settled;
}

std::unique_ptr<journal::Reader> FakeJournal::Read(event::Lane lane, uint64_t after_ordinal) {
  return std::make_unique<FakeReader>(this, lane, after_ordinal);
}

journal::JournalStatus FakeJournal::Status() const {
  absl::MutexLock lock(&mu_);
  journal::JournalStatus status;
  status.failure = failure_;
  status.last_offset = last_offset_;
  for (size_t lane = 0; lane < lanes_.size(); ++lane) status.lane_heads[lane] = lanes_[lane].size();
  return status;
}

void FakeJournal::Stop() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
    held_back_ = false;
    hold_sync_ = false;
  }
  if (thread_.joinable()) thread_.join();
}

}  // namespace holdfast::test
