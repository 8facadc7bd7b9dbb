#include "client/buffer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/io/coded_stream.h"

namespace holdfast::client {
namespace {

using ::google::protobuf::io::CodedOutputStream;

constexpr char kErrorPayload[] = "type.googleapis.com/holdfast.v1.EventError";

// Tags of the wire format: field number and type (0 varint, 2 length-delimited).
constexpr uint8_t kTagOfBatch = v1::StreamRequest::kBatchFieldNumber << 3 | 2;
constexpr uint8_t kTagOfFirstSequence = v1::EventBatch::kFirstSequenceFieldNumber << 3 | 0;
constexpr uint8_t kTagOfEvent = v1::EventBatch::kEventsFieldNumber << 3 | 2;

size_t VarintBytes(uint64_t value) { return CodedOutputStream::VarintSize64(value); }

size_t EventBytes(const std::string& event) { return 1 + VarintBytes(event.size()) + event.size(); }

void AppendVarint(uint64_t value, std::string* output) {
  uint8_t bytes[10];
  const uint8_t* end = CodedOutputStream::WriteVarint64ToArray(value, bytes);
  output->append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(end - bytes));
}

void AppendTag(uint8_t tag, std::string* output) { output->push_back(static_cast<char>(tag)); }

}  // namespace

void Buffer::Add(std::string event, Client::Callback done) {
  bytes_ += event.size();
  entries_.push_back(Entry{std::move(event), std::move(done), added_++});
}

Buffer::Resume Buffer::Welcomed(uint64_t resume_after) {
  if (!numbered_) {
    numbered_ = true;
    front_ = resume_after + 1;
    journaled_ = committed_ = sent_ = ever_sent_ = resume_after;
    return Resume::kContinue;
  }
  // Less than it acknowledged: its journal is gone. More than we ever sent: the sequences between
  // belong to someone else, and our events under these numbers would be taken for repetitions.
  if (resume_after < journaled_ || resume_after > ever_sent_) return Resume::kForgotten;
  sent_ = journaled_;
  return Resume::kContinue;
}

bool Buffer::HasUnsent() const {
  return numbered_ && sent_ < last() && sent_ - journaled_ < window_;
}

std::string Buffer::NextRequest(const RequestLimits& limits) {
  const uint64_t first = sent_ + 1;
  const size_t count_max = std::min(limits.events_max, window_ - (sent_ - journaled_));
  size_t batch_bytes = 1 + VarintBytes(first);
  size_t count = 0;
  for (size_t at = first - front_; at < entries_.size() && count < count_max; ++at, ++count) {
    const size_t event_bytes = EventBytes(entries_[at].event);
    if (count > 0 && batch_bytes + event_bytes > limits.bytes_max) break;
    batch_bytes += event_bytes;
  }

  std::string request;
  request.reserve(1 + VarintBytes(batch_bytes) + batch_bytes);
  AppendTag(kTagOfBatch, &request);
  AppendVarint(batch_bytes, &request);
  AppendTag(kTagOfFirstSequence, &request);
  AppendVarint(first, &request);
  for (size_t i = 0; i < count; ++i) {
    Entry& entry = entries_[first - front_ + i];
    AppendTag(kTagOfEvent, &request);
    AppendVarint(entry.event.size(), &request);
    request.append(entry.event);
    entry.ever_sent = true;
  }
  sent_ += count;
  ever_sent_ = std::max(ever_sent_, sent_);
  count_sent_ += count;
  return request;
}

void Buffer::Acked(const v1::Ack& ack, std::vector<Answer>* answers) {
  const uint64_t journaled = std::max(journaled_, std::min(ack.journaled_through(), sent_));
  const uint64_t committed = std::max(committed_, std::min(ack.committed_through(), journaled));
  count_journaled_ += journaled - journaled_;
  count_committed_ += committed - committed_;
  journaled_ = journaled;
  committed_ = committed;
  PopThrough(ack_level_ == v1::ACK_LEVEL_COMMITTED ? committed_ : journaled_, answers);
}

