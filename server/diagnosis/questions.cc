#include "server/diagnosis/questions.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "server/base/status_macros.h"
#include "server/mysql/errors.h"

namespace holdfast::diagnosis {

absl::StatusOr<Answer> Questions::Ask(absl::string_view sql, std::vector<std::string> parameters) {
  HOLDFAST_RETURN_IF_ERROR(Usable());
  mysql::Statement statement;
  statement.table = "schema";
  statement.head = std::string(sql);
  statement.columns.assign(parameters.size(), mysql::ColumnType::kText);
  mysql::Rows rows;
  rows.columns = parameters.size();
  for (const std::string& parameter : parameters)
    rows.values.emplace_back(absl::string_view(parameter));
  return connection_.Query(statement, rows);
}

absl::StatusOr<Variables> Questions::Read(const std::vector<std::string>& names) {
  Answer answer;
  HOLDFAST_ASSIGN_OR_RETURN(answer, Ask(absl::StrCat("SELECT ", absl::StrJoin(names, ", "))));
  Variables variables;
  for (size_t i = 0; i < names.size(); ++i) variables[names[i]] = TextAt(answer.at(0), i);
  return variables;
}

absl::StatusOr<Variables> Questions::ReadStatus(absl::string_view scope,
                                                const std::vector<std::string>& names) {
  Answer answer;
  HOLDFAST_ASSIGN_OR_RETURN(answer,
                            Ask(absl::StrCat("SHOW ", scope, " STATUS WHERE Variable_name IN ('",
                                             absl::StrJoin(names, "', '"), "')")));
  Variables variables;
  for (const mysql::ResultRow& row : answer) variables[TextAt(row, 0)] = TextAt(row, 1);
  return variables;
}

absl::Status Questions::Usable() const {
  if (connection_.is_lost()) return absl::UnavailableError("the connection was lost");
  if (clock_.Steady() >= deadline_) return absl::DeadlineExceededError("no time was left");
  return absl::OkStatus();
}

unsigned ErrorNumberOf(const absl::Status& status) {
  const std::optional<mysql::DatabaseError> error = mysql::ErrorOf(status);
  return error.has_value() ? error->error_number : 0;
}

bool IsDenied(const absl::Status& status) {
  const unsigned number = ErrorNumberOf(status);
  return number == 1044 || number == 1142 || number == 1143 || number == 1227;
}

std::string TextAt(const mysql::ResultRow& row, size_t column) {
  return column < row.size() ? row[column].value_or("") : "";
}

uint64_t NumberAt(const mysql::ResultRow& row, size_t column) {
  uint64_t number = 0;
  return absl::SimpleAtoi(TextAt(row, column), &number) ? number : 0;
}

std::string TextOf(const Variables& variables, const std::string& name) {
  const auto found = variables.find(name);
  return found == variables.end() ? "" : found->second;
}

uint64_t NumberOf(const Variables& variables, const std::string& name) {
  uint64_t number = 0;
  return absl::SimpleAtoi(TextOf(variables, name), &number) ? number : 0;
}

}  // namespace holdfast::diagnosis
