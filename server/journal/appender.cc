#include "server/journal/appender.h"

#include <algorithm>
#include <utility>

#include "server/base/check.h"
#include "server/base/seeded_bug.h"
#include "server/base/status_macros.h"
#include "server/event/kind.h"

namespace holdfast::journal {
namespace {

uint64_t RandomSalt() { return ByteCursor(event::RandomUuid().view()).U64(); }

}  // namespace

Appender::Appender(const Recovered& recovered, RecoveredTail tail, size_t producers_max,
                   disk::Disk& disk, base::Clock& clock, metrics::Metrics& metrics)
    : disk_(disk),
      clock_(clock),
      metrics_(metrics),
      journal_id_(recovered.journal_id),
      end_offset_(recovered.end_offset),
      heads_(recovered.heads),
      producers_(producers_max),
      tail_(std::move(tail)),
      previous_id_(recovered.previous_id),
      previous_unproven_byte_(recovered.previous_unproven_byte),
      end_byte_(recovered.previous_end_byte),
      chain_(recovered.previous_chain) {
  for (const ProducerState& state : recovered.producers) {
    producers_.Advance(state.producer, state.last_sequence, state.last_offset);
  }
}

// An event that itself ends in such a field gets another one, with no trace if there is none: what
// stands last is the journal's, and no gateway can put it there.
std::string Appender::TraceFieldFor(const event::Batch& batch, size_t first_new_item) {
  if (first_new_item == batch.items.size()) return {};
  if (!batch.trace.is_set() && TraceFieldOf(batch.items[first_new_item].bytes).empty()) return {};
  return EncodeTraceField(batch.trace);
}

size_t Appender::RecordBytes(const event::Batch& batch, size_t first_new_item) {
  size_t bytes = 0;
  for (size_t i = first_new_item; i < batch.items.size(); ++i) {
    bytes += batch.items[i].bytes.size();
  }
  return BatchRecordBytes(batch.items.size() - first_new_item, bytes);
}

bool Appender::Fits(size_t record_bytes) const {
  const uint64_t frame_bytes =
      AlignToBlock(kFrameHeaderBytes + LanesRecordBytesMax() + record_bytes);
  return file_ != nullptr && end_byte_ + frame_bytes + MarkerBytesMax() <= file_bytes_;
}

FrameHeader Appender::NextHeader(FrameKind kind) const {
  FrameHeader header;
  header.kind = kind;
  header.salt = salt_;
  header.number = next_number_;
  header.position = end_byte_;
  header.first_offset = end_offset_;
  header.durable_offset = end_offset_ - 1;
  header.chain = chain_;
  return header;
}

SegmentHeader Appender::DescribeNext(const Blank& blank) const {
  SegmentHeader header;
  header.journal_id = journal_id_;
  header.segment_id = blank.id;
  header.salt = RandomSalt();
  header.file_bytes = blank.file_bytes;
  header.first_offset = tail_.present ? tail_.header.first_offset : end_offset_;
  header.previous_id = previous_id_;
  header.previous_end_byte = end_byte_;
  header.previous_chain = chain_;
  header.born_offset = end_offset_ - 1;
  header.previous_unproven_byte = previous_unproven_byte_;
  return header;
}

absl::StatusOr<Segment> Appender::Begin(Blank blank) {
  SegmentHeader header = DescribeNext(blank);
  const std::vector<ProducerState> producers = producers_.InOrder();
  // The header's checksum covers this and is the first link of the chain, so it is worked out
  // first.
  header.born_bytes = kFramesBegin + AlignToBlock(kFrameHeaderBytes + LanesRecordBytes(heads_) +
                                                  ProducersRecordBytes(producers.size()));
  if (tail_.present) header.born_bytes += tail_.header.bytes_on_disk();
  HOLDFAST_CHECK(header.born_bytes <= blank.file_bytes);

  buffer_.assign(EncodeSegmentHeader(&header));
  file_ = std::move(blank.file);
  salt_ = header.salt;
  file_bytes_ = blank.file_bytes;
  end_byte_ = kFramesBegin;
  next_number_ = 0;
  chain_ = header.checksum;
  FrameBuilder state(&buffer_);
  state.AddLanes(heads_);
  state.AddProducers(producers);
  FinishFrame(state, NextHeader(FrameKind::kState));
  if (tail_.present) {
    FrameHeader copy = NextHeader(FrameKind::kGroup);
    copy.event_count = tail_.header.event_count;
    copy.first_offset = tail_.header.first_offset;
    copy.durable_offset = tail_.header.first_offset - 1;
    copy.lanes = tail_.header.lanes;
    FrameBuilder frame(&buffer_);
    frame.AddPayload(tail_.payload);
    FinishFrame(frame, copy);
  }
  HOLDFAST_CHECK(end_byte_ == header.born_bytes && end_byte_ == buffer_.size());

  // Under its name there is never anything but a whole beginning.
  HOLDFAST_RETURN_IF_ERROR(file_->Write(0, buffer_));
  HOLDFAST_RETURN_IF_ERROR(file_->Sync());
  HOLDFAST_RETURN_IF_ERROR(disk_.Rename(BlankName(blank.id), SegmentName(blank.id)));
  if (!HOLDFAST_SEEDED_BUG(kNoFolderSync)) {
    HOLDFAST_RETURN_IF_ERROR(disk_.SyncFolder());
  }
  metrics_.journal_written_bytes->Increment(static_cast<double>(buffer_.size()));

  Segment segment;
  segment.id = blank.id;
  segment.name = SegmentName(blank.id);
  segment.salt = salt_;
  segment.file_bytes = file_bytes_;
  segment.first_offset = header.first_offset;
  segment.end_byte = end_byte_;
  segment.end_offset = end_offset_;
  segment.heads = heads_;
  segment.holds_events = tail_.present && tail_.header.event_count > 0;
  segment.sealed = false;
  previous_id_ = blank.id;
  previous_unproven_byte_ = 0;
  tail_ = RecoveredTail{};
  unproven_ = false;
  return segment;
}

// A sync alone proves nothing after one that failed: the system takes the pages for clean.
absl::Status Appender::KeepTailInPlace() const {
  if (!tail_.present) return absl::OkStatus();
  HOLDFAST_ASSIGN_OR_RETURN(const std::unique_ptr<disk::File> file, disk_.Open(tail_.file));
  std::string frame;
  HOLDFAST_RETURN_IF_ERROR(file->Read(tail_.header.position, tail_.header.bytes_on_disk(), &frame));
  HOLDFAST_RETURN_IF_ERROR(file->Write(tail_.header.position, frame));
  return file->Sync();
}

void Appender::FinishFrame(FrameBuilder& frame, const FrameHeader& header) {
  const FrameHeader written = frame.Finish(header);
  chain_ = written.checksum;
  end_byte_ += written.bytes_on_disk();
  ++next_number_;
}

void Appender::AddBatch(FrameBuilder& frame, const Entry& entry, Durable* durable,
                        LanePositions* heads, uint64_t* end_offset) const {
  const event::Batch& batch = *entry.batch;
  durable->batch = entry.batch;
  durable->first_new_item = entry.first_new_item;
  durable->first_offset = *end_offset - entry.first_new_item;
  durable->ordinals.assign(batch.items.size(), 0);
  durable->last_offset = *end_offset - 1;
  if (entry.record_bytes == 0) return;

  uint64_t item_bytes = entry.trace_field.size();
  for (size_t i = entry.first_new_item; i < batch.items.size(); ++i) {
    item_bytes += batch.items[i].bytes.size();
  }
  frame.BeginBatch(batch.producer, batch.first_sequence, batch.last_sequence, batch.accepted_at,
                   static_cast<uint32_t>(batch.items.size() - entry.first_new_item), item_bytes);
  for (size_t i = entry.first_new_item; i < batch.items.size(); ++i) {
    const event::Item& item = batch.items[i];
    durable->ordinals[i] = ++(*heads)[item.lane];
    frame.AddItem(static_cast<uint32_t>(item.sequence - batch.first_sequence), item.lane,
                  durable->ordinals[i], item.bytes,
                  i == entry.first_new_item ? entry.trace_field : absl::string_view());
    ++*end_offset;
  }
  durable->last_offset = *end_offset - 1;
}

absl::Status Appender::Commit(absl::Span<const Entry> entries, std::vector<Durable>* durable,
                              absl::FunctionRef<void()> numbered) {
  LanePositions heads = heads_;
  uint64_t end_offset = end_offset_;
  buffer_.clear();
  FrameBuilder frame(&buffer_);
  frame.AddLanes(heads_);
  durable->clear();
  durable->resize(entries.size());
  for (size_t i = 0; i < entries.size(); ++i) {
    AddBatch(frame, entries[i], &(*durable)[i], &heads, &end_offset);
  }
  FrameHeader header = NextHeader(FrameKind::kGroup);
  header.event_count = static_cast<uint32_t>(end_offset - end_offset_);
  for (size_t lane = 0; lane < heads.size(); ++lane) {
    if (heads[lane] != heads_[lane]) header.lanes |= uint64_t{1} << lane;
  }
  numbered();
  HOLDFAST_RETURN_IF_ERROR(WriteFrame(frame, header));
  heads_ = heads;
  end_offset_ = end_offset;
  unproven_ = true;
  Remember(*durable);
  return absl::OkStatus();
}

void Appender::Acknowledge(absl::Span<const Entry> entries, std::vector<Durable>* durable) const {
  durable->clear();
  for (const Entry& entry : entries) {
    Durable& held = durable->emplace_back();
    held.batch = entry.batch;
    held.last_offset = end_offset_ - 1;
    held.first_new_item = entry.first_new_item;
    held.first_offset = end_offset_ - entry.first_new_item;
    held.ordinals.assign(entry.batch->items.size(), 0);
  }
}

absl::Status Appender::Mark() {
  unproven_ = false;
  // A quiet time: the memory of a large group can go.
  disk::Buffer().swap(buffer_);
  FrameBuilder frame(&buffer_);
  frame.AddLanes(heads_);
  return WriteFrame(frame, NextHeader(FrameKind::kMarker));
}

absl::Status Appender::WriteFrame(FrameBuilder& frame, const FrameHeader& header) {
  const uint64_t position = end_byte_;
  FinishFrame(frame, header);
  HOLDFAST_CHECK(file_ != nullptr && end_byte_ == position + buffer_.size() &&
                 end_byte_ <= file_bytes_);
  HOLDFAST_RETURN_IF_ERROR(file_->Write(position, buffer_));
  if (HOLDFAST_SEEDED_BUG(kAckBeforeSync)) return absl::OkStatus();
  const absl::Time begin = clock_.Steady();
  absl::Status synced = file_->Sync();
  if (HOLDFAST_SEEDED_BUG(kSecondSyncAfterFailure) && !synced.ok()) synced = file_->Sync();
  if (HOLDFAST_SEEDED_BUG(kAckAfterFailedSync)) synced = absl::OkStatus();
  HOLDFAST_RETURN_IF_ERROR(synced);
  metrics_.journal_sync_seconds->Observe(absl::ToDoubleSeconds(clock_.Steady() - begin));
  metrics_.journal_written_bytes->Increment(static_cast<double>(buffer_.size()));
  return absl::OkStatus();
}

void Appender::Remember(absl::Span<const Durable> durable) {
  std::array<double, event::kKindCount> accepted{};
  double events = 0;
  for (const Durable& done : durable) {
    const event::Batch& batch = *done.batch;
    producers_.Advance(batch.producer, batch.last_sequence, done.last_offset);
    for (size_t i = done.first_new_item; i < batch.items.size(); ++i) {
      accepted[static_cast<size_t>(event::KindOfLane(batch.items[i].lane))] += 1;
      events += 1;
    }
  }
  metrics_.journal_group_events->Observe(events);
  for (size_t kind = 0; kind < accepted.size(); ++kind) {
    if (accepted[kind] > 0) metrics_.events_accepted[kind]->Increment(accepted[kind]);
  }
}

}  // namespace holdfast::journal
