#include "tests/support/fake_sql.h"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace holdfast::test {
namespace {

bool IsWord(char c) { return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_'; }

// Walks through a text, a token at a time: a word, a number, a string in quotes, or a sign.
class Tokens {
 public:
  explicit Tokens(absl::string_view text) : text_(text) { Next(); }

  absl::string_view token() const { return token_; }
  bool AtEnd() const { return token_.empty(); }
  bool Is(absl::string_view word) const { return absl::EqualsIgnoreCase(token_, word); }

  std::string Take() {
    if (AtEnd()) FakeSqlFailure("ends too early", text_);
    std::string taken(token_);
    Next();
    return taken;
  }
  bool TakeIf(absl::string_view word) {
    if (!Is(word)) return false;
    Next();
    return true;
  }
  void Expect(absl::string_view word) {
    if (!TakeIf(word)) {
      FakeSqlFailure(absl::StrCat("has '", token_, "' where '", word, "' is known"), text_);
    }
  }
  [[noreturn]] void Fail(absl::string_view what) const {
    FakeSqlFailure(absl::StrCat(what, " at '", token_, "'"), text_);
  }

 private:
  void Next() {
    size_t start = position_;
    while (true) {
      while (start < text_.size() &&
             absl::ascii_isspace(static_cast<unsigned char>(text_[start]))) {
        ++start;
      }
      if (!absl::StartsWith(text_.substr(start), "--")) break;
      start = std::min(text_.find('\n', start), text_.size());
    }
    size_t end = start;
    if (end < text_.size()) {
      if (IsWord(text_[end])) {
        while (end < text_.size() && IsWord(text_[end])) ++end;
      } else if (text_[end] == '\'') {
        end = EndOfString(end);
      } else {
        end += absl::StartsWith(text_.substr(end), "<=") ||
                       absl::StartsWith(text_.substr(end), ">=") ||
                       absl::StartsWith(text_.substr(end), "<>")
                   ? 2
                   : 1;
      }
    }
    token_ = text_.substr(start, end - start);
    position_ = end;
  }

  // A quote within is doubled.
  size_t EndOfString(size_t start) const {
    size_t end = start + 1;
    while (end < text_.size() && (text_[end] != '\'' || text_.substr(end + 1, 1) == "'")) {
      end += text_[end] == '\'' ? 2 : 1;
    }
    return end + 1;
  }

  absl::string_view text_;
  absl::string_view token_;
  size_t position_ = 0;
};

class StatementParser {
 public:
  explicit StatementParser(const mysql::Statement& statement)
      : text_(absl::StrCat(statement.head, statement.multi_row ? "ROWS" : "", statement.tail)),
        tokens_(text_) {}

  SqlStatement Parse() {
    if (tokens_.TakeIf("INSERT")) {
      ParseInsert();
    } else if (tokens_.TakeIf("UPDATE")) {
      parsed_.kind = SqlStatement::Kind::kUpdate;
      parsed_.table = tokens_.Take();
      tokens_.Expect("SET");
      ParseAssignments();
      ParseConditions();
    } else if (tokens_.TakeIf("SELECT")) {
      parsed_.kind = SqlStatement::Kind::kSelect;
      ParseColumns();
      tokens_.Expect("FROM");
      parsed_.table = tokens_.Take();
      ParseConditions();
      ParseOrderAndLimit();
      if (tokens_.TakeIf("FOR")) {
        tokens_.Expect("UPDATE");
        parsed_.for_update = true;
      }
    } else if (tokens_.TakeIf("DELETE")) {
      parsed_.kind = SqlStatement::Kind::kDelete;
      tokens_.Expect("FROM");
      parsed_.table = tokens_.Take();
      ParseConditions();
      ParseOrderAndLimit();
    } else {
      tokens_.Fail("is no statement that the fake knows");
    }
    if (!tokens_.AtEnd()) tokens_.Fail("goes on");
    return std::move(parsed_);
  }

 private:
  void ParseInsert() {
    parsed_.kind = SqlStatement::Kind::kInsert;
    tokens_.Expect("INTO");
    parsed_.table = tokens_.Take();
    tokens_.Expect("(");
    ParseColumns();
    tokens_.Expect(")");
    tokens_.Expect("VALUES");
    tokens_.Expect("ROWS");
    if (tokens_.AtEnd()) return;
    for (const char* word : {"ON", "DUPLICATE", "KEY", "UPDATE"}) tokens_.Expect(word);
    ParseAssignments();
  }

  void ParseColumns() {
    do {
      parsed_.columns.push_back(tokens_.Take());
    } while (tokens_.TakeIf(","));
  }

  void ParseAssignments() {
    do {
      SqlAssignment assignment;
      assignment.column = tokens_.Take();
      tokens_.Expect("=");
      assignment.value = ParseExpression();
      parsed_.assignments.push_back(std::move(assignment));
    } while (tokens_.TakeIf(","));
  }

  void ParseConditions() {
    if (!tokens_.TakeIf("WHERE")) return;
    do {
      SqlCondition condition;
      condition.column = tokens_.Take();
      condition.comparison = absl::AsciiStrToUpper(tokens_.Take());
      if (condition.comparison == "IN") {
        tokens_.Expect("(");
        do {
          condition.operands.push_back(ParseExpression());
        } while (tokens_.TakeIf(","));
        tokens_.Expect(")");
      } else {
        condition.operands.push_back(ParseExpression());
      }
      parsed_.conditions.push_back(std::move(condition));
    } while (tokens_.TakeIf("AND"));
  }

  void ParseOrderAndLimit() {
    if (tokens_.TakeIf("ORDER")) {
      tokens_.Expect("BY");
      parsed_.order_by = tokens_.Take();
      parsed_.descending = tokens_.TakeIf("DESC");
    }
    if (tokens_.TakeIf("LIMIT")) parsed_.limit = ParseExpression();
  }

  SqlExpression ParseExpression() {
    SqlExpression left = ParseOperand();
    while (tokens_.Is("+") || tokens_.Is("-")) {
      SqlExpression both;
      both.kind = tokens_.Is("+") ? SqlExpression::Kind::kAdd : SqlExpression::Kind::kSubtract;
      tokens_.Take();
      both.parts.push_back(std::move(left));
      both.parts.push_back(ParseOperand());
      left = std::move(both);
    }
    return left;
  }

  SqlExpression ParseOperand() {
    SqlExpression operand;
    if (tokens_.TakeIf("?")) {
      operand.kind = SqlExpression::Kind::kMark;
      operand.mark = marks_++;
    } else if (tokens_.TakeIf("GREATEST")) {
      operand.kind = SqlExpression::Kind::kGreatest;
      tokens_.Expect("(");
      do {
        operand.parts.push_back(ParseExpression());
      } while (tokens_.TakeIf(","));
      tokens_.Expect(")");
    } else if (tokens_.TakeIf("VALUES")) {
      operand.kind = SqlExpression::Kind::kNewValue;
      tokens_.Expect("(");
      operand.column = tokens_.Take();
      tokens_.Expect(")");
    } else if (absl::SimpleAtoi(tokens_.token(), &operand.number)) {
      tokens_.Take();
    } else if (!tokens_.AtEnd() && IsWord(tokens_.token()[0])) {
      operand.kind = SqlExpression::Kind::kColumn;
      operand.column = tokens_.Take();
    } else {
      tokens_.Fail("is no expression that the fake knows");
    }
    return operand;
  }

  const std::string text_;
  Tokens tokens_;
  SqlStatement parsed_;
  size_t marks_ = 0;
};

size_t TakeLength(Tokens& tokens) {
  int64_t length = 0;
  tokens.Expect("(");
  if (!absl::SimpleAtoi(tokens.Take(), &length)) tokens.Fail("is no length");
  tokens.Expect(")");
  return static_cast<size_t>(length);
}

void ParseType(Tokens& tokens, SqlColumn* column) {
  const std::string type = absl::AsciiStrToUpper(tokens.Take());
  using Type = SqlColumn::Type;
  const std::pair<const char*, int> integers[] = {
      {"TINYINT", 8}, {"SMALLINT", 16}, {"INT", 32}, {"BIGINT", 64}};
  for (const auto& [name, bits] : integers) {
    if (type != name) continue;
    column->bits = bits;
    column->type = tokens.TakeIf("UNSIGNED") ? Type::kUnsigned : Type::kSigned;
    return;
  }
  if (type == "DATETIME") {
    column->type = Type::kTime;
    if (tokens.Is("(")) column->second_digits = static_cast<int>(TakeLength(tokens));
  } else if (type == "BINARY" || type == "VARBINARY") {
    column->length_max = TakeLength(tokens);
  } else if (type == "VARCHAR") {
    column->type = Type::kText;
    column->length_max = TakeLength(tokens);
    column->counts_characters = true;
  } else if (type == "MEDIUMBLOB" || type == "MEDIUMTEXT" || type == "TEXT" || type == "LONGTEXT") {
    column->type = type == "MEDIUMBLOB" ? Type::kBytes : Type::kText;
    column->length_max = type == "TEXT" ? 65535 : type == "LONGTEXT" ? 4294967295 : 16777215;
  } else {
    tokens.Fail("comes after a type that the fake does not know");
  }
}

void ParseColumn(Tokens& tokens, SqlColumn* column) {
  ParseType(tokens, column);
  while (!tokens.Is(",") && !tokens.Is(")") && !tokens.Is(";")) {
    if (tokens.TakeIf("NOT")) {
      tokens.Expect("NULL");
      column->is_nullable = false;
    } else if (tokens.TakeIf("DEFAULT")) {
      column->has_default = true;
      const std::string value = tokens.Take();
      if (!absl::SimpleAtoi(value, &column->default_number)) column->default_number = 0;
    } else if (tokens.TakeIf("AUTO_INCREMENT")) {
      column->is_auto_increment = true;
    } else if (tokens.TakeIf("COMMENT") || tokens.TakeIf("COLLATE")) {
      tokens.Take();
    } else if (tokens.TakeIf("CHARACTER")) {
      tokens.Expect("SET");
      tokens.Take();
    } else if (tokens.TakeIf("ON")) {
      tokens.Expect("UPDATE");
      tokens.Take();
    } else if (!tokens.TakeIf("NULL")) {
      tokens.Fail("is no part of a column that the fake knows");
    }
  }
}

std::vector<std::string> TakeKey(Tokens& tokens) {
  std::vector<std::string> columns;
  tokens.Expect("(");
  do {
    columns.push_back(tokens.Take());
  } while (tokens.TakeIf(","));
  tokens.Expect(")");
  return columns;
}

SqlTable ParseTable(Tokens& tokens) {
  for (const char* word : {"IF", "NOT", "EXISTS"}) tokens.Expect(word);
  SqlTable table;
  table.name = tokens.Take();
  tokens.Expect("(");
  do {
    if (tokens.TakeIf("PRIMARY")) {
      tokens.Expect("KEY");
      table.primary_key = TakeKey(tokens);
    } else if (tokens.TakeIf("UNIQUE")) {
      tokens.Expect("KEY");
      tokens.Take();
      table.unique_keys.push_back(TakeKey(tokens));
    } else if (tokens.TakeIf("KEY")) {
      tokens.Take();
      TakeKey(tokens);
    } else {
      SqlColumn column;
      column.name = tokens.Take();
      ParseColumn(tokens, &column);
      table.columns.push_back(std::move(column));
    }
  } while (tokens.TakeIf(","));
  tokens.Expect(")");
  return table;
}

void AddColumns(Tokens& tokens, std::vector<SqlTable>* tables) {
  const std::string name = tokens.Take();
  const auto table = std::find_if(tables->begin(), tables->end(),
                                  [&name](const SqlTable& one) { return one.name == name; });
  if (table == tables->end()) tokens.Fail("comes after a table that is not there");
  do {
    for (const char* word : {"ADD", "COLUMN"}) tokens.Expect(word);
    SqlColumn column;
    column.name = tokens.Take();
    ParseColumn(tokens, &column);
    table->columns.push_back(std::move(column));
  } while (tokens.TakeIf(","));
}

}  // namespace

void FakeSqlFailure(absl::string_view what, absl::string_view text) {
  std::fprintf(stderr, "the fake database cannot run this: it %s\n  %s\n",
               std::string(what).c_str(), std::string(text.substr(0, 500)).c_str());
  std::abort();
}

SqlStatement ParseStatement(const mysql::Statement& statement) {
  return StatementParser(statement).Parse();
}

void ApplyMigration(absl::string_view migration, std::vector<SqlTable>* tables) {
  Tokens tokens(migration);
  while (!tokens.AtEnd()) {
    if (tokens.TakeIf("CREATE") && tokens.TakeIf("TABLE")) tables->push_back(ParseTable(tokens));
    if (tokens.TakeIf("ALTER") && tokens.TakeIf("TABLE")) AddColumns(tokens, tables);
    while (!tokens.AtEnd() && !tokens.TakeIf(";")) tokens.Take();
  }
}

}  // namespace holdfast::test
