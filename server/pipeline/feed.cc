#include "server/pipeline/feed.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "server/base/check.h"
#include "server/base/log.h"
#include "server/base/seeded_bug.h"
#include "server/base/status_macros.h"

namespace holdfast::pipeline {
namespace {

// A reader that has nothing although the head is further on is asked again after this long.
constexpr absl::Duration kReadAgainAfter = absl::Milliseconds(10);

// A small event takes about so many times its size in the journal with all that is noted of it.
constexpr size_t kMemoryPerByte = 4;
constexpr size_t kSliceBytesMin = size_t{4} << 10;
constexpr size_t kSliceBytesMax = size_t{256} << 10;

// A gap of so many full cuts is short: it is read before what comes meanwhile has waited for long.
constexpr uint64_t kShortGapCuts = 8;

// How much to read in one go: little enough that the memory that it takes is seen before much
// more than the share is used.
size_t SliceBytes(size_t free_bytes) {
  return std::clamp(free_bytes / kMemoryPerByte, kSliceBytesMin, kSliceBytesMax);
}

}  // namespace

Feed::Feed(event::Lane lane, uint64_t head, uint64_t head_offset, const FeedLimits& limits,
           journal::Journal& journal, Memory& memory, base::Clock& clock)
    : lane_(lane),
      limits_(limits),
      journal_(journal),
      memory_(memory),
      clock_(clock),
      head_(head),
      head_offset_(head_offset),
      numbered_(head),
      numbered_offset_(head_offset) {}

bool Feed::TakesMore() const {
  absl::MutexLock lock(&mu_);
  return open_ && Follows(numbered_ + 1);
}

bool Feed::Follows(uint64_t ordinal) const {
  if (ordinal == next_) return true;
  if (!ahead_.empty()) return ordinal == ahead_.back().event.ordinal + 1;
  return ordinal - next_ <= kShortGapCuts * limits_.rows_max;
}

uint64_t Feed::GapEnd() const {
  return ahead_.empty() ? head_ : std::min(head_, ahead_.front().event.ordinal - 1);
}

void Feed::OnNumbered(Arrival arrival) {
  absl::MutexLock lock(&mu_);
  HOLDFAST_CHECK(arrival.first_ordinal > numbered_ && numbered_ == head_);
  for (event::Accepted& event : arrival.events) {
    if (!open_ || !Follows(event.ordinal)) break;
    const size_t charge = ChargeOf(event);
    if (charge_ + charge > memory_.lane_bytes_max()) break;
    if (event.ordinal == next_) {
      Push(std::move(event), charge);
    } else {
      charge_ += charge;
      ahead_.push_back({std::move(event), charge});
    }
  }
  if (next_ <= arrival.last_ordinal && next_ >= arrival.first_ordinal) {
    behind_since_ = arrival.accepted_at;
  }
  numbered_ = arrival.last_ordinal;
  numbered_offset_ = arrival.last_offset;
}

void Feed::OnDurable() {
  absl::MutexLock lock(&mu_);
  head_ = numbered_;
  head_offset_ = numbered_offset_;
}

void Feed::OnFailure() {
  absl::MutexLock lock(&mu_);
  failed_ = true;
  numbered_ = head_;
  numbered_offset_ = head_offset_;
  for (std::deque<Queued>* held : {&ahead_, &queue_}) {
    while (!held->empty() && held->back().event.ordinal > head_) {
      charge_ -= held->back().charge;
      held->pop_back();
    }
  }
  next_ = std::min(next_, head_ + 1);
}

bool Feed::AwaitDurable(uint64_t ordinal) {
  absl::MutexLock lock(&mu_);
  awaited_ = ordinal;
  if (HOLDFAST_SEEDED_BUG(kCommitBeforeSync)) return true;
  clock_.Await(mu_, absl::Condition(this, &Feed::IsDecided));
  return head_ >= ordinal;
}

void Feed::TakeBack(std::vector<event::Accepted>* cut) {
  absl::MutexLock lock(&mu_);
  while (!cut->empty() && cut->back().ordinal > head_) cut->pop_back();
  handed_ = std::min(handed_, head_);
}

void Feed::SeatAt(uint64_t position) {
  std::deque<Queued> dropped;  // Freed after the lock is released.
  std::deque<Queued> dropped_ahead;
  absl::MutexLock lock(&mu_);
  dropped.swap(queue_);
  dropped_ahead.swap(ahead_);
  charge_ = 0;
  next_ = position + 1;
  handed_ = position;
  open_ = true;
}

absl::StatusOr<Feed::Outcome> Feed::Next(std::vector<event::Accepted>* cut) {
  HOLDFAST_CHECK(cut->empty());
  while (true) {
    {
      absl::MutexLock lock(&mu_);
      clock_.Await(mu_, absl::Condition(this, &Feed::HasWork));
      if (stopped_) return Outcome::kStopped;
      if (!queue_.empty()) {
        Cut(cut);
        return Outcome::kEvents;
      }
      if (next_ > head_ && handed_ < head_) {
        handed_ = head_;
        return Outcome::kLost;
      }
      if (next_ > head_) {
        look_ = false;
        return Outcome::kLook;
      }
    }
    HOLDFAST_RETURN_IF_ERROR(ReadOn());
  }
}

bool Feed::HasWork() const {
  return stopped_ || !queue_.empty() || next_ <= head_ || handed_ < head_ || look_;
}

void Feed::Push(event::Accepted event, size_t charge) {
  next_ = event.ordinal + 1;
  charge_ += charge;
  queue_.push_back({std::move(event), charge});
}

void Feed::CloseGap() {
  if (ahead_.empty() || ahead_.front().event.ordinal != next_) return;
  next_ = ahead_.back().event.ordinal + 1;
  if (queue_.empty()) {
    queue_.swap(ahead_);
    return;
  }
  std::move(ahead_.begin(), ahead_.end(), std::back_inserter(queue_));
  ahead_.clear();
}

void Feed::Cut(std::vector<event::Accepted>* cut) {
  size_t bytes = 0;
  size_t charge = 0;
  while (!queue_.empty() && cut->size() < limits_.rows_max) {
    Queued& first = queue_.front();
    bytes += first.event.bytes.size();
    charge += first.charge;
    // No more than the share, so that the cut can be kept in it should it fail.
    const bool fits = bytes <= limits_.bytes_max && charge <= memory_.share_bytes();
    if (!fits && !cut->empty()) break;
    charge_ -= first.charge;
    cut->push_back(std::move(first.event));
    queue_.pop_front();
  }
  handed_ = cut->back().ordinal;
  look_ = false;  // Writing is looking.
}

absl::Status Feed::ReadOn() {
  uint64_t from = 0;
  uint64_t through = 0;
  uint64_t head_offset = 0;
  {
    absl::MutexLock lock(&mu_);
    from = next_;
    through = GapEnd();
    head_offset = head_offset_;
  }
  HOLDFAST_ASSIGN_OR_RETURN(Read read, ReadShare(from, through));
  Take(std::move(read), through, head_offset);
  return absl::OkStatus();
}

absl::StatusOr<Feed::Read> Feed::ReadShare(uint64_t from, uint64_t through) {
  if (reader_ == nullptr || reader_next_ != from) {
    reader_ = journal_.Read(lane_, from - 1);
    reader_next_ = from;
  }
  Read read;
  read.through = from - 1;
  const size_t share = memory_.share_bytes();
  while (read.through < through && read.charge < share - share / 8) {
    auto records = reader_->NextUpTo(through, SliceBytes(share - read.charge));
    if (!records.ok()) {
      // What was read before the fault is good; the fault will show again.
      if (read.through >= from) break;
      reader_ = nullptr;
      return std::move(records).status();
    }
    if (records->empty()) {
      read.at_end = true;
      break;
    }
    Parse(*records, &read);
  }
  reader_next_ = read.through + 1;
  return read;
}

void Feed::Parse(const std::vector<journal::Reader::Record>& records, Read* read) {
  auto batch = std::make_shared<event::Batch>();
  std::vector<event::Accepted> events;
  events.reserve(records.size());
  for (const journal::Reader::Record& record : records) {
    HOLDFAST_CHECK(record.ordinal > read->through);
    read->through = record.ordinal;
    read->accepted_at = record.accepted_at;
    const absl::Status added = batch->Add(record.sequence, lane_, record.bytes);
    if (!added.ok()) {
      base::LogError(
          "an event in the journal cannot be parsed and is left out; it was written by another "
          "version, or the parser changed: keep the journal folder and report this",
          {{"lane", event::LaneName(lane_)},
           {"ordinal", record.ordinal},
           {"offset", record.offset},
           {"producer", event::FormatUuid(record.producer)},
           {"sequence", record.sequence},
           {"error", added.message()}});
      continue;
    }
    event::Accepted event;
    event.offset = record.offset;
    event.ordinal = record.ordinal;
    event.producer = record.producer;
    event.sequence = record.sequence;
    event.accepted_at = record.accepted_at;
    if (record.trace.is_set()) event.trace = batch->AddTrace(record.trace);
    events.push_back(std::move(event));
  }
  const std::shared_ptr<const event::Batch> owner = memory_.Hold(std::move(batch));
  read->charge += ChargeOf(*owner);
  for (size_t i = 0; i < events.size(); ++i) {
    events[i].bytes = owner->items[i].bytes;
    events[i].owner = owner;
    read->events.push_back(std::move(events[i]));
  }
}

// `wanted`: the last ordinal that was to be read; `head_offset` as it was before the reading.
void Feed::Take(Read read, uint64_t wanted, uint64_t head_offset) {
  const bool found_nothing = read.at_end && read.through < wanted;
  const bool lost = found_nothing && reader_->read_through() >= head_offset;
  absl::MutexLock lock(&mu_);
  const uint64_t gap_end = GapEnd();
  for (event::Accepted& event : read.events) {
    if (event.ordinal > gap_end) break;
    const size_t charge = ChargeOf(event);
    Push(std::move(event), charge);
  }
  next_ = std::max(next_, std::min(read.through, gap_end) + 1);
  if (lost) next_ = std::max(next_, wanted + 1);
  CloseGap();
  if (next_ > numbered_) {
    behind_since_ = absl::InfiniteFuture();
    reader_ = nullptr;  // Its files and buffers are not needed while events come from memory.
  } else if (read.accepted_at < absl::InfiniteFuture()) {
    behind_since_ = read.accepted_at;
  }
  if (found_nothing && !lost && queue_.empty()) {
    clock_.AwaitWithTimeout(mu_, absl::Condition(this, &Feed::IsStopped), kReadAgainAfter);
  }
}

void Feed::GiveUp(std::vector<event::Accepted>* cut) {
  auto batch = std::make_shared<event::Batch>();
  for (event::Accepted& event : *cut) {
    // It was read from these very bytes.
    HOLDFAST_CHECK(batch->Add(event.sequence, lane_, event.bytes).ok());
    if (event.trace != nullptr) event.trace = batch->AddTrace(*event.trace);
  }
  const std::shared_ptr<const event::Batch> owner = memory_.Hold(std::move(batch));
  for (size_t i = 0; i < cut->size(); ++i) {
    (*cut)[i].bytes = owner->items[i].bytes;
    (*cut)[i].owner = owner;
  }
  std::deque<Queued> dropped;  // Freed after the lock is released.
  std::deque<Queued> dropped_ahead;
  absl::MutexLock lock(&mu_);
  open_ = false;
  if (!queue_.empty()) behind_since_ = queue_.front().event.accepted_at;
  dropped.swap(queue_);
  dropped_ahead.swap(ahead_);
  charge_ = 0;
  next_ = handed_ + 1;
}

void Feed::Resume() {
  absl::MutexLock lock(&mu_);
  open_ = true;
}

uint64_t Feed::handed_through() const {
  absl::MutexLock lock(&mu_);
  return handed_;
}

uint64_t Feed::SettledThrough(uint64_t offset) const {
  absl::MutexLock lock(&mu_);
  return queue_.empty() ? offset : queue_.front().event.offset - 1;
}

void Feed::AskToLook() {
  absl::MutexLock lock(&mu_);
  look_ = true;
}

void Feed::Stop() {
  absl::MutexLock lock(&mu_);
  stopped_ = true;
}

uint64_t Feed::head() const {
  absl::MutexLock lock(&mu_);
  return head_;
}

absl::Time Feed::oldest() const {
  absl::MutexLock lock(&mu_);
  if (!queue_.empty()) return queue_.front().event.accepted_at;
  return next_ <= numbered_ ? behind_since_ : absl::InfiniteFuture();
}

}  // namespace holdfast::pipeline
