// The tables as they are, against what sql/ makes of them: what is missing, and the weaknesses that
// gateways' own tables are known for. Each comes with the statement that mends it.

#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "server/diagnosis/findings.h"
#include "server/diagnosis/grants.h"
#include "server/diagnosis/options.h"
#include "server/diagnosis/questions.h"
#include "server/diagnosis/schema.h"
#include "server/mysql/migrate.h"

namespace holdfast::diagnosis {

struct FoundColumn {
  std::string name;  // In lower case: servers do not tell names apart by it.
  std::string type;  // COLUMN_TYPE: "varchar(500)"
  Capacity capacity;
  bool is_nullable = false;
  bool has_default = false;  // Or fills itself.
  std::string collation;     // Empty for numbers, times and bytes.
};

struct FoundKey {
  std::string name;
  bool is_unique = false;
  struct Part {
    std::string column;   // In lower case; empty for an expression.
    uint64_t prefix = 0;  // Characters that count; 0: all.
  };
  std::vector<Part> parts;
};

struct FoundTable {
  bool is_base_table = true;
  std::string engine;
  std::vector<FoundColumn> columns;
  std::vector<FoundKey> keys;

  const FoundColumn* Find(const std::string& column) const;
};

// By name; only those that the account may see.
using FoundTables = std::map<std::string, FoundTable>;
absl::StatusOr<FoundTables> ReadFoundTables(Questions& questions, const std::string& database);

// Whether the migrations were applied, and for the same STATS_UTC_OFFSET.
void JudgeMigrations(const absl::StatusOr<mysql::SchemaState>& state, const Options& options,
                     Findings* findings);

// `account` may be null: its grants are not known.
void JudgeTables(const FoundTables& found, const Account* account, const std::string& database,
                 Findings* findings);

// One table.
void JudgeTable(const WantedTable& wanted, const FoundTable& found, Findings* findings);

}  // namespace holdfast::diagnosis
