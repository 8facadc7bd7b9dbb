#include "tests/support/fake_table.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"

namespace holdfast::test {
namespace {

using Type = SqlColumn::Type;
__extension__ using Wide = __int128;

bool AsNumber(const Cell& cell, Wide* number) {
  if (const auto* integer = std::get_if<int64_t>(&cell)) *number = *integer;
  if (const auto* natural = std::get_if<uint64_t>(&cell)) *number = *natural;
  return std::holds_alternative<int64_t>(cell) || std::holds_alternative<uint64_t>(cell);
}

SqlError OutOfRange(const SqlColumn& column, size_t row) {
  return {1264, "22003",
          absl::StrCat("Out of range value for column '", column.name, "' at row ", row)};
}

SqlError StoreNumber(const SqlColumn& column, const Cell& value, size_t row, Cell* stored) {
  Wide number = 0;
  if (!AsNumber(value, &number)) FakeSqlFailure("stores no number in", column.name);
  const bool is_unsigned = column.type == Type::kUnsigned;
  const Wide greatest = (Wide{1} << (is_unsigned ? column.bits : column.bits - 1)) - 1;
  const Wide least = is_unsigned ? 0 : -greatest - 1;
  if (number < least || number > greatest) return OutOfRange(column, row);
  if (is_unsigned) {
    *stored = static_cast<uint64_t>(number);
  } else {
    *stored = static_cast<int64_t>(number);
  }
  return {};
}

// The number of characters, or nullopt if it is not UTF-8 (overlong forms are not looked for).
std::optional<size_t> CountCharacters(absl::string_view text) {
  size_t characters = 0;
  for (size_t i = 0; i < text.size(); ++characters) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const size_t length = lead < 0x80       ? 1
                          : lead >> 5 == 6  ? 2
                          : lead >> 4 == 14 ? 3
                          : lead >> 3 == 30 ? 4
                                            : 0;
    if (length == 0 || i + length > text.size()) return std::nullopt;
    for (size_t k = 1; k < length; ++k) {
      if ((static_cast<unsigned char>(text[i + k]) & 0xC0) != 0x80) return std::nullopt;
    }
    i += length;
  }
  return characters;
}

SqlError StoreText(const SqlColumn& column, const Cell& value, size_t row, Cell* stored) {
  const auto* text = std::get_if<std::string>(&value);
  if (text == nullptr) FakeSqlFailure("stores no text in", column.name);
  size_t length = text->size();
  if (column.type == Type::kText) {
    const std::optional<size_t> characters = CountCharacters(*text);
    if (!characters.has_value()) {
      return {1366, "22007",
              absl::StrCat("Incorrect string value for column '", column.name, "' at row ", row)};
    }
    if (column.counts_characters) length = *characters;
  }
  if (length > column.length_max) {
    return {1406, "22001",
            absl::StrCat("Data too long for column '", column.name, "' at row ", row)};
  }
  *stored = *text;
  return {};
}

SqlError StoreTime(const SqlColumn& column, const Cell& value, Cell* stored) {
  const auto* time = std::get_if<absl::Time>(&value);
  if (time == nullptr) FakeSqlFailure("stores no time in", column.name);
  const absl::Duration unit = column.second_digits == 0 ? absl::Seconds(1) : absl::Microseconds(1);
  // Finer digits are rounded, not cut.
  *stored = absl::UnixEpoch() + absl::Floor(*time - absl::UnixEpoch() + unit / 2, unit);
  return {};
}

}  // namespace

Cell ToCell(const mysql::Value& value) {
  if (const auto* text = std::get_if<absl::string_view>(&value)) return std::string(*text);
  if (const auto* integer = std::get_if<int64_t>(&value)) return *integer;
  if (const auto* natural = std::get_if<uint64_t>(&value)) return *natural;
  if (const auto* time = std::get_if<absl::Time>(&value)) return *time;
  return std::monostate();
}

FakeTable::FakeTable(SqlTable definition) : definition_(std::move(definition)) {
  for (const std::string& column : definition_.primary_key) primary_key_.push_back(Index(column));
  for (const std::vector<std::string>& key : definition_.unique_keys) {
    std::vector<size_t>& indexes = unique_keys_.emplace_back();
    for (const std::string& column : key) indexes.push_back(Index(column));
  }
  candidates_.resize(unique_keys_.size());
}

size_t FakeTable::Index(absl::string_view column) const {
  for (size_t i = 0; i < definition_.columns.size(); ++i) {
    if (definition_.columns[i].name == column) return i;
  }
  FakeSqlFailure("names a column that is not there", absl::StrCat(name(), ".", column));
}

Key FakeTable::KeyOf(const Record& record) const {
  Key key;
  for (const size_t index : primary_key_) key.push_back(record[index]);
  return key;
}

