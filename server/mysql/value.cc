#include "server/mysql/value.h"

#include <mysql.h>

#include <cstdio>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/civil_time.h"

#include "server/base/check.h"

namespace holdfast::mysql {
namespace {

// A bound integer or time: an indicator and at most twelve bytes. As text: at most 29 characters.
constexpr size_t kFixedBytesMax = 32;
// What goes with a text: quotes and a comma, or an indicator and up to nine bytes of length.
constexpr size_t kTextOverhead = 10;

size_t LiteralBytesMax(const Value& value) {
  const auto* text = std::get_if<absl::string_view>(&value);
  return text == nullptr ? kFixedBytesMax : 2 * text->size() + kTextOverhead;
}

void AppendHex(absl::string_view bytes, std::string* sql) {
  absl::StrAppend(sql, "x'", absl::BytesToHexString(bytes), "'");
}

void AppendQuoted(absl::string_view text, st_mysql* connection, std::string* sql) {
  const size_t start = sql->size();
  sql->resize(start + 2 * text.size() + 3);  // Quotes, and the zero that the library adds.
  char* out = sql->data() + start;
  *out = '\'';
  const unsigned long length =
      text.empty() ? 0 : mysql_real_escape_string(connection, out + 1, text.data(), text.size());
  out[1 + length] = '\'';
  sql->resize(start + length + 2);
}

void AppendTime(absl::Time time, std::string* sql) {
  const absl::CivilSecond civil = absl::ToCivilSecond(time, absl::UTCTimeZone());
  const int64_t micros = absl::ToUnixMicros(time) - absl::ToUnixSeconds(time) * 1000000;
  char text[48];
  const int length =
      std::snprintf(text, sizeof(text), "'%04d-%02d-%02d %02d:%02d:%02d.%06d'",
                    static_cast<int>(civil.year()), civil.month(), civil.day(), civil.hour(),
                    civil.minute(), civil.second(), static_cast<int>(micros));
  HOLDFAST_CHECK(length > 0 && static_cast<size_t>(length) < sizeof(text));
  sql->append(text, static_cast<size_t>(length));
}

void AppendRow(const Statement& statement, const Rows& rows, size_t row, st_mysql* connection,
               std::string* sql) {
  for (size_t column = 0; column < rows.columns; ++column) {
    sql->push_back(column == 0 ? '(' : ',');
    AppendLiteral(rows.values[row * rows.columns + column], statement.columns[column], connection,
                  sql);
  }
  sql->push_back(')');
}

// The marks of a statement of ours stand outside quotes: no text of the room `statement` has a
// question mark in a literal, and prepared statements would not accept one either.
void AppendWithMarksFilled(const Statement& statement, const Rows& rows, size_t row,
                           st_mysql* connection, std::string* sql) {
  size_t column = 0;
  for (const char c : statement.head) {
    if (c != '?') {
      sql->push_back(c);
      continue;
    }
    HOLDFAST_CHECK(column < rows.columns);
    AppendLiteral(rows.values[row * rows.columns + column], statement.columns[column], connection,
                  sql);
    ++column;
  }
  HOLDFAST_CHECK(column == rows.columns);
}

}  // namespace

size_t EstimateRowBytes(const Statement& statement, const Rows& rows, size_t row) {
  HOLDFAST_CHECK(rows.columns == statement.columns.size());
  size_t bytes = 3;
  for (size_t column = 0; column < rows.columns; ++column) {
    bytes += LiteralBytesMax(rows.values[row * rows.columns + column]);
  }
  return bytes;
}

size_t EstimateBytes(const Statement& statement, const Rows& rows, size_t first, size_t count) {
  size_t bytes = statement.head.size() + statement.tail.size();
  for (size_t row = first; row < first + count; ++row) {
    bytes += EstimateRowBytes(statement, rows, row);
  }
  return bytes;
}

size_t BoundRowBytes(const Rows& rows, size_t row) {
  size_t bytes = 0;
  for (size_t column = 0; column < rows.columns; ++column) {
    const auto* text = std::get_if<absl::string_view>(&rows.values[row * rows.columns + column]);
    bytes += kTextOverhead + (text == nullptr ? sizeof(int64_t) : text->size());
  }
  return bytes;
}

bool FitsDatetime(absl::Time time) {
  static const absl::Time begin = absl::FromCivil(absl::CivilSecond(0), absl::UTCTimeZone());
  static const absl::Time end = absl::FromCivil(absl::CivilSecond(10000), absl::UTCTimeZone());
  return time >= begin && time < end;
}

bool TimesFit(const Rows& rows, size_t first, size_t count) {
  for (size_t i = first * rows.columns; i < (first + count) * rows.columns; ++i) {
    const auto* time = std::get_if<absl::Time>(&rows.values[i]);
    if (time != nullptr && !FitsDatetime(*time)) return false;
  }
  return true;
}

DatabaseError NotADatetime() {
  return {1292, "22007", "a time is outside the years 0 to 9999", flow::Verdict::kReject};
}

DatabaseError ValuesTooLarge() {
  return {1153, "08S01", "the values are larger than max_allowed_packet", flow::Verdict::kReject};
}

void AppendLiteral(const Value& value, ColumnType type, st_mysql* connection, std::string* sql) {
  if (std::holds_alternative<std::monostate>(value)) {
    sql->append("NULL");
  } else if (const auto* integer = std::get_if<int64_t>(&value)) {
    HOLDFAST_CHECK(type == ColumnType::kInt64);
    absl::StrAppend(sql, *integer);
  } else if (const auto* natural = std::get_if<uint64_t>(&value)) {
    HOLDFAST_CHECK(type == ColumnType::kUint64);
    absl::StrAppend(sql, *natural);
  } else if (const auto* time = std::get_if<absl::Time>(&value)) {
    HOLDFAST_CHECK(type == ColumnType::kTime);
    AppendTime(*time, sql);
  } else {
    const absl::string_view text = std::get<absl::string_view>(value);
    HOLDFAST_CHECK(type == ColumnType::kText || type == ColumnType::kBinary);
    if (type == ColumnType::kBinary) {
      AppendHex(text, sql);
    } else {
      AppendQuoted(text, connection, sql);
    }
  }
}

void AppendText(const Statement& statement, const Rows& rows, size_t first, size_t count,
                size_t bytes_max, st_mysql* connection, std::string* sql) {
  HOLDFAST_CHECK(rows.columns == statement.columns.size());
  if (!statement.multi_row) {
    AppendWithMarksFilled(statement, rows, first, connection, sql);
    return;
  }
  sql->append(statement.head);
  for (size_t row = first; row < first + count && sql->size() <= bytes_max; ++row) {
    if (row != first) sql->push_back(',');
    AppendRow(statement, rows, row, connection, sql);
  }
  sql->append(statement.tail);
}

void AppendPrepareText(const Statement& statement, std::string* sql) {
  sql->append(statement.head);
  if (!statement.multi_row) return;
  for (size_t column = 0; column < statement.columns.size(); ++column) {
    sql->append(column == 0 ? "(?" : ",?");
  }
  sql->push_back(')');
  sql->append(statement.tail);
}

}  // namespace holdfast::mysql
