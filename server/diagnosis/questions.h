// Questions to a server's catalogue, until a deadline.

#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

#include "server/base/clock.h"
#include "server/mysql/connection.h"

namespace holdfast::diagnosis {

using Answer = std::vector<mysql::ResultRow>;

// Values by name, as `Variables` reads them; NULL is empty.
using Variables = std::map<std::string, std::string>;

// Not thread-safe. Each question ends within the connection's query_timeout; once the link is lost
// or the deadline has come, all that follow fail at once.
class Questions final {
 public:
  Questions(mysql::Connection& connection, absl::Time deadline, base::Clock& clock)
      : connection_(connection), deadline_(deadline), clock_(clock) {}

  absl::StatusOr<Answer> Ask(absl::string_view sql, std::vector<std::string> parameters = {});

  // A SELECT of system variables ("@@version") by their names, in one row.
  absl::StatusOr<Variables> Read(const std::vector<std::string>& names);

  // Status variables of the server or the session: `scope` is "GLOBAL" or "SESSION".
  absl::StatusOr<Variables> ReadStatus(absl::string_view scope,
                                       const std::vector<std::string>& names);

  // Whether another question makes sense; the error says why not.
  absl::Status Usable() const;

  mysql::Connection& connection() { return connection_; }
  mysql::Dialect dialect() const { return connection_.dialect(); }
  bool is_maria_db() const { return dialect() == mysql::Dialect::kMariaDb; }

 private:
  mysql::Connection& connection_;
  const absl::Time deadline_;
  base::Clock& clock_;
};

// The server's error number behind a failed question; 0 if there is none.
unsigned ErrorNumberOf(const absl::Status& status);

// Whether it failed because the account lacks a privilege.
bool IsDenied(const absl::Status& status);

// A column of an answer as text, NULL as "", and as a number, 0 if it is none.
std::string TextAt(const mysql::ResultRow& row, size_t column);
uint64_t NumberAt(const mysql::ResultRow& row, size_t column);
uint64_t NumberOf(const Variables& variables, const std::string& name);
std::string TextOf(const Variables& variables, const std::string& name);

}  // namespace holdfast::diagnosis
