// The numbered migrations of this folder, embedded in the binary and applied by `holdfastd
// --migrate`; and the grants that go with them.

#pragma once

#include <string>
#include <vector>

namespace holdfast::sql {

struct Migration {
  int version;       // 1, 2, ... as in the file's name.
  std::string name;  // The file's name without its ending.
  std::string text;  // Statements, each ended by a semicolon at the end of a line; "--" comments.
};

// In the order of their versions. Lives for the whole process.
const std::vector<Migration>& Migrations();

// The text of grants.sql: what the accounts may do, for a database "gateway_db" and accounts
// 'holdfast' and 'holdfast_migrate'. `holdfast doctor` compares with it.
const char* Grants();

}  // namespace holdfast::sql
