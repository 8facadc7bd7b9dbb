#include "server/journal/journal.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"

#include "server/base/check.h"
#include "server/base/log.h"
#include "server/base/status_macros.h"
#include "server/journal/appender.h"
#include "server/journal/catalog.h"
#include "server/journal/keeper.h"
#include "server/journal/options.h"
#include "server/journal/producers.h"
#include "server/journal/reader.h"
#include "server/journal/recovery.h"

namespace holdfast::journal {
namespace {

// What an entry counts for in the queue: even one that is held already takes memory.
uint64_t QueueBytes(const Entry& entry) { return std::max<uint64_t>(entry.record_bytes, 256); }

// Append hands over to the writing thread through queue_. That thread alone owns the appender; what
// is durable becomes visible in the catalog before the listener hears of it.
class DiskJournal final : public Journal {
 public:
  DiskJournal(const JournalOptions& options, Recovered recovered, disk::Disk& disk,
              base::Clock& clock, metrics::Metrics& metrics);
  ~DiskJournal() override { Stop(); }

  // The first segment. RESOURCE_EXHAUSTED is no failure here: the journal starts full.
  absl::Status BeginFirst();

  event::Id journal_id() const override { return journal_id_; }
  const LanePositions& recovered_heads() const override { return recovered_heads_; }
  std::vector<ProducerState> producers() const override { return recovered_producers_; }
  void Start(Listener* listener) override;
  absl::Status Append(std::shared_ptr<const event::Batch> batch) override;
  bool HasRoom() const override { return queued_bytes_.load() < options_.queue_bytes_max; }
  uint64_t LastSequence(const event::Id& producer) const override;
  void Release(const LanePositions& settled, absl::Time seen_at) override;
  std::unique_ptr<Reader> Read(event::Lane lane, uint64_t after_ordinal) override;
  JournalStatus Status() const override;
  void Stop() override;

