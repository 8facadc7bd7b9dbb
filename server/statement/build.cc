#include "server/statement/build.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "server/base/status_macros.h"

namespace holdfast::statement {
namespace {

absl::Status Unreadable(size_t column, absl::string_view expected) {
  return absl::InternalError(absl::StrCat("column ", column + 1,
                                          " of the database's answer is not ", expected,
                                          ": the schema is not the one this version was built for; "
                                          "run the migrations"));
}

}  // namespace

std::string NewValue(absl::string_view column) { return absl::StrCat("VALUES(", column, ")"); }

std::string KeepRow(absl::string_view key_column) {
  return absl::StrCat(key_column, " = ", key_column);
}

std::string AddTo(absl::string_view column) {
  return absl::StrCat(column, " = ", column, " + ", NewValue(column));
}

std::string KeepGreatest(absl::string_view column) {
  return absl::StrCat(column, " = GREATEST(", column, ", ", NewValue(column), ")");
}

std::string Replace(absl::string_view column) {
  return absl::StrCat(column, " = ", NewValue(column));
}

const mysql::Statement* Upsert(absl::string_view table, absl::Span<const Column> columns,
                               const std::vector<std::string>& updates) {
  auto* statement = new mysql::Statement;
  statement->table = std::string(table);
  statement->head = absl::StrCat("INSERT INTO ", table, " (",
                                 absl::StrJoin(columns, ", ",
                                               [](std::string* out, const Column& column) {
                                                 absl::StrAppend(out, column.name);
                                               }),
                                 ") VALUES ");
  statement->tail = absl::StrCat(" ON DUPLICATE KEY UPDATE ", absl::StrJoin(updates, ", "));
  statement->multi_row = true;
  for (const Column& column : columns) statement->columns.push_back(column.type);
  return statement;
}

const mysql::Statement* Fixed(absl::string_view table, absl::string_view text,
                              std::vector<mysql::ColumnType> columns) {
  auto* statement = new mysql::Statement;
  statement->table = std::string(table);
  statement->head = std::string(text);
  statement->columns = std::move(columns);
  return statement;
}

Call OneRow(const mysql::Statement* statement, std::vector<mysql::Value> values) {
  Call call;
  call.statement = statement;
  call.rows.columns = values.size();
  call.rows.values = std::move(values);
  return call;
}

absl::StatusOr<std::string> ReadText(const mysql::ResultRow& row, size_t column) {
  if (column >= row.size() || !row[column].has_value()) return Unreadable(column, "text");
  return *row[column];
}

absl::StatusOr<uint64_t> ReadUnsigned(const mysql::ResultRow& row, size_t column) {
  uint64_t number = 0;
  if (column >= row.size() || !row[column].has_value() ||
      !absl::SimpleAtoi(*row[column], &number)) {
    return Unreadable(column, "an unsigned number");
  }
  return number;
}

absl::StatusOr<int64_t> ReadSigned(const mysql::ResultRow& row, size_t column) {
  int64_t number = 0;
  if (column >= row.size() || !row[column].has_value() ||
      !absl::SimpleAtoi(*row[column], &number)) {
    return Unreadable(column, "a number");
  }
  return number;
}

absl::StatusOr<absl::Time> ReadTime(const mysql::ResultRow& row, size_t column) {
  absl::Time time;
  std::string error;
  if (column >= row.size() || !row[column].has_value() ||
      !absl::ParseTime("%Y-%m-%d %H:%M:%E*S", *row[column], absl::UTCTimeZone(), &time, &error)) {
    return Unreadable(column, "a time");
  }
  return time;
}

}  // namespace holdfast::statement
