// What the migrations of sql/ make of a database: the tables as they should be.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace holdfast::diagnosis {

// What a column holds, and how much of it at most: bytes of text, or a number's greatest value.
enum class Family { kNumber, kText, kTime, kOther };
struct Capacity {
  Family family = Family::kOther;
  uint64_t most = 0;
};

// Of a type as CREATE TABLE or information_schema's COLUMN_TYPE has it. `octets`: for texts, the
// bytes that information_schema gives; 0: by the type.
Capacity CapacityOf(absl::string_view type, uint64_t octets);

struct WantedColumn {
  std::string name;
  std::string type;        // "varbinary(500)"
  std::string definition;  // "VARBINARY(500) NOT NULL DEFAULT ''"
  Capacity capacity;
  // The server fills it (DEFAULT CURRENT_TIMESTAMP): no statement of ours names it.
  bool is_filled = false;
};

struct WantedTable {
  std::string name;
  std::vector<WantedColumn> columns;
  std::vector<std::string> key;        // What makes a row: the primary key, or the unique one.
  std::vector<std::string> sought_by;  // Columns that other keys begin with.
  // What a gateway may have had before: written to as it is.
  bool may_be_foreign() const { return name == "rate_limit_records" || name == "message"; }
};

// The tables of a script with statements in the form of sql/*.sql; views are left out.
std::vector<WantedTable> ReadTables(absl::string_view script);

// Those of all migrations.
std::vector<WantedTable> WantedTables();

}  // namespace holdfast::diagnosis
