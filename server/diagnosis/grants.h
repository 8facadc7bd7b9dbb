// The account's privileges against those of sql/grants.sql: too few, and too many.

#pragma once

#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "server/diagnosis/findings.h"
#include "server/diagnosis/questions.h"

namespace holdfast::diagnosis {

// One GRANT: privileges on a database's tables.
struct Grant {
  std::set<std::string> privileges;  // "SELECT", "ALL PRIVILEGES", "SELECT (a)"
  std::string database;              // "*", or a pattern of LIKE where `table` is "*".
  std::string table;                 // "*" for all.
  bool may_grant = false;            // WITH GRANT OPTION
};

// Reads a statement as SHOW GRANTS and sql/grants.sql have it. Nullopt for what is no grant on
// tables: roles, proxies, routines.
std::optional<Grant> ParseGrant(absl::string_view statement);

struct Account {
  std::string name;  // "'holdfast'@'%'"
  std::vector<Grant> grants;

  bool Has(absl::string_view privilege, absl::string_view database, absl::string_view table) const;
};

// What the daemon needs in `database`: the grants of sql/grants.sql for it.
std::vector<Grant> NeededGrants(absl::string_view database);

absl::StatusOr<Account> ReadAccount(Questions& questions);

void JudgeGrants(const Account& account, absl::string_view database, Findings* findings);

}  // namespace holdfast::diagnosis
