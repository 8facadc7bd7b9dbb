// What a stream has still to say, in the order in which it may be said: nothing before the Welcome,
// an error before every acknowledgement that covers it, and one acknowledgement for all that
// arrived in the meantime.

#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "holdfast/v1/ingest.pb.h"

namespace holdfast::ingress {

// A pure value. Not thread-safe.
class Outbox {
 public:
  struct Progress {
    uint64_t journaled_through = 0;
    uint64_t committed_through = 0;
    friend bool operator==(const Progress&, const Progress&) = default;
  };

  void Welcome(v1::Welcome welcome) {
    welcome_ = std::move(welcome);
    opened_ = true;
  }

  // Must come before the Advance that covers it.
  void Add(v1::EventError error) { errors_.push_back(std::move(error)); }

  // Values that are lower than earlier ones are taken as those.
  void Advance(const Progress& progress);

  // Acknowledge once more, though nothing has changed: somebody sent again what is held already.
  void Repeat();

  // The next response, or nullopt if there is nothing to say, or no Welcome yet.
  std::optional<v1::StreamResponse> Next();

  bool empty() const { return !welcome_.has_value() && errors_.empty() && !ack_due_; }
  size_t errors() const { return errors_.size(); }

  // As last told to Advance, whether sent or not.
  const Progress& progress() const { return latest_; }

  // Forgets all that is not sent. Nothing may be added afterwards.
  void Clear();

 private:
  void Schedule();

  bool opened_ = false;  // There was a Welcome, sent or not.
  std::optional<v1::Welcome> welcome_;
  std::deque<v1::EventError> errors_;
  Progress latest_;
  Progress ack_;  // The one that is due, or was sent last.
  bool ack_due_ = false;
  size_t errors_before_ack_ = 0;  // Those at the front of errors_ that it covers.
};

}  // namespace holdfast::ingress