 private:
  // What Append has to find out about a batch.
  absl::Status Admit(const event::Batch& batch, Entry* entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  void Write();
  std::vector<Entry> TakeGroup(bool* stopping);
  absl::Status WriteGroup(const std::vector<Entry>& group);
  absl::Status MakeRoom(size_t record_bytes);
  absl::Status Mark();
  void Fail(const absl::Status& failure);
  void DropQueue();
  bool HasWork() const ABSL_SHARED_LOCKS_REQUIRED(mu_) { return !queue_.empty() || stopping_; }

  const JournalOptions options_;
  const event::Id journal_id_;
  const LanePositions recovered_heads_;
  const std::vector<ProducerState> recovered_producers_;
  disk::Disk& disk_;
  base::Clock& clock_;
  metrics::Metrics& metrics_;
  const uint64_t tail_bytes_;

  Catalog catalog_;
  Keeper keeper_;
  Appender appender_;  // The writing thread's, once that runs.
  Listener* listener_ = nullptr;
  base::Thread writer_;
  absl::Mutex stop_mu_;  // Before mu_.
  // Of batches that are not durable yet.
  std::atomic<uint64_t> queued_bytes_{0};

  mutable absl::Mutex mu_;
  std::deque<Entry> queue_ ABSL_GUARDED_BY(mu_);
  ProducerTable handed_in_ ABSL_GUARDED_BY(mu_);
  absl::Status failure_ ABSL_GUARDED_BY(mu_);
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
};

DiskJournal::DiskJournal(const JournalOptions& options, Recovered recovered, disk::Disk& disk,
                         base::Clock& clock, metrics::Metrics& metrics)
    : options_(options),
      journal_id_(recovered.journal_id),
      recovered_heads_(recovered.heads),
      recovered_producers_(recovered.producers),
      disk_(disk),
      clock_(clock),
      metrics_(metrics),
      tail_bytes_(recovered.tail.present ? recovered.tail.header.bytes_on_disk() : 0),
      catalog_(metrics, recovered.end_offset, recovered.heads),
      keeper_(options, recovered.next_segment_id, disk, clock, catalog_, metrics),
      appender_(recovered, std::move(recovered.tail), options.producers_max, disk, clock, metrics),
      handed_in_(options.producers_max) {
  for (const Segment& segment : recovered.segments) catalog_.Add(segment);
  for (const auto& [segment_id, corruption] : recovered.corruptions) {
    catalog_.Report(segment_id, corruption);
  }
  for (const ProducerState& state : recovered_producers_) {
    handed_in_.Advance(state.producer, state.last_sequence, state.last_offset);
  }
  metrics_.journal_limit_bytes->Set(static_cast<double>(options_.bytes_max));
}

absl::Status DiskJournal::BeginFirst() {
  absl::StatusOr<Blank> blank = keeper_.MakeFirst(FirstSegmentBytes(options_, tail_bytes_));
  if (absl::IsResourceExhausted(blank.status())) return appender_.KeepTailInPlace();
  HOLDFAST_RETURN_IF_ERROR(blank.status());
  HOLDFAST_ASSIGN_OR_RETURN(Segment segment, appender_.Begin(*std::move(blank)));
  catalog_.Add(std::move(segment));
  return absl::OkStatus();
}

void DiskJournal::Start(Listener* listener) {
  listener_ = listener;
  keeper_.Start();
  writer_ = clock_.StartThread([this] { Write(); });
}

absl::Status DiskJournal::Append(std::shared_ptr<const event::Batch> batch) {
  Entry entry;
  entry.batch = std::move(batch);
  absl::MutexLock lock(&mu_);
  HOLDFAST_RETURN_IF_ERROR(failure_);
  if (stopping_) return absl::UnavailableError("the journal is stopped; send again later");
  HOLDFAST_RETURN_IF_ERROR(Admit(*entry.batch, &entry));
  const event::Batch& admitted = *entry.batch;
  handed_in_.Advance(admitted.producer, admitted.last_sequence, 0);
  if (entry.first_new_item > 0) {
    metrics_.events_resent->Increment(static_cast<double>(entry.first_new_item));
  }
  queued_bytes_ += QueueBytes(entry);
  queue_.push_back(std::move(entry));
  return absl::OkStatus();
}

absl::Status DiskJournal::Admit(const event::Batch& batch, Entry* entry) {
  bool anything_new = true;
  if (batch.producer.is_nil()) {
    anything_new = !batch.items.empty();
  } else {
    const uint64_t last = handed_in_.LastSequence(batch.producer);
    if (batch.first_sequence - 1 > last) {
      return absl::FailedPreconditionError(
          absl::StrCat("expected sequence ", last + 1, ", got ", batch.first_sequence,
                       ": events between are missing; send from the expected one on"));
    }
    const auto first_new =
        std::partition_point(batch.items.begin(), batch.items.end(),
                             [last](const event::Item& item) { return item.sequence <= last; });
    entry->first_new_item = static_cast<size_t>(first_new - batch.items.begin());
    anything_new = batch.last_sequence > last;
  }
  if (queued_bytes_ > 2 * options_.queue_bytes_max) {
    return absl::ResourceExhaustedError("too much waits for the journal; send again later");
  }
  if (!anything_new) return absl::OkStatus();
  entry->record_bytes = Appender::RecordBytes(batch, entry->first_new_item);
  if (entry->record_bytes > RecordBytesMax(options_)) {
    return absl::InvalidArgumentError(
        absl::StrCat("the batch takes ", entry->record_bytes, " bytes in the journal, at most ",
                     RecordBytesMax(options_), " are allowed; send smaller batches"));
  }
  // A trace makes no batch too large.
  entry->trace_field = Appender::TraceFieldFor(batch, entry->first_new_item);
  entry->record_bytes += entry->trace_field.size();
  if (entry->record_bytes > RecordBytesMax(options_)) {
    entry->record_bytes -= entry->trace_field.size();
    entry->trace_field.clear();
  }
  if (keeper_.full()) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the journal is full: ", catalog_.UnreleasedBytes(), " of ",
                     options_.bytes_max, " bytes wait for the database; send again later"));
  }
  return absl::OkStatus();
}

uint64_t DiskJournal::LastSequence(const event::Id& producer) const {
  absl::ReaderMutexLock lock(&mu_);
  return handed_in_.LastSequence(producer);
}

void DiskJournal::Release(const LanePositions& settled, absl::Time seen_at) {
  if (catalog_.Release(settled, clock_.Steady(), seen_at)) keeper_.Wake();
}

std::unique_ptr<Reader> DiskJournal::Read(event::Lane lane, uint64_t after_ordinal) {
  HOLDFAST_CHECK(lane < event::kLaneCount);
  return std::make_unique<LaneReader>(disk_, catalog_, lane, after_ordinal);
}

JournalStatus DiskJournal::Status() const {
  JournalStatus status;
  catalog_.Describe(&status);
  status.limit_bytes = options_.bytes_max;
  status.full = keeper_.full();
  absl::ReaderMutexLock lock(&mu_);
  status.failure = failure_;
  return status;
}

void DiskJournal::Stop() {
  absl::MutexLock only_one(&stop_mu_);
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
  }
  keeper_.GiveUp();
  writer_.Join();
  keeper_.Stop();
  DropQueue();
}

// The writing thread.
void DiskJournal::Write() {
  while (true) {
    bool stopping = false;
    const std::vector<Entry> group = TakeGroup(&stopping);
    // Without a group it is quiet, or over.
    const absl::Status status = group.empty() ? Mark() : WriteGroup(group);
    if (absl::IsCancelled(status)) return;
    if (!status.ok()) {
      Fail(status);
      return;
    }
    if (group.empty() && stopping) return;
  }
}

