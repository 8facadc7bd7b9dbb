#include "client/traffic/ledger.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace holdfast::traffic {
namespace {

uint64_t Sum(const absl::flat_hash_map<uint64_t, uint64_t>& rows) {
  uint64_t sum = 0;
  for (const auto& [row, count] : rows) sum += count;
  return sum;
}

}  // namespace

void Ledger::Usage(const UsageFacts& facts) {
  ++usage_;
  sum_.input_tokens += facts.input_tokens;
  sum_.output_tokens += facts.output_tokens;
  sum_.cache_create_tokens += facts.cache_create_tokens;
  sum_.cache_read_tokens += facts.cache_read_tokens;
  sum_.ephemeral_5m_tokens += facts.ephemeral_5m_tokens;
  sum_.ephemeral_1h_tokens += facts.ephemeral_1h_tokens;
  sum_.cost_micros += facts.cost_micros;
  sum_.real_cost_micros += facts.real_cost_micros;
  if (facts.long_context) {
    ++long_context_requests_;
    long_context_input_tokens_ += facts.input_tokens;
    long_context_output_tokens_ += facts.output_tokens;
  }
  // Below 2^16 keys, 2^8 accounts and models, and hours until the year 3800.
  stats_rows_.insert(facts.api_key << 48 | facts.account << 32 | facts.model << 24 |
                     static_cast<uint64_t>(facts.hour & 0xFFFFFF));
}

void Ledger::Message(bool has_text, int64_t timestamp_ms) {
  ++messages_;
  messages_with_text_ += has_text ? 1 : 0;
  message_timestamps_ += static_cast<uint64_t>(timestamp_ms);
}

void Ledger::Observed(uint64_t row, uint64_t count) {
  ++observed_;
  uint64_t& greatest = observed_rows_[row];
  greatest = std::max(greatest, count);
}

void Ledger::Hits(uint64_t row, uint64_t hits, bool has_id) {
  ++hits_;
  hits_with_id_ += has_id ? 1 : 0;
  hits_rows_[row] += hits;
}

std::string Ledger::LinesJson() const {
  const uint64_t conflicts = usage_conflicts_ + hits_conflicts_;
  const uint64_t committed = usage_ + messages_ + observed_ + hits_ + observed_again_;
  return absl::StrFormat(
      R"(  "lines": {"all": %d, "committed": %d, "duplicates": %d, "conflicts": %d, "refused": %d,
            "usage": %d, "message": %d, "observed": %d, "observed_again": %d, "hits": %d},
)",
      committed + duplicates_ + conflicts + refused_, committed, duplicates_, conflicts, refused_,
      usage_, messages_, observed_, observed_again_, hits_);
}

std::string Ledger::UsageJson() const {
  const std::string sums = absl::StrFormat(
      R"("input_tokens": %d, "output_tokens": %d,
    "cache_create_tokens": %d, "cache_read_tokens": %d,
    "ephemeral_5m_tokens": %d, "ephemeral_1h_tokens": %d,
    "cost_micros": %d, "real_cost_micros": %d)",
      sum_.input_tokens, sum_.output_tokens, sum_.cache_create_tokens, sum_.cache_read_tokens,
      sum_.ephemeral_5m_tokens, sum_.ephemeral_1h_tokens, sum_.cost_micros, sum_.real_cost_micros);
  return absl::StrFormat(
      R"(  "usage_records": {"rows": %d, %s},
  "usage_stats": {"rows": %d, "requests": %d, %s,
    "long_context_requests": %d, "long_context_input_tokens": %d,
    "long_context_output_tokens": %d},
)",
      usage_, sums, stats_rows_.size(), usage_, sums, long_context_requests_,
      long_context_input_tokens_, long_context_output_tokens_);
}

std::string Ledger::RateLimitJson() const {
  const uint64_t observed = Sum(observed_rows_);
  const uint64_t hits = Sum(hits_rows_);
  return absl::StrFormat(
      R"(  "rate_limit_records": {"rows": %d, "request_count": %d,
    "observed_rows": %d, "observed_request_count": %d,
    "hits_rows": %d, "hits_request_count": %d},
  "holdfast_rate_limit_hits": {"rows": %d},
)",
      observed_rows_.size() + hits_rows_.size(), observed + hits, observed_rows_.size(), observed,
      hits_rows_.size(), hits, hits_with_id_);
}

std::string Ledger::ToJson() const {
  return absl::StrCat(
      "{\n", LinesJson(), UsageJson(), RateLimitJson(),
      absl::StrFormat(
          R"(  "message": {"rows": %d, "with_text": %d, "timestamp_ms": %d},
  "holdfast_quarantine": {"rows": %d}
}
)",
          messages_, messages_with_text_, message_timestamps_, usage_conflicts_ + hits_conflicts_));
}

}  // namespace holdfast::traffic
