// Writes for trial: each table gets the rows that a lane would write, by the daemon's own
// statements, in a transaction that is rolled back.

#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"

#include "server/diagnosis/findings.h"
#include "server/diagnosis/options.h"
#include "server/mysql/session.h"

namespace holdfast::diagnosis {

struct TrialWrite {
  std::string table;
  absl::Status outcome;
};

// Of each table in the writer's order; ends early where a lock is not given or the link breaks.
std::vector<TrialWrite> TryWrites(mysql::Session& session, const Options& options, absl::Time now);

void JudgeTrial(const std::vector<TrialWrite>& writes, Findings* findings);

// What the trials and the probe are written under; no gateway has such a key.
inline constexpr char kOurKey[] = "holdfast:doctor";

}  // namespace holdfast::diagnosis
