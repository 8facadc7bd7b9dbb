// What the database must hold once all of the traffic has arrived: the answer key of an audit.

#pragma once

#include <cstdint>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"

namespace holdfast::traffic {

// The parts of an event that decide where it is counted. Keys are numbers that stand for the texts.
struct UsageFacts {
  uint64_t api_key;
  uint64_t account;
  uint64_t model;
  int64_t hour;  // Since 1970, UTC.
  uint64_t input_tokens;
  uint64_t output_tokens;
  uint64_t cache_create_tokens;
  uint64_t cache_read_tokens;
  uint64_t ephemeral_5m_tokens;
  uint64_t ephemeral_1h_tokens;
  bool long_context;
  uint64_t cost_micros;
  uint64_t real_cost_micros;
};

class Ledger final {
 public:
  // Events that are new and good.
  void Usage(const UsageFacts& facts);
  void Message(bool has_text, int64_t timestamp_ms);
  // `row` stands for the key of rate_limit_records.
  void Observed(uint64_t row, uint64_t count);
  void Hits(uint64_t row, uint64_t hits, bool has_id);

  // The others.
  void Duplicate() { ++duplicates_; }          // An id again, with the same content.
  void ObservedAgain() { ++observed_again_; }  // A report again; it changes nothing.
  void Refused() { ++refused_; }
  void UsageConflict() { ++usage_conflicts_; }
  void HitsConflict() { ++hits_conflicts_; }

  // As JSON: the lines by fate, then for each table its rows and sums.
  std::string ToJson() const;

 private:
  std::string LinesJson() const;
  std::string UsageJson() const;
  std::string RateLimitJson() const;

  uint64_t usage_ = 0;
  uint64_t messages_ = 0;
  uint64_t observed_ = 0;
  uint64_t hits_ = 0;
  uint64_t duplicates_ = 0;
  uint64_t observed_again_ = 0;
  uint64_t refused_ = 0;
  uint64_t usage_conflicts_ = 0;
  uint64_t hits_conflicts_ = 0;

  UsageFacts sum_{};  // Its keys are not used.
  uint64_t long_context_requests_ = 0;
  uint64_t long_context_input_tokens_ = 0;
  uint64_t long_context_output_tokens_ = 0;
  absl::flat_hash_set<uint64_t> stats_rows_;
  uint64_t messages_with_text_ = 0;
  uint64_t message_timestamps_ = 0;
  absl::flat_hash_map<uint64_t, uint64_t> observed_rows_;
  absl::flat_hash_map<uint64_t, uint64_t> hits_rows_;
  uint64_t hits_with_id_ = 0;
};

}  // namespace holdfast::traffic