SqlError FakeTable::Store(size_t index, const Cell& value, size_t row, Cell* stored) const {
  const SqlColumn& to = column(index);
  if (std::holds_alternative<std::monostate>(value)) {
    *stored = value;
    if (to.is_nullable) return {};
    return {1048, "23000", absl::StrCat("Column '", to.name, "' cannot be null")};
  }
  switch (to.type) {
    case Type::kSigned:
    case Type::kUnsigned:
      return StoreNumber(to, value, row, stored);
    case Type::kBytes:
    case Type::kText:
      return StoreText(to, value, row, stored);
    case Type::kTime:
      return StoreTime(to, value, stored);
  }
  return {};
}

SqlError FakeTable::StoreDefault(size_t index, Cell* stored) {
  const SqlColumn& to = column(index);
  if (to.is_auto_increment) {
    *stored = ++last_auto_increment_;
    return {};
  }
  if (to.is_nullable && !to.has_default) {
    *stored = std::monostate();
    return {};
  }
  if (!to.has_default) {
    return {1364, "HY000", absl::StrCat("Field '", to.name, "' doesn't have a default value")};
  }
  switch (to.type) {
    case Type::kSigned:
      *stored = to.default_number;
      break;
    case Type::kUnsigned:
      *stored = static_cast<uint64_t>(to.default_number);
      break;
    case Type::kBytes:
    case Type::kText:
      *stored = std::string();
      break;
    case Type::kTime:
      *stored = absl::UnixEpoch();  // CURRENT_TIMESTAMP: nobody here looks at it.
      break;
  }
  return {};
}

std::optional<std::string> FakeTable::Print(size_t index, const Cell& cell) const {
  if (const auto* integer = std::get_if<int64_t>(&cell)) return absl::StrCat(*integer);
  if (const auto* natural = std::get_if<uint64_t>(&cell)) return absl::StrCat(*natural);
  if (const auto* text = std::get_if<std::string>(&cell)) return *text;
  if (const auto* time = std::get_if<absl::Time>(&cell)) {
    return absl::FormatTime(
        column(index).second_digits == 0 ? "%Y-%m-%d %H:%M:%S" : "%Y-%m-%d %H:%M:%E6S", *time,
        absl::UTCTimeZone());
  }
  return std::nullopt;
}

SqlError FakeTable::Evaluate(const SqlExpression& expression, absl::Span<const mysql::Value> marks,
                             const Record* record, const Record* fresh, Cell* value) const {
  using Kind = SqlExpression::Kind;
  std::vector<Cell> parts(expression.parts.size());
  for (size_t i = 0; i < parts.size(); ++i) {
    SqlError error = Evaluate(expression.parts[i], marks, record, fresh, &parts[i]);
    if (error.number != 0) return error;
  }
  switch (expression.kind) {
    case Kind::kMark:
      *value = ToCell(marks.at(expression.mark));
      return {};
    case Kind::kNumber:
      *value = expression.number;
      return {};
    case Kind::kColumn:
      *value = record->at(Index(expression.column));
      return {};
    case Kind::kNewValue:
      *value = fresh->at(Index(expression.column));
      return {};
    case Kind::kGreatest:
      // Of columns of one type, so cells compare as they are.
      *value = *std::max_element(parts.begin(), parts.end());
      return {};
    case Kind::kAdd:
    case Kind::kSubtract:
      break;
  }
  Wide left = 0;
  Wide right = 0;
  if (!AsNumber(parts[0], &left) || !AsNumber(parts[1], &right)) {
    FakeSqlFailure("calculates with what is no number", name());
  }
  const Wide result = expression.kind == Kind::kAdd ? left + right : left - right;
  const bool is_unsigned =
      std::holds_alternative<uint64_t>(parts[0]) || std::holds_alternative<uint64_t>(parts[1]);
  const Wide least = is_unsigned ? 0 : std::numeric_limits<int64_t>::min();
  const Wide greatest = is_unsigned ? Wide{std::numeric_limits<uint64_t>::max()}
                                    : Wide{std::numeric_limits<int64_t>::max()};
  if (result < least || result > greatest) {
    return {1690, "22003",
            absl::StrCat("BIGINT", is_unsigned ? " UNSIGNED" : "", " value is out of range in '",
                         name(), "'")};
  }
  if (is_unsigned) {
    *value = static_cast<uint64_t>(result);
  } else {
    *value = static_cast<int64_t>(result);
  }
  return {};
}

Key FakeTable::UniqueOf(size_t unique, const Record& record) const {
  Key values;
  for (const size_t index : unique_keys_[unique]) values.push_back(record[index]);
  return values;
}

const std::set<Key>& FakeTable::Candidates(size_t unique, const Key& values) const {
  static const auto* const none = new std::set<Key>;
  const auto found = candidates_[unique].find(values);
  return found == candidates_[unique].end() ? *none : found->second;
}

void FakeTable::Remember(const Record& record) {
  for (size_t unique = 0; unique < unique_keys_.size(); ++unique) {
    candidates_[unique][UniqueOf(unique, record)].insert(KeyOf(record));
  }
}

}  // namespace holdfast::test
