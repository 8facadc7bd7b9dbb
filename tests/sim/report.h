// What a run has done, counted.

#pragma once

#include <cstdint>
#include <string>

namespace holdfast::sim {

// Only counters of one type: workers hand theirs over as bytes, and Add and ToJson go by the list
// in report.cc.
struct Report {
  uint64_t seeds = 0;
  uint64_t lives = 0;    // Times that a journal was opened, in whatever state it was left.
  uint64_t crashes = 0;  // Lives that ended with a process killed or the power cut.
  uint64_t power_cuts = 0;
  uint64_t crashes_in_recovery = 0;
  uint64_t orderly_stops = 0;
  uint64_t journal_failures = 0;  // Writes or syncs of the journal that failed.
  uint64_t journals_full = 0;     // Batches refused because it was.
  uint64_t events_accepted = 0;
  uint64_t duplicates_sent = 0;        // Events sent again, under their sequence or their own id.
  uint64_t duplicates_suppressed = 0;  // Of these: held by the journal, or known to the database.
  uint64_t quarantined = 0;
  uint64_t commits = 0;
  uint64_t commit_cuts = 0;         // COMMITs whose answer was lost.
  uint64_t commit_cuts_done = 0;    // Of these: had taken effect, or did later.
  uint64_t commit_cuts_undone = 0;  // Of these: never did.
  uint64_t deadlocks = 0;           // 1213.
  uint64_t lock_waits = 0;          // 1205.
  uint64_t connections_lost = 0;
  uint64_t zombies = 0;  // Transactions that outlived their client.
  uint64_t failovers = 0;
  uint64_t commits_rolled_back = 0;  // By failovers.
  uint64_t media_injected = 0;
  uint64_t media_reported = 0;
  uint64_t media_undecidable = 0;  // As if torn before it was acknowledged: nothing can tell.
  uint64_t media_harmless = 0;     // Hit nothing that was needed.
  uint64_t excused = 0;            // Events missing within what was reported or undecidable.
  uint64_t lost = 0;
  uint64_t doubled = 0;
  uint64_t phantom = 0;
  uint64_t unreported_corruption = 0;

  void Add(const Report& other);
};

// A JSON object with all of it, and how long it took.
std::string ToJson(const Report& report, double seconds, int jobs, uint64_t first_seed);

}  // namespace holdfast::sim
