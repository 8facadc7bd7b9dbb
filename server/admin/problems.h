// What is not as it should be: the cause, and what an operator does about it. The probes, the
// status and the page all say the same, because they all have it from here.

#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

#include "server/admin/daemon_view.h"

namespace holdfast::admin {

// What a problem does to events, gravest first.
enum class Effect {
  kRefusing,     // New ones are refused.
  kEndangering,  // Accepted ones are lost, or one more fault would lose them.
  kDelaying,     // They are taken and kept, and do not move on.
  kWarning,      // None of this yet.
};

struct Problem {
  Effect effect;
  absl::string_view subject;  // "daemon", "journal", "database" or "lanes".
  std::string cause;          // A sentence.
  std::string remedy;         // Another.
};

// An event that waits for longer than this is worth a look: lanes write within milliseconds.
inline constexpr absl::Duration kWaitsLong = absl::Minutes(1);

// Gravest first.
std::vector<Problem> ProblemsOf(const DaemonFacts& facts, const pipeline::PipelineStatus& pipeline,
                                const mysql::DatabaseStatus& database);

}  // namespace holdfast::admin
