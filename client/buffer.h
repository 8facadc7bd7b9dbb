// The events that a client has taken and the daemon has not settled, and the decisions about them:
// which sequence each has, what to send next, which are answered by what arrives.
//
// The invariants, in sequences:
//   front - 1 <= journaled <= sent <= ever_sent     (front: the first event still held)
// Events up to `journaled` are on the daemon's disk. On each new stream `sent` goes back to
// `journaled`: what may have arrived before is sent again, so that the daemon repeats its refusals,
// which may have been lost with the old stream. The stream's Hello says so (first_sequence): until
// an event has been sent again, no acknowledgement covers it.

#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

#include "client/client.h"
#include "holdfast/v1/ingest.pb.h"

namespace holdfast::client {

// No I/O, no clock, no thread. Not thread-safe.
class Buffer final {
 public:
  // An outcome to hand to its event's callback.
  struct Answer {
    Client::Callback done;
    absl::Status status;
  };

  // What one request may hold.
  struct RequestLimits {
    size_t events_max;
    size_t bytes_max;
  };

  // What a Welcome means for this producer.
  enum class Resume {
    kContinue,   // Go on.
    kForgotten,  // The daemon's sequence is not ours: Renumber under a new producer id, or end.
  };

  // `ack_level` settles an event; `window` bounds sent - journaled.
  Buffer(v1::AckLevel ack_level, size_t window) : ack_level_(ack_level), window_(window) {}

  // Takes a serialized event.
  void Add(std::string event, Client::Callback done);

  // Starts a stream. The very first Welcome also decides where the sequence starts.
  Resume Welcomed(uint64_t resume_after);

  // What the next stream begins with, for its Hello; 0 until the first Welcome.
  uint64_t first_sequence() const { return numbered_ ? journaled_ + 1 : 0; }

  // Whether there is something to write.
  bool HasUnsent() const;

  // The next request, serialized (StreamRequest with a batch): all that waits, within the limits
  // and the window. One event alone may exceed bytes_max. REQUIRES: HasUnsent().
  std::string NextRequest(const RequestLimits& limits);

  // What arrived. Outcomes are appended to `answers`. Sequences that are not held are ignored.
  void Acked(const v1::Ack& ack, std::vector<Answer>* answers);
  void Errored(const v1::EventError& error, std::vector<Answer>* answers);

  // Numbers all unanswered events from 1, for a new producer id.
  void Renumber();

  // Answers all: with `unsent` those that were never written, with `sent` the others.
  void GiveUp(const absl::Status& unsent, const absl::Status& sent, std::vector<Answer>* answers);

  size_t events() const { return entries_.size(); }
  size_t bytes() const { return bytes_; }
  bool all_answered() const { return first_unanswered_ == entries_.size(); }
  // Whether the daemon's journal owes an acknowledgement.
  bool awaits_journal() const { return sent_ > journaled_; }
  // Events are counted from 0 in the order of Add: all before this one have been answered.
  uint64_t answered_before() const;
  uint64_t added() const { return added_; }

  // Adds its counts to `stats`.
  void Count(Stats* stats) const;

 private:
  struct Entry {
    std::string event;
    Client::Callback done;  // Empty once answered.
    uint64_t number;        // In the order of Add.
    bool ever_sent = false;
  };

  uint64_t last() const { return front_ + entries_.size() - 1; }
  void AnswerEntry(Entry& entry, absl::Status status, std::vector<Answer>* answers);
  void PopThrough(uint64_t sequence, std::vector<Answer>* answers);
  void SkipAnswered();

  const v1::AckLevel ack_level_;
  const size_t window_;

  std::deque<Entry> entries_;
  size_t first_unanswered_ = 0;  // Index: all before it are answered.
  size_t bytes_ = 0;
  uint64_t added_ = 0;

  bool numbered_ = false;
  uint64_t front_ = 1;
  uint64_t journaled_ = 0;
  uint64_t committed_ = 0;
  uint64_t sent_ = 0;
  uint64_t ever_sent_ = 0;

  uint64_t count_sent_ = 0;
  uint64_t count_journaled_ = 0;
  uint64_t count_committed_ = 0;
  uint64_t count_refused_ = 0;
  uint64_t count_quarantined_ = 0;
  uint64_t count_given_up_ = 0;
};

// The status of an event that the daemon did not store; ErrorOf reads it back.
absl::Status StatusOfError(const v1::EventError& error);

}  // namespace holdfast::client
