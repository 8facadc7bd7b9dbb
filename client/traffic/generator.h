// A day of a gateway's traffic, as lines for `holdfast send`, the same for the same options.
//
// Who does what is a matter of Zipf's law: a few keys, users and conversations do most of it. Rows
// of rate_limit_records that users' observed counts touch are not touched by hits (those come from
// addresses), so that what the table must hold does not depend on the order of arrival.

#pragma once

#include <cstdint>
#include <deque>
#include <string>

#include "client/traffic/day.h"
#include "client/traffic/ledger.h"
#include "client/traffic/random.h"

namespace holdfast::traffic {

struct GeneratorOptions {
  uint64_t seed = 1;
  uint64_t events = 0;
  // Of these, lines that must not reach their table: refused, or in conflict with an earlier id.
  uint64_t poison = 0;
  // Of 100 lines, those that repeat an earlier one word for word. 0 to 90.
  uint64_t duplicates_percent = 0;
  // The day's first moment, in milliseconds since 1970.
  int64_t day_begin_ms = 0;
  // Whether hits carry an event_id. Without one they are never repeated: they would count again.
  bool hits_have_ids = true;
};

// Not thread-safe.
class Generator final {
 public:
  explicit Generator(const GeneratorOptions& options);

  // Appends the next line with its end. False: that was all.
  bool Next(std::string* output);

  const Ledger& ledger() const { return ledger_; }

 private:
  // What can be told of a line once more.
  struct Repeatable {
    std::string line;
    bool is_observed;
  };

  void Repeat(std::string* output);
  void Poison(std::string* output);
  void Remember(bool is_observed);

  // Each writes line_ anew.
  void Usage();
  void Observed();
  void Hits();
  void Message();
  void WriteUsage(const UsageFacts& facts, const std::string& id, int64_t at_ms);
  void WriteHits(uint64_t address, uint64_t route, uint64_t hits, const std::string& id,
                 int64_t at_ms);

  // A UUID of version 7 with this time.
  std::string MakeId(int64_t at_ms);

  const GeneratorOptions options_;
  Random random_;
  const Day day_;
  const Zipf api_keys_;
  const Zipf users_;
  const Zipf addresses_;
  const Zipf conversations_;
  Ledger ledger_;

  uint64_t made_ = 0;
  uint64_t poisoned_ = 0;
  int64_t now_ms_ = 0;
  std::string line_;
  std::deque<Repeatable> recent_;

  // The last good usage event and hits: what a conflict takes its id from.
  UsageFacts last_usage_{};
  std::string last_usage_id_;
  int64_t last_usage_ms_ = 0;
  std::string last_hits_id_;
  uint64_t last_hits_address_ = 0;
  uint64_t last_hits_route_ = 0;
  uint64_t last_hits_ = 0;
  int64_t last_hits_ms_ = 0;
};

}  // namespace holdfast::traffic