std::vector<Entry> DiskJournal::TakeGroup(bool* stopping) {
  const absl::Condition work(this, &DiskJournal::HasWork);
  std::vector<Entry> group;
  size_t bytes = 0;
  absl::MutexLock lock(&mu_);
  if (appender_.unproven()) {
    clock_.AwaitWithTimeout(mu_, work, options_.idle_marker_after);
  } else {
    clock_.Await(mu_, work);
  }
  while (!queue_.empty() &&
         (group.empty() || bytes + queue_.front().record_bytes <= GroupBytesMax(options_))) {
    bytes += queue_.front().record_bytes;
    group.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  *stopping = stopping_;
  return group;
}

absl::Status DiskJournal::WriteGroup(const std::vector<Entry>& group) {
  size_t record_bytes = 0;
  uint64_t queue_bytes = 0;
  for (const Entry& entry : group) {
    record_bytes += entry.record_bytes;
    queue_bytes += QueueBytes(entry);
  }
  std::vector<Durable> durable;
  if (record_bytes == 0) {
    appender_.Acknowledge(group, &durable);
  } else {
    HOLDFAST_RETURN_IF_ERROR(MakeRoom(record_bytes));
    HOLDFAST_RETURN_IF_ERROR(
        appender_.Commit(group, &durable, [this, &durable] { listener_->OnNumbered(durable); }));
    catalog_.Advance(appender_.end_byte(), appender_.end_offset(), appender_.heads());
  }
  queued_bytes_ -= queue_bytes;
  listener_->OnDurable(durable);
  return absl::OkStatus();
}

// CANCELLED: there is no room and none will be made before the end.
absl::Status DiskJournal::MakeRoom(size_t record_bytes) {
  if (appender_.Fits(record_bytes)) return absl::OkStatus();
  std::optional<Blank> blank = keeper_.Take();
  if (!blank.has_value()) return absl::CancelledError("no room");
  HOLDFAST_ASSIGN_OR_RETURN(Segment segment, appender_.Begin(*std::move(blank)));
  catalog_.Add(std::move(segment));
  keeper_.TakenIsInUse();
  return absl::OkStatus();
}

absl::Status DiskJournal::Mark() {
  if (!appender_.unproven()) return absl::OkStatus();
  HOLDFAST_RETURN_IF_ERROR(appender_.Mark());
  catalog_.Advance(appender_.end_byte(), appender_.end_offset(), appender_.heads());
  return absl::OkStatus();
}

void DiskJournal::Fail(const absl::Status& failure) {
  const absl::Status status = absl::DataLossError(
      absl::StrCat("the journal has failed and makes nothing durable any more (", failure.message(),
                   "); check the disk, then restart"));
  {
    absl::MutexLock lock(&mu_);
    failure_ = status;
  }
  metrics_.journal_poisoned->Set(1);
  base::LogError("writing to the journal failed; nothing is acknowledged any more",
                 {{"folder", disk_.path()}, {"error", failure}});
  DropQueue();
  listener_->OnFailure(status);
}

// What waits was never acknowledged: its producers send it again.
void DiskJournal::DropQueue() {
  absl::MutexLock lock(&mu_);
  if (!queue_.empty()) {
    base::LogWarning("batches that were not written yet are dropped, not acknowledged",
                     {{"batches", queue_.size()}});
  }
  queue_.clear();
  queued_bytes_ = 0;
}

void WarnOfFolder(const JournalOptions& options, const Recovered& recovered, disk::Disk& disk) {
  uint64_t held = 0;
  for (const Segment& segment : recovered.segments) held += segment.file_bytes;
  const absl::StatusOr<uint64_t> free = disk.FreeBytes();
  if (!free.ok()) {
    base::LogWarning("cannot see how much room the journal's volume has",
                     {{"error", free.status()}});
  } else if (*free + held < options.bytes_max + 2 * options.segment_bytes) {
    base::LogWarning(
        "the journal's limit leaves less than two segments of its volume free: the volume will be "
        "full before the journal is; lower the limit or enlarge the volume",
        {{"limit_bytes", options.bytes_max}, {"free_bytes", *free}, {"held_bytes", held}});
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<Journal>> Journal::Open(const JournalOptions& options,
                                                       disk::Disk& disk, base::Clock& clock,
                                                       metrics::Metrics& metrics) {
  HOLDFAST_RETURN_IF_ERROR(options.Validate());
  HOLDFAST_ASSIGN_OR_RETURN(Recovered recovered, Recover(disk, options.producers_max));
  if (recovered.journal_id.is_nil()) recovered.journal_id = event::RandomUuid();
  WarnOfFolder(options, recovered, disk);
  auto journal = std::make_unique<DiskJournal>(options, std::move(recovered), disk, clock, metrics);
  HOLDFAST_RETURN_IF_ERROR(journal->BeginFirst());
  return journal;
}

}  // namespace holdfast::journal
