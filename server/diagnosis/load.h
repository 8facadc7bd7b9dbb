// What goes on at the server just now: who waits for whose locks, and which transactions and
// statements have been running for long.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "server/diagnosis/findings.h"
#include "server/diagnosis/options.h"
#include "server/diagnosis/questions.h"

namespace holdfast::diagnosis {

// A connection of the server, by number, and whose it is as far as that is known.
struct Client {
  uint64_t id = 0;
  std::string who;  // "'app'@'10.0.0.3:40122'"
};

struct LockWait {
  Client waiting;
  uint64_t waited_seconds = 0;
  std::string table;
  Client blocking;
  uint64_t open_seconds = 0;  // How long the blocking transaction has been open.
};

struct LongTransaction {
  Client client;
  uint64_t open_seconds = 0;
  uint64_t rows_locked = 0;
  bool is_idle = false;  // No statement is running in it.
};

struct LongStatement {
  Client client;
  uint64_t running_seconds = 0;
};

// The error of a list says why it cannot be seen: with IsDenied, for want of a privilege.
struct Load {
  bool sees_others = false;  // PROCESS: not only the sessions of this very account.
  absl::StatusOr<std::vector<LockWait>> lock_waits;
  absl::StatusOr<std::vector<LongTransaction>> transactions;
  absl::StatusOr<std::vector<LongStatement>> statements;
};

Load ReadLoad(Questions& questions, const Options& options, bool sees_others);

void JudgeLoad(const Load& load, bool is_maria_db, Findings* findings);

}  // namespace holdfast::diagnosis
