// The little SQL that the room `statement` and sql/ are written in, parsed. Anything else ends the
// test with a message: the fake never guesses.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

#include "server/mysql/session.h"

namespace holdfast::test {

// An expression over one row.
struct SqlExpression {
  enum class Kind { kMark, kNumber, kColumn, kNewValue, kAdd, kSubtract, kGreatest };
  Kind kind = Kind::kNumber;
  size_t mark = 0;                   // kMark: which of the statement's marks.
  int64_t number = 0;                // kNumber.
  std::string column;                // kColumn, kNewValue.
  std::vector<SqlExpression> parts;  // The rest.
};

struct SqlAssignment {
  std::string column;
  SqlExpression value;
};

// Conditions are joined by AND.
struct SqlCondition {
  std::string column;
  std::string comparison;  // "=", "<>", "<", "<=", ">", ">=" or "IN".
  std::vector<SqlExpression> operands;
};

struct SqlStatement {
  enum class Kind { kInsert, kUpdate, kSelect, kDelete };
  Kind kind = Kind::kSelect;
  std::string table;
  std::vector<std::string> columns;  // Of an INSERT or a SELECT.
  std::vector<SqlAssignment> assignments;
  std::vector<SqlCondition> conditions;
  std::string order_by;
  bool descending = false;
  std::optional<SqlExpression> limit;
  bool for_update = false;
};

SqlStatement ParseStatement(const mysql::Statement& statement);

struct SqlColumn {
  enum class Type { kSigned, kUnsigned, kBytes, kText, kTime };
  std::string name;
  Type type = Type::kBytes;
  int bits = 0;                  // Of an integer.
  size_t length_max = SIZE_MAX;  // Bytes of kBytes and of TEXT types; characters of VARCHAR.
  bool counts_characters = false;
  int second_digits = 0;  // Of a time.
  bool is_nullable = true;
  bool has_default = false;  // Whether an INSERT may leave it out.
  int64_t default_number = 0;
  bool is_auto_increment = false;
};

struct SqlTable {
  std::string name;
  std::vector<SqlColumn> columns;
  std::vector<std::string> primary_key;
  std::vector<std::vector<std::string>> unique_keys;
};

// Adds the tables that a migration creates, and the columns that it adds to those of before. Other
// statements than CREATE TABLE and ALTER TABLE are passed over.
void ApplyMigration(absl::string_view migration, std::vector<SqlTable>* tables);

// Ends the test.
[[noreturn]] void FakeSqlFailure(absl::string_view what, absl::string_view text);

}  // namespace holdfast::test
