#include "server/diagnosis/tables.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "server/base/status_macros.h"
#include "server/statement/lane_position.h"

namespace holdfast::diagnosis {
namespace {

constexpr char kCheck[] = "tables";
constexpr char kMigrations[] = "migrations";
constexpr char kMigrate[] = "run holdfastd --migrate, with an account that may create tables";

void AddColumns(const Answer& answer, FoundTables* tables) {
  for (const mysql::ResultRow& row : answer) {
    FoundColumn column;
    column.name = absl::AsciiStrToLower(TextAt(row, 1));
    column.is_nullable = TextAt(row, 2) == "YES";
    column.type = absl::AsciiStrToLower(TextAt(row, 4));
    column.capacity = CapacityOf(column.type, NumberAt(row, 5));
    column.collation = TextAt(row, 6);
    const std::string extra = absl::AsciiStrToLower(TextAt(row, 7));
    column.has_default = row[3].has_value() || absl::StrContains(extra, "auto_increment") ||
                         absl::StrContains(extra, "generated");
    (*tables)[TextAt(row, 0)].columns.push_back(std::move(column));
  }
}

void AddKeys(const Answer& answer, FoundTables* tables) {
  for (const mysql::ResultRow& row : answer) {
    std::vector<FoundKey>& keys = (*tables)[TextAt(row, 0)].keys;
    if (keys.empty() || keys.back().name != TextAt(row, 1)) {
      FoundKey& key = keys.emplace_back();
      key.name = TextAt(row, 1);
      key.is_unique = NumberAt(row, 2) == 0;
    }
    keys.back().parts.push_back({absl::AsciiStrToLower(TextAt(row, 3)), NumberAt(row, 4)});
  }
}

bool IsVisible(const Account* account, const std::string& database, const std::string& table) {
  if (account == nullptr) return true;
  for (const char* privilege : {"SELECT", "INSERT", "UPDATE"}) {
    if (account->Has(privilege, database, table)) return true;
  }
  return false;
}

void JudgeMissing(const std::vector<std::string>& missing, Findings* findings) {
  if (missing.empty()) return;
  findings->Problem(
      kCheck,
      absl::StrCat(absl::StrJoin(missing, ", "),
                   missing.size() == 1 ? " is missing" : " are missing"),
      "events that belong there wait in the journal meanwhile",
      "if it was renamed or dropped, rename it back or restore it; otherwise run holdfastd "
      "--migrate, with an account that may create tables");
}

}  // namespace

const FoundColumn* FoundTable::Find(const std::string& column) const {
  const auto found = std::find_if(columns.begin(), columns.end(),
                                  [&column](const FoundColumn& one) { return one.name == column; });
  return found == columns.end() ? nullptr : &*found;
}

absl::StatusOr<FoundTables> ReadFoundTables(Questions& questions, const std::string& database) {
  FoundTables tables;
  Answer answer;
  HOLDFAST_ASSIGN_OR_RETURN(
      answer, questions.Ask("SELECT table_name, table_type, COALESCE(engine, '') FROM "
                            "information_schema.tables WHERE table_schema = ?",
                            {database}));
  for (const mysql::ResultRow& row : answer) {
    FoundTable& table = tables[TextAt(row, 0)];
    table.is_base_table = TextAt(row, 1) == "BASE TABLE";
    table.engine = TextAt(row, 2);
  }
  HOLDFAST_ASSIGN_OR_RETURN(
      answer, questions.Ask("SELECT table_name, column_name, is_nullable, column_default, "
                            "column_type, character_octet_length, collation_name, extra FROM "
                            "information_schema.columns WHERE table_schema = ? ORDER BY "
                            "table_name, ordinal_position",
                            {database}));
  AddColumns(answer, &tables);
  HOLDFAST_ASSIGN_OR_RETURN(
      answer,
      questions.Ask("SELECT table_name, index_name, non_unique, column_name, sub_part FROM "
                    "information_schema.statistics WHERE table_schema = ? ORDER BY table_name, "
                    "index_name, seq_in_index",
                    {database}));
  AddKeys(answer, &tables);
  return tables;
}

void JudgeMigrations(const absl::StatusOr<mysql::SchemaState>& state, const Options& options,
                     Findings* findings) {
  if (!state.ok()) {
    if (IsDenied(state.status())) {
      return findings->Skip(kMigrations, "needs SELECT on holdfast_schema");
    }
    return findings->Skip(kMigrations, std::string(state.status().message()));
  }
  const int newest = mysql::SchemaVersion();
  if (state->version < newest) {
    return findings->Problem(
        kMigrations,
        state->version == 0
            ? absl::StrCat("none of ", newest, " migrations has been applied")
            : absl::StrCat("the schema is at version ", state->version, " of ", newest),
        "tables or columns that this version writes to are not there", kMigrate);
  }
  if (state->version > newest) {
    return findings->Warn(kMigrations,
                          absl::StrCat("the schema is at version ", state->version,
                                       ", and this program knows ", newest),
                          "a newer Holdfast has migrated this database",
                          "run the newer version here, too");
  }
  const std::string ours = statement::FormatUtcOffset(options.stats_utc_offset);
  if (state->stats_utc_offset != ours) {
    return findings->Problem(kMigrations,
                             absl::StrCat("usage_stats was begun at STATS_UTC_OFFSET ",
                                          state->stats_utc_offset, ", and this daemon has ", ours),
                             "hours would mix; the usage lanes stop",
                             absl::StrCat("set STATS_UTC_OFFSET=", state->stats_utc_offset));
  }
  findings->Ok(kMigrations, absl::StrCat("version ", newest, ", STATS_UTC_OFFSET ", ours));
}

void JudgeTables(const FoundTables& found, const Account* account, const std::string& database,
                 Findings* findings) {
  std::vector<std::string> sound;
  std::vector<std::string> missing;
  for (const WantedTable& wanted : WantedTables()) {
    const auto table = found.find(wanted.name);
    if (table == found.end()) {
      if (IsVisible(account, database, wanted.name)) {
        missing.push_back(wanted.name);
      } else {
        findings->Skip(kCheck, absl::StrCat(wanted.name, ": needs a grant to be seen"));
      }
      continue;
    }
    const int before = findings->response().findings_size();
    JudgeTable(wanted, table->second, findings);
    if (findings->response().findings_size() == before) sound.push_back(wanted.name);
  }
  JudgeMissing(missing, findings);
  if (!sound.empty()) {
    findings->Ok(kCheck, absl::StrCat("as they should be: ", absl::StrJoin(sound, ", ")));
  }
}

}  // namespace holdfast::diagnosis
