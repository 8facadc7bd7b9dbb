#include "server/mysql/migrate.h"

#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"

#include "server/base/status_macros.h"
#include "server/mysql/connection.h"
#include "server/mysql/errors.h"

#include "sql/migrations.h"

namespace holdfast::mysql {
namespace {

constexpr unsigned kNoSuchDatabase = 1049;
constexpr unsigned kNoSuchTable = 1146;
constexpr unsigned kColumnIsThere = 1060;

// The migration that creates usage_records, usage_stats and cost_stats.
constexpr int kUsageMigration = 3;

// Migrations create and rename; on a large and busy database even that may wait for others.
constexpr absl::Duration kStatementTimeout = absl::Minutes(10);
constexpr absl::Duration kTurnTimeout = absl::Minutes(1);

constexpr absl::string_view kCreateSchemaTable =
    "CREATE TABLE IF NOT EXISTS holdfast_schema (\n"
    "  version          INT UNSIGNED  NOT NULL COMMENT 'The migration of sql/ that was applied',\n"
    "  name             VARBINARY(64) NOT NULL,\n"
    "  applied_at       DATETIME(6)   NOT NULL COMMENT 'UTC',\n"
    "  stats_utc_offset VARBINARY(6)  NOT NULL COMMENT 'Where hours of usage_stats begin',\n"
    "  PRIMARY KEY (version)\n"
    ") ENGINE=InnoDB DEFAULT CHARSET=utf8mb4\n"
    "  COMMENT='Which migrations were applied'";

Statement Texts(std::string head, size_t parameters) {
  Statement statement;
  statement.table = "schema";
  statement.head = std::move(head);
  statement.columns.assign(parameters, ColumnType::kText);
  return statement;
}

absl::StatusOr<std::vector<ResultRow>> Ask(Session& session, std::string sql,
                                           std::vector<Value> parameters) {
  const size_t count = parameters.size();
  return session.Query(Texts(std::move(sql), count), Rows{count, std::move(parameters)});
}

std::string Quoted(absl::string_view identifier) {
  return absl::StrCat("`", absl::StrReplaceAll(identifier, {{"`", "``"}}), "`");
}

// The statements of a migration: each ends with a semicolon at the end of a line.
std::vector<std::string> Split(absl::string_view text) {
  std::vector<std::string> statements;
  std::string statement;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    const absl::string_view trimmed = absl::StripTrailingAsciiWhitespace(line);
    if (absl::StartsWith(absl::StripLeadingAsciiWhitespace(trimmed), "--")) continue;
    if (absl::EndsWith(trimmed, ";")) {
      absl::StrAppend(&statement, trimmed.substr(0, trimmed.size() - 1));
      statements.push_back(std::exchange(statement, ""));
    } else if (!trimmed.empty()) {
      absl::StrAppend(&statement, trimmed, "\n");
    }
  }
  return statements;
}

class Migrator {
 public:
  Migrator(Connection& connection, const std::string& database, absl::string_view stats_utc_offset,
           absl::AnyInvocable<void(absl::string_view)>& progress)
      : connection_(connection),
        database_(database),
        stats_utc_offset_(stats_utc_offset),
        progress_(progress) {}

  absl::Status Run();

 private:
  absl::Status EnterDatabase();
  absl::Status TakeTurn();
  absl::Status Check(const SchemaState& state);
  absl::Status Apply(const sql::Migration& migration);
  absl::Status ClearTheWay();
  absl::Status RenameIfForeign(absl::string_view table, absl::string_view column,
                               absl::string_view type);
  absl::StatusOr<std::string> TableType(absl::string_view table);

