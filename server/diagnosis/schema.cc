#include "server/diagnosis/schema.h"

#include <algorithm>
#include <array>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

#include "sql/migrations.h"

namespace holdfast::diagnosis {
namespace {

struct Integer {
  absl::string_view name;
  int bits;
};
constexpr std::array kIntegers = {Integer{"tinyint", 8}, Integer{"smallint", 16},
                                  Integer{"mediumint", 24}, Integer{"bigint", 64},
                                  Integer{"int", 32}};

struct Blob {
  absl::string_view name;
  int bits;
};
constexpr std::array kBlobs = {Blob{"tinyblob", 8},    Blob{"tinytext", 8},  Blob{"mediumblob", 24},
                               Blob{"mediumtext", 24}, Blob{"longblob", 32}, Blob{"longtext", 32},
                               Blob{"blob", 16},       Blob{"text", 16},     Blob{"json", 32}};

// The number in parentheses: "varbinary(255)".
uint64_t LengthOf(absl::string_view type) {
  const size_t open = type.find('(');
  if (open == absl::string_view::npos) return 0;
  uint64_t length = 0;
  const absl::string_view digits = type.substr(open + 1, type.find_first_of(",)") - open - 1);
  return absl::SimpleAtoi(digits, &length) ? length : 0;
}

uint64_t Largest(int bits) { return bits == 64 ? UINT64_MAX : (uint64_t{1} << bits) - 1; }

// The names in the last parentheses of "UNIQUE KEY uk (a, b)".
std::vector<std::string> NamesIn(absl::string_view line) {
  const size_t open = line.find('(');
  const size_t close = line.find(')', open);
  std::vector<std::string> names = absl::StrSplit(line.substr(open + 1, close - open - 1),
                                                  absl::ByAnyChar(", "), absl::SkipEmpty());
  return names;
}

void ReadLine(absl::string_view line, WantedTable* table) {
  if (absl::StartsWith(line, "PRIMARY KEY")) {
    table->key = NamesIn(line);
  } else if (absl::StartsWith(line, "UNIQUE KEY")) {
    // It follows a primary key that is a number of the server's, which tells no row from its copy.
    table->key = NamesIn(line);
  } else if (absl::StartsWith(line, "KEY")) {
    table->sought_by.push_back(NamesIn(line)[0]);
  } else {
    const std::vector<absl::string_view> words = absl::StrSplit(line, ' ', absl::SkipEmpty());
    if (words.size() < 2) return;
    WantedColumn column;
    column.name = std::string(words[0]);
    column.type = absl::AsciiStrToLower(words[1]);
    if (words.size() > 2 && words[2] == "UNSIGNED") column.type += " unsigned";
    const absl::string_view definition =
        line.substr(words[0].size(), line.find(" COMMENT ") - words[0].size());
    column.definition = absl::StrJoin(
        absl::StrSplit(absl::StripSuffix(definition, ","), ' ', absl::SkipEmpty()), " ");
    column.capacity = CapacityOf(column.type, 0);
    column.is_filled = absl::StrContains(line, "DEFAULT CURRENT_TIMESTAMP") ||
                       absl::StrContains(line, "AUTO_INCREMENT");
    table->columns.push_back(std::move(column));
  }
}

}  // namespace

Capacity CapacityOf(absl::string_view type, uint64_t octets) {
  const std::string lower = absl::AsciiStrToLower(type);
  for (const Integer& integer : kIntegers) {
    if (!absl::StartsWith(lower, integer.name)) continue;
    const bool is_unsigned = absl::StrContains(lower, "unsigned");
    return {Family::kNumber, Largest(integer.bits - (is_unsigned ? 0 : 1))};
  }
  if (absl::StartsWith(lower, "datetime") || absl::StartsWith(lower, "timestamp")) {
    return {Family::kTime, 0};
  }
  for (const Blob& blob : kBlobs) {
    if (absl::StartsWith(lower, blob.name)) return {Family::kText, Largest(blob.bits)};
  }
  if (absl::StrContains(lower, "char") || absl::StrContains(lower, "binary")) {
    return {Family::kText, octets != 0 ? octets : LengthOf(lower)};
  }
  return {Family::kOther, 0};
}

std::vector<WantedTable> ReadTables(absl::string_view script) {
  std::vector<WantedTable> tables;
  bool inside = false;
  for (absl::string_view line : absl::StrSplit(script, '\n')) {
    line = absl::StripAsciiWhitespace(line);
    if (absl::ConsumePrefix(&line, "CREATE TABLE IF NOT EXISTS ")) {
      tables.emplace_back().name = std::string(line.substr(0, line.find(' ')));
      inside = true;
    } else if (inside && absl::StartsWith(line, ")")) {
      inside = false;
    } else if (inside) {
      ReadLine(line, &tables.back());
    }
  }
  return tables;
}

std::vector<WantedTable> WantedTables() {
  std::vector<WantedTable> all;
  for (const sql::Migration& migration : sql::Migrations()) {
    for (WantedTable& table : ReadTables(migration.text)) all.push_back(std::move(table));
  }
  return all;
}

}  // namespace holdfast::diagnosis
