// Error number to verdict: the one place where a failure of the database is classified. The table
// and its reasons are in server/mysql/README.md.
//
// A failure travels as an absl::Status whose message is for people and whose payload carries a
// `DatabaseError` for programs.

#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

#include "server/flow/verdict.h"

namespace holdfast::mysql {

struct DatabaseError {
  unsigned error_number = 0;  // The server's or the client library's (2000 to 2999).
  std::string sql_state;
  std::string message;  // The server's own words. May repeat values: not for the log.
  flow::Verdict verdict = flow::Verdict::kReconnect;

  // The column that the message names, where it names one.
  std::string column() const;
};

// The verdict on an error number. `committing`: COMMIT may have been sent.
flow::Verdict Classify(unsigned error_number, absl::string_view sql_state, bool committing);

// A status that carries `error`; its own message names the operation, the number and the remedy,
// and no values.
absl::Status ToStatus(absl::string_view operation, const DatabaseError& error);

// The error that `status` carries, or nullopt if it did not come from the database.
std::optional<DatabaseError> ErrorOf(const absl::Status& status);

// The verdict on any status that a Session returned; kReconnect for one that carries no error.
flow::Verdict VerdictOf(const absl::Status& status);

}  // namespace holdfast::mysql