  Connection& connection_;
  const std::string& database_;
  const absl::string_view stats_utc_offset_;
  absl::AnyInvocable<void(absl::string_view)>& progress_;
};

absl::Status Migrator::Run() {
  HOLDFAST_RETURN_IF_ERROR(EnterDatabase());
  HOLDFAST_RETURN_IF_ERROR(TakeTurn());
  SchemaState state;
  HOLDFAST_ASSIGN_OR_RETURN(state, ReadSchemaState(connection_));
  HOLDFAST_RETURN_IF_ERROR(Check(state));
  HOLDFAST_RETURN_IF_ERROR(connection_.Run(kCreateSchemaTable));
  for (const sql::Migration& migration : sql::Migrations()) {
    if (migration.version > state.version) HOLDFAST_RETURN_IF_ERROR(Apply(migration));
  }
  progress_(absl::StrCat("database ", database_, " is at version ", SchemaVersion()));
  return absl::OkStatus();
}

absl::Status Migrator::EnterDatabase() {
  const std::string use = absl::StrCat("USE ", Quoted(database_));
  const absl::Status entered = connection_.Run(use);
  const std::optional<DatabaseError> error = ErrorOf(entered);
  if (entered.ok() || !error.has_value() || error->error_number != kNoSuchDatabase) return entered;
  HOLDFAST_RETURN_IF_ERROR(connection_.Run(
      absl::StrCat("CREATE DATABASE IF NOT EXISTS ", Quoted(database_), " CHARACTER SET utf8mb4")));
  progress_(absl::StrCat("created database ", database_));
  return connection_.Run(use);
}

// The lock is the session's: it goes with the connection.
absl::Status Migrator::TakeTurn() {
  std::vector<ResultRow> answer;
  HOLDFAST_ASSIGN_OR_RETURN(
      answer,
      Ask(connection_,
          absl::StrCat("SELECT GET_LOCK(CONCAT('holdfast_migrate_', LEFT(SHA2(?, 256), 32)), ",
                       absl::ToInt64Seconds(kTurnTimeout), ")"),
          {absl::string_view(database_)}));
  if (answer.size() == 1 && answer[0][0] == "1") return absl::OkStatus();
  return absl::DeadlineExceededError(absl::StrCat(
      "another migration of ", database_, " has been running for ",
      absl::FormatDuration(kTurnTimeout), "; wait for it, or end its connection, and try again"));
}

absl::Status Migrator::Check(const SchemaState& state) {
  if (state.version > SchemaVersion()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the schema of ", database_, " is at version ", state.version, " and this binary knows ",
        SchemaVersion(), ": use the newer binary; nothing was changed"));
  }
  if (state.version >= kUsageMigration && state.stats_utc_offset != stats_utc_offset_) {
    return absl::FailedPreconditionError(absl::StrCat(
        "usage_stats of ", database_, " was begun at STATS_UTC_OFFSET ", state.stats_utc_offset,
        ", and ", stats_utc_offset_,
        " is asked for: hours would mix; keep the old one, or move the rows of usage_stats and "
        "then the column stats_utc_offset of holdfast_schema; nothing was changed"));
  }
  return absl::OkStatus();
}

absl::Status Migrator::Apply(const sql::Migration& migration) {
  if (migration.version == kUsageMigration) HOLDFAST_RETURN_IF_ERROR(ClearTheWay());
  for (const std::string& statement : Split(migration.text)) {
    absl::Status run = connection_.Run(statement);
    // MySQL has no ADD COLUMN IF NOT EXISTS. The columns of one statement come together or not at
    // all, so this one was interrupted after it.
    const std::optional<DatabaseError> error = ErrorOf(run);
    if (error.has_value() && error->error_number == kColumnIsThere) continue;
    HOLDFAST_RETURN_IF_ERROR(run);
  }
  HOLDFAST_RETURN_IF_ERROR(
      connection_
          .Execute(Texts("INSERT INTO holdfast_schema (version, name, applied_at, "
                         "stats_utc_offset) VALUES (?, ?, UTC_TIMESTAMP(6), ?)",
                         3),
                   Rows{3,
                        {absl::string_view(std::to_string(migration.version)),
                         absl::string_view(migration.name), stats_utc_offset_}},
                   0, 1)
          .status());
  progress_(absl::StrCat("applied ", migration.name));
  return absl::OkStatus();
}

absl::Status Migrator::ClearTheWay() {
  HOLDFAST_RETURN_IF_ERROR(RenameIfForeign("usage_records", "event_id", "binary"));
  // Earlier gateways had a column of this name, with the number of the hour.
  HOLDFAST_RETURN_IF_ERROR(RenameIfForeign("usage_stats", "stat_hour", "datetime"));
  return RenameIfForeign("cost_stats", "", "");
}

