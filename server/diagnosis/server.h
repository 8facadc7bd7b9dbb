// The server itself: its version, whether its commits last, whether it takes writes; and what it
// made of the session's settings.

#pragma once

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "server/diagnosis/findings.h"
#include "server/diagnosis/options.h"
#include "server/diagnosis/questions.h"

namespace holdfast::diagnosis {

// Version, durability, packet size, read_only; and connections: limits and how many there are.
absl::StatusOr<Variables> ReadServer(Questions& questions);

void JudgeServer(const Variables& server, mysql::Dialect dialect, bool has_spares,
                 Findings* findings);

// Threads_connected against max_connections, and what this daemon may still need.
void JudgeConnections(const Variables& server, const Options& options, Findings* findings);

// `set_up`: what setting the session up came to.
void JudgeSession(const absl::Status& set_up, const absl::StatusOr<Variables>& session,
                  const Options& options, Findings* findings);
absl::StatusOr<Variables> ReadSession(Questions& questions);

}  // namespace holdfast::diagnosis