void Buffer::Errored(const v1::EventError& error, std::vector<Answer>* answers) {
  const bool quarantined = error.disposition() == v1::DISPOSITION_QUARANTINED;
  if (error.sequence() < front_ || error.sequence() > std::min(last(), ever_sent_)) {
    // Answered OK at JOURNALED before; all that is left to do is to count it.
    if (quarantined && error.sequence() < front_) ++count_quarantined_;
    return;
  }
  Entry& entry = entries_[error.sequence() - front_];
  if (!entry.done) return;
  if (quarantined && ack_level_ == v1::ACK_LEVEL_JOURNALED) {
    // Quarantined means taken: it is in the daemon's journal, and that is what was asked for.
    ++count_quarantined_;
    return;
  }
  ++(quarantined ? count_quarantined_ : count_refused_);
  AnswerEntry(entry, StatusOfError(error), answers);
  SkipAnswered();
}

void Buffer::Renumber() {
  std::deque<Entry> kept;
  for (Entry& entry : entries_) {
    if (entry.done) {
      kept.push_back(std::move(entry));
    } else {
      bytes_ -= entry.event.size();
    }
  }
  entries_ = std::move(kept);
  first_unanswered_ = 0;
  front_ = 1;
  journaled_ = committed_ = sent_ = ever_sent_ = 0;
}

void Buffer::GiveUp(const absl::Status& unsent, const absl::Status& sent,
                    std::vector<Answer>* answers) {
  for (Entry& entry : entries_) {
    if (!entry.done) continue;
    ++count_given_up_;
    AnswerEntry(entry, entry.ever_sent ? sent : unsent, answers);
  }
  front_ += entries_.size();
  entries_.clear();
  first_unanswered_ = 0;
  bytes_ = 0;
}

uint64_t Buffer::answered_before() const {
  return all_answered() ? added_ : entries_[first_unanswered_].number;
}

void Buffer::Count(Stats* stats) const {
  stats->accepted = added_;
  stats->sent = count_sent_;
  stats->journaled = count_journaled_;
  stats->committed = count_committed_;
  stats->refused = count_refused_;
  stats->quarantined = count_quarantined_;
  stats->given_up = count_given_up_;
  stats->buffered_events = entries_.size();
  stats->buffered_bytes = bytes_;
}

void Buffer::AnswerEntry(Entry& entry, absl::Status status, std::vector<Answer>* answers) {
  answers->push_back(Answer{std::exchange(entry.done, nullptr), std::move(status)});
}

void Buffer::PopThrough(uint64_t sequence, std::vector<Answer>* answers) {
  while (front_ <= sequence && !entries_.empty()) {
    Entry& entry = entries_.front();
    if (entry.done) AnswerEntry(entry, absl::OkStatus(), answers);
    bytes_ -= entry.event.size();
    entries_.pop_front();
    ++front_;
    if (first_unanswered_ > 0) --first_unanswered_;
  }
  SkipAnswered();
}

void Buffer::SkipAnswered() {
  while (first_unanswered_ < entries_.size() && !entries_[first_unanswered_].done) {
    ++first_unanswered_;
  }
}

absl::Status StatusOfError(const v1::EventError& error) {
  auto code = static_cast<absl::StatusCode>(error.code());
  if (code == absl::StatusCode::kOk) code = absl::StatusCode::kUnknown;
  absl::Status status(code, error.field().empty()
                                ? error.reason()
                                : absl::StrCat(error.field(), ": ", error.reason()));
  status.SetPayload(kErrorPayload, absl::Cord(error.SerializeAsString()));
  return status;
}

std::optional<v1::EventError> ErrorOf(const absl::Status& status) {
  const auto payload = status.GetPayload(kErrorPayload);
  if (!payload.has_value()) return std::nullopt;
  v1::EventError error;
  if (!error.ParseFromString(std::string(*payload))) return std::nullopt;
  return error;
}

}  // namespace holdfast::client
