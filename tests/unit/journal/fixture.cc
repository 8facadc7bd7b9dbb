#include "tests/unit/journal/fixture.h"

#include <algorithm>
#include <deque>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace holdfast::journal {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(30);

// A batch and the bytes that its items point to.
struct OwnedBatch {
  std::deque<std::string> texts;
  event::Batch batch;
};

std::shared_ptr<const event::Batch> Share(std::shared_ptr<OwnedBatch> owned) {
  const event::Batch* const batch = &owned->batch;
  return std::shared_ptr<const event::Batch>(std::move(owned), batch);
}

std::shared_ptr<OwnedBatch> Begin(uint8_t producer, uint64_t first_sequence, size_t events) {
  auto owned = std::make_shared<OwnedBatch>();
  owned->batch.producer = ProducerId(producer);
  owned->batch.first_sequence = first_sequence;
  owned->batch.last_sequence = first_sequence + events - 1;
  owned->batch.accepted_at = absl::FromUnixMicros(1700000000000000 + int64_t{producer});
  return owned;
}

void Add(OwnedBatch& owned, uint64_t sequence, event::Lane lane, std::string text) {
  owned.texts.push_back(std::move(text));
  owned.batch.items.push_back({.sequence = sequence, .lane = lane, .bytes = owned.texts.back()});
}

}  // namespace

JournalOptions SmallOptions() {
  JournalOptions options;
  options.segment_bytes = 64 << 10;
  options.bytes_max = 4 * options.segment_bytes;
  options.group_bytes_max = 8 << 10;
  options.queue_bytes_max = 32 << 10;
  options.producers_max = 16;
  options.retention = absl::ZeroDuration();
  return options;
}

event::Id ProducerId(uint8_t number) {
  event::Id id;
  id.bytes[15] = number;
  return id;
}

std::string EventText(uint8_t producer, uint64_t sequence) {
  const std::string name = absl::StrCat("event ", sequence, " of producer ", producer, ". ");
  std::string text;
  for (uint64_t i = 0; i <= (sequence * 7 + producer) % 23; ++i) absl::StrAppend(&text, name);
  return text;
}

std::shared_ptr<const event::Batch> MakeBatch(uint8_t producer, uint64_t first_sequence,
                                              const std::vector<event::Lane>& lanes) {
  std::shared_ptr<OwnedBatch> owned = Begin(producer, first_sequence, lanes.size());
  for (size_t i = 0; i < lanes.size(); ++i) {
    Add(*owned, first_sequence + i, lanes[i], EventText(producer, first_sequence + i));
  }
  return Share(std::move(owned));
}

std::shared_ptr<const event::Batch> MakeLargeBatch(uint8_t producer, uint64_t first_sequence,
                                                   event::Lane lane, size_t events, size_t bytes) {
  std::shared_ptr<OwnedBatch> owned = Begin(producer, first_sequence, events);
  for (size_t i = 0; i < events; ++i) {
    Add(*owned, first_sequence + i, lane, std::string(bytes, static_cast<char>('a' + i % 26)));
  }
  return Share(std::move(owned));
}

void RecordingListener::OnDurable(absl::Span<const Durable> group) {
  absl::MutexLock lock(&mu_);
  durable_.insert(durable_.end(), group.begin(), group.end());
  groups_.push_back(group.size());
}

void RecordingListener::OnFailure(const absl::Status& /*failure*/) {
  absl::MutexLock lock(&mu_);
  ++failures_;
}

bool RecordingListener::WaitForBatches(size_t count) {
  absl::MutexLock lock(&mu_);
  wanted_ = count;
  return mu_.AwaitWithTimeout(absl::Condition(this, &RecordingListener::Enough), kPatience);
}

bool RecordingListener::WaitForFailure() {
  absl::MutexLock lock(&mu_);
  return mu_.AwaitWithTimeout(absl::Condition(this, &RecordingListener::Failed), kPatience);
}

std::vector<Durable> RecordingListener::durable() const {
  absl::MutexLock lock(&mu_);
  return durable_;
}

std::vector<size_t> RecordingListener::groups() const {
  absl::MutexLock lock(&mu_);
  return groups_;
}

int RecordingListener::failures() const {
  absl::MutexLock lock(&mu_);
  return failures_;
}

metrics::Metrics& TestMetrics() {
  static metrics::Metrics* const metrics = new metrics::Metrics("test");
  return *metrics;
}

std::vector<Held> ReadAll(Journal& journal, event::Lane lane, uint64_t after, size_t bytes_max) {
  std::vector<Held> held;
  const std::unique_ptr<Reader> reader = journal.Read(lane, after);
  while (true) {
    const absl::StatusOr<std::vector<Reader::Record>> records = reader->Next(bytes_max);
    EXPECT_OK(records);
    if (!records.ok() || records->empty()) return held;
    for (const Reader::Record& record : *records) {
      held.push_back({record.offset, record.ordinal, record.producer, record.sequence,
                      std::string(record.bytes)});
    }
  }
}

std::vector<uint64_t> Ordinals(const std::vector<Held>& records) {
  std::vector<uint64_t> ordinals;
  for (const Held& record : records) ordinals.push_back(record.ordinal);
  return ordinals;
}

bool Eventually(const std::function<bool()>& condition) {
  const absl::Time deadline = base::SystemClock().Steady() + kPatience;
  while (!condition()) {
    if (base::SystemClock().Steady() > deadline) return false;
    base::SystemClock().Sleep(absl::Milliseconds(1));
  }
  return true;
}

void JournalTest::Open() {
  Close();
  absl::StatusOr<std::unique_ptr<Journal>> journal =
      Journal::Open(options_, disk_, clock_, TestMetrics());
  ASSERT_OK(journal);
  journal_ = *std::move(journal);
  listener_ = std::make_unique<RecordingListener>();
  journal_->Start(listener_.get());
}

void JournalTest::Close() {
  if (journal_ != nullptr) journal_->Stop();
  journal_ = nullptr;
}

void JournalTest::Hold(std::shared_ptr<const event::Batch> batch) {
  const size_t before = listener_->durable().size();
  ASSERT_OK(journal_->Append(std::move(batch)));
  ASSERT_TRUE(listener_->WaitForBatches(before + 1));
  ASSERT_EQ(listener_->failures(), 0);
}

std::vector<std::string> JournalTest::Names() {
  absl::StatusOr<std::vector<std::string>> names = disk_.List();
  EXPECT_OK(names);
  return names.ok() ? *std::move(names) : std::vector<std::string>();
}

std::vector<std::string> JournalTest::Segments() {
  std::vector<std::string> segments;
  for (const std::string& name : Names()) {
    if (absl::EndsWith(name, ".jnl")) segments.push_back(name);
  }
  return segments;
}

std::vector<FrameHeader> JournalTest::Frames(const std::string& segment) {
  const std::string bytes = disk_.Contents(segment);
  std::vector<FrameHeader> frames;
  uint64_t at = kFramesBegin;
  while (at < bytes.size()) {
    const absl::StatusOr<FrameHeader> header =
        DecodeFrameHeader(absl::string_view(bytes).substr(at), at);
    if (!header.ok()) break;
    frames.push_back(*header);
    at += header->bytes_on_disk();
  }
  return frames;
}

}  // namespace holdfast::journal