// Renames the base table `table` unless it has a `column` of `type`; with no column, whatever it
// has.
absl::Status Migrator::RenameIfForeign(absl::string_view table, absl::string_view column,
                                       absl::string_view type) {
  std::string table_type;
  HOLDFAST_ASSIGN_OR_RETURN(table_type, TableType(table));
  if (table_type != "BASE TABLE") return absl::OkStatus();
  std::vector<ResultRow> ours;
  HOLDFAST_ASSIGN_OR_RETURN(
      ours, Ask(connection_,
                "SELECT 1 FROM information_schema.columns WHERE table_schema = ? AND "
                "table_name = ? AND column_name = ? AND LOWER(data_type) = ?",
                {absl::string_view(database_), table, column, type}));
  if (!ours.empty()) return absl::OkStatus();
  const std::string kept = absl::StrCat(table, "_before_holdfast");
  std::string kept_type;
  HOLDFAST_ASSIGN_OR_RETURN(kept_type, TableType(kept));
  if (!kept_type.empty()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the table ", table, " of ", database_, " is an earlier gateway's, and its new name ", kept,
        " is taken: rename or drop one of them, and migrate again"));
  }
  HOLDFAST_RETURN_IF_ERROR(
      connection_.Run(absl::StrCat("RENAME TABLE ", Quoted(table), " TO ", Quoted(kept))));
  progress_(absl::StrCat("renamed ", table, ", which an earlier gateway had made, to ", kept));
  return absl::OkStatus();
}

// "BASE TABLE", "VIEW", ..., or empty if there is none.
absl::StatusOr<std::string> Migrator::TableType(absl::string_view table) {
  std::vector<ResultRow> found;
  HOLDFAST_ASSIGN_OR_RETURN(
      found, Ask(connection_,
                 "SELECT table_type FROM information_schema.tables WHERE table_schema = ? AND "
                 "table_name = ?",
                 {absl::string_view(database_), table}));
  return found.empty() ? "" : found[0][0].value_or("");
}

}  // namespace

int SchemaVersion() { return sql::Migrations().back().version; }

absl::StatusOr<SchemaState> ReadSchemaState(Session& session) {
  auto rows = Ask(session,
                  "SELECT version, stats_utc_offset FROM holdfast_schema "
                  "ORDER BY version DESC LIMIT 1",
                  {});
  if (!rows.ok()) {
    const std::optional<DatabaseError> error = ErrorOf(rows.status());
    if (error.has_value() && error->error_number == kNoSuchTable) return SchemaState();
    return std::move(rows).status();
  }
  SchemaState state;
  if (rows->empty()) return state;
  const ResultRow& newest = rows->front();
  if (!absl::SimpleAtoi(newest[0].value_or(""), &state.version)) {
    return absl::DataLossError("holdfast_schema holds a version that is not a number");
  }
  state.stats_utc_offset = newest[1].value_or("");
  return state;
}

absl::Status Migrate(const DatabaseOptions& options, absl::string_view stats_utc_offset,
                     base::Clock& clock, metrics::Metrics& metrics,
                     absl::AnyInvocable<void(absl::string_view)> progress) {
  DatabaseOptions patient = options;
  patient.database.clear();  // It may not exist yet.
  patient.query_timeout = kStatementTimeout;
  patient.lock_wait_timeout = kTurnTimeout;
  patient.idle_timeout = kStatementTimeout;
  // The first endpoint that can write, as in the pool, but without its patience.
  absl::Status failure = absl::InvalidArgumentError("endpoints: at least one is needed");
  for (const Endpoint& endpoint : options.endpoints) {
    auto connection = Connection::Open(patient, endpoint, options.connect_timeout, clock, metrics);
    if (!connection.ok()) {
      failure = std::move(connection).status();
      continue;
    }
    return Migrator(**connection, options.database, stats_utc_offset, progress).Run();
  }
  return failure;
}

}  // namespace holdfast::mysql
