// Puts the texts of statements together. Each text is built once, from constants alone.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"

#include "server/mysql/session.h"

namespace holdfast::statement {

// A statement with its values. Text in the values belongs to whoever made the call.
struct Call {
  const mysql::Statement* statement = nullptr;  // A constant: never freed.
  mysql::Rows rows;
};

struct Column {
  absl::string_view name;
  mysql::ColumnType type;
};

// The value that an upsert would have inserted into `column`. The row alias that MySQL prefers is a
// syntax error on MariaDB; this form works on both.
std::string NewValue(absl::string_view column);

// "column = column": the upsert that leaves the row as it is and reports it as not affected.
std::string KeepRow(absl::string_view key_column);

// "column = column + VALUES(column)".
std::string AddTo(absl::string_view column);

// "column = GREATEST(column, VALUES(column))".
std::string KeepGreatest(absl::string_view column);

// "column = VALUES(column)".
std::string Replace(absl::string_view column);

// INSERT of any number of rows; `updates` are the assignments of ON DUPLICATE KEY UPDATE. Never
// freed.
const mysql::Statement* Upsert(absl::string_view table, absl::Span<const Column> columns,
                               const std::vector<std::string>& updates);

// Any other statement, with a mark for each of `columns`. Never freed.
const mysql::Statement* Fixed(absl::string_view table, absl::string_view text,
                              std::vector<mysql::ColumnType> columns);

// A call with one row of values.
Call OneRow(const mysql::Statement* statement, std::vector<mysql::Value> values);

// Reads columns of an answer. Internal if the column is missing, NULL or not of that form: the text
// that asked and the code that reads do not fit together.
absl::StatusOr<uint64_t> ReadUnsigned(const mysql::ResultRow& row, size_t column);
absl::StatusOr<int64_t> ReadSigned(const mysql::ResultRow& row, size_t column);
absl::StatusOr<std::string> ReadText(const mysql::ResultRow& row, size_t column);
absl::StatusOr<absl::Time> ReadTime(const mysql::ResultRow& row, size_t column);

}  // namespace holdfast::statement
