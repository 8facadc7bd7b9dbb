#include "tests/sim/report.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace holdfast::sim {
namespace {

struct Field {
  const char* name;
  uint64_t Report::*counter;
};

constexpr Field kFields[] = {
    {"seeds", &Report::seeds},
    {"lives", &Report::lives},
    {"crashes", &Report::crashes},
    {"power_cuts", &Report::power_cuts},
    {"crashes_in_recovery", &Report::crashes_in_recovery},
    {"orderly_stops", &Report::orderly_stops},
    {"journal_failures", &Report::journal_failures},
    {"journals_full", &Report::journals_full},
    {"events_accepted", &Report::events_accepted},
    {"duplicates_sent", &Report::duplicates_sent},
    {"duplicates_suppressed", &Report::duplicates_suppressed},
    {"quarantined", &Report::quarantined},
    {"commits", &Report::commits},
    {"commit_cuts", &Report::commit_cuts},
    {"commit_cuts_done", &Report::commit_cuts_done},
    {"commit_cuts_undone", &Report::commit_cuts_undone},
    {"deadlocks", &Report::deadlocks},
    {"lock_waits", &Report::lock_waits},
    {"connections_lost", &Report::connections_lost},
    {"zombies", &Report::zombies},
    {"failovers", &Report::failovers},
    {"commits_rolled_back", &Report::commits_rolled_back},
    {"media_injected", &Report::media_injected},
    {"media_reported", &Report::media_reported},
    {"media_undecidable", &Report::media_undecidable},
    {"media_harmless", &Report::media_harmless},
    {"excused", &Report::excused},
    {"lost", &Report::lost},
    {"doubled", &Report::doubled},
    {"phantom", &Report::phantom},
    {"unreported_corruption", &Report::unreported_corruption},
};
static_assert(sizeof(Report) == sizeof(kFields) / sizeof(Field) * sizeof(uint64_t));

}  // namespace

void Report::Add(const Report& other) {
  for (const Field& field : kFields) this->*field.counter += other.*field.counter;
}

std::string ToJson(const Report& report, double seconds, int jobs, uint64_t first_seed) {
  std::string json = absl::StrCat("{\n  \"first_seed\": ", first_seed, ",\n  \"jobs\": ", jobs,
                                  absl::StrFormat(",\n  \"seconds\": %.1f", seconds));
  for (const Field& field : kFields) {
    absl::StrAppend(&json, ",\n  \"", field.name, "\": ", report.*field.counter);
  }
  return json + "\n}\n";
}

}  // namespace holdfast::sim
