#include "server/mysql/session_check.h"

#include <algorithm>
#include <cmath>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"

#include "server/base/status_macros.h"
#include "server/mysql/errors.h"

namespace holdfast::mysql {
namespace {

// Strict, so that nothing is cut or replaced on its way in. NO_BACKSLASH_ESCAPES is not among them:
// then the escaping of the client library is the one that every server understands by default, and
// since the mode is read back, it is certain.
constexpr absl::string_view kSqlMode =
    "STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,"
    "NO_ENGINE_SUBSTITUTION";

// Both from one statement, so that their difference is the moment at which the server started, to
// the second, whatever its clock does.
constexpr absl::string_view kNow = "UNIX_TIMESTAMP()";

absl::string_view Uptime(Dialect dialect) {
  return dialect == Dialect::kMariaDb
             ? "(SELECT variable_value FROM information_schema.global_status WHERE variable_name = "
               "'UPTIME')"
             : "(SELECT variable_value FROM performance_schema.global_status WHERE variable_name = "
               "'Uptime')";
}

enum class Form { kText, kNumber, kSet };

struct Setting {
  std::string name;
  std::string value;  // As it is to be read back.
  Form form = Form::kNumber;
  bool assigned =
      true;  // By SET @@SESSION; the others by a statement of their own or by the handshake.
};

// Servers take whole seconds.
std::string Seconds(absl::Duration duration) {
  return absl::StrCat(
      std::max<int64_t>(1, absl::ToInt64Seconds(absl::Ceil(duration, absl::Seconds(1)))));
}

std::string IsolationVariable(Dialect dialect) {
  return dialect == Dialect::kMariaDb ? "tx_isolation" : "transaction_isolation";
}

std::vector<Setting> Settings(const DatabaseOptions& options, Dialect dialect) {
  const std::string isolation =
      absl::StrReplaceAll(absl::AsciiStrToUpper(options.isolation_level), {{" ", "-"}});
  std::vector<Setting> settings = {
      {"sql_mode", std::string(kSqlMode), Form::kSet},
      {"time_zone", "+00:00", Form::kText},
      {"autocommit", "1"},
      {"foreign_key_checks", "1"},
      {"unique_checks", "1"},
      {"innodb_lock_wait_timeout", Seconds(options.lock_wait_timeout)},
      {"lock_wait_timeout",
       Seconds(options.lock_wait_timeout)},  // For a table that is being altered.
      {"wait_timeout", Seconds(options.idle_timeout)},
      {IsolationVariable(dialect), isolation, Form::kText, false},
      {"character_set_client", "utf8mb4", Form::kText, false},
      {"character_set_connection", "utf8mb4", Form::kText, false},
      {"character_set_results", "utf8mb4", Form::kText, false},
  };
  if (dialect == Dialect::kMariaDb) {
    settings.push_back({"max_statement_time", Seconds(options.query_timeout)});
  } else {
    settings.push_back(
        {"max_execution_time", absl::StrCat(absl::ToInt64Milliseconds(options.query_timeout))});
  }
  return settings;
}

// What is read besides the settings.
std::vector<absl::string_view> Facts(Dialect dialect) {
  std::vector<absl::string_view> facts = {"@@version",
                                          "CONNECTION_ID()",
                                          kNow,
                                          Uptime(dialect),
                                          "@@hostname",
                                          "@@port",
                                          "@@server_id",
                                          "@@datadir",
                                          "@@GLOBAL.read_only",
                                          "@@innodb_read_only",
                                          "@@log_bin",
                                          "@@sync_binlog",
                                          "@@innodb_flush_log_at_trx_commit",
                                          "@@max_allowed_packet"};
  if (dialect == Dialect::kMysql) {
    facts.push_back("@@server_uuid");
    facts.push_back("@@GLOBAL.super_read_only");
  }
  return facts;
}

bool Matches(const Setting& wanted, absl::string_view found) {
  switch (wanted.form) {
    case Form::kText:
      return absl::EqualsIgnoreCase(wanted.value, found);
    case Form::kNumber: {
      double a = 0;
      double b = 0;
      return absl::SimpleAtod(wanted.value, &a) && absl::SimpleAtod(found, &b) &&
             std::abs(a - b) < 1e-6;
    }
    case Form::kSet: {
      std::vector<std::string> a = absl::StrSplit(wanted.value, ',');
      std::vector<std::string> b = absl::StrSplit(found, ',');
      std::sort(a.begin(), a.end());
      std::sort(b.begin(), b.end());
      return a == b;
    }
  }
  return false;
}

absl::Status Refuse(flow::Verdict verdict, absl::string_view text) {
  DatabaseError error;
  error.verdict = verdict;
  return ToStatus(text, error);
}

// The answers by the expression that was asked for.
class Answers {
 public:
  Answers(const std::vector<absl::string_view>& names, const ResultRow& row) {
    for (size_t i = 0; i < names.size(); ++i) found_[names[i]] = row[i].value_or("");
  }
  const std::string& Text(absl::string_view name) const { return found_.at(name); }
  uint64_t Number(absl::string_view name) const {
    uint64_t number = 0;
    return absl::SimpleAtoi(Text(name), &number) ? number : 0;
  }

 private:
  absl::flat_hash_map<absl::string_view, std::string> found_;
};

void JudgeDurability(const Answers& answers, ServerFacts* facts) {
  if (const uint64_t flush = answers.Number("@@innodb_flush_log_at_trx_commit"); flush != 1) {
    facts->durable_commits = false;
    facts->warnings.push_back(
        absl::StrCat("innodb_flush_log_at_trx_commit is ", flush,
                     ": commits are lost if the server loses power; set it to 1"));
  }
  const uint64_t sync = answers.Number("@@sync_binlog");
  if (answers.Number("@@log_bin") != 0 && sync != 1) {
    facts->durable_commits = false;
    facts->warnings.push_back(absl::StrCat(
        "sync_binlog is ", sync,
        " and the binary log is on: commits are lost if the server loses power; set it to 1"));
  }
}

size_t StatementBytesMax(uint64_t packet_bytes_max) {
  // Room for the packet's header and the parts of a bulk statement that are not rows.
  const uint64_t margin = packet_bytes_max / 16 + 512;
  return static_cast<size_t>(packet_bytes_max - std::min(margin, packet_bytes_max));
}

absl::Status CheckSettings(const DatabaseOptions& options, Dialect dialect,
                           const ResultRow& answers, size_t first) {
  for (const Setting& wanted : Settings(options, dialect)) {
    const std::string& found = answers[first++].value_or("NULL");
    if (Matches(wanted, found)) continue;
    return Refuse(flow::Verdict::kOutage,
                  absl::StrCat("the session's ", wanted.name, " was set to ", wanted.value,
                               " and reads back as ", found,
                               "; see whether a proxy or the server's init_connect changes it"));
  }
  return absl::OkStatus();
}

}  // namespace

bool ServerFacts::IsSameServer(const ServerFacts& other) const {
  return identity == other.identity && started_at == other.started_at;
}

std::vector<std::string> SetupStatements(const DatabaseOptions& options, Dialect dialect) {
  std::vector<std::string> assignments;
  for (const Setting& setting : Settings(options, dialect)) {
    if (!setting.assigned) continue;
    const absl::string_view quote = setting.form == Form::kNumber ? "" : "'";
    assignments.push_back(
        absl::StrCat("@@SESSION.", setting.name, " = ", quote, setting.value, quote));
  }
  // The isolation level's variable has another name on each server; the statement has one.
  return {absl::StrCat("SET SESSION TRANSACTION ISOLATION LEVEL ",
                       absl::AsciiStrToUpper(options.isolation_level), ", READ WRITE"),
          absl::StrCat("SET ", absl::StrJoin(assignments, ", "))};
}

std::string ReadBackQuery(Dialect dialect) {
  std::string sql = absl::StrCat("SELECT ", absl::StrJoin(Facts(dialect), ", "));
  for (const Setting& setting : Settings(DatabaseOptions(), dialect)) {
    absl::StrAppend(&sql, ", @@SESSION.", setting.name);
  }
  return sql;
}

absl::StatusOr<ServerFacts> CheckSession(const DatabaseOptions& options, Dialect dialect,
                                         const ResultRow& answers) {
  const std::vector<absl::string_view> names = Facts(dialect);
  if (answers.size() != names.size() + Settings(options, dialect).size()) {
    return Refuse(flow::Verdict::kOutage, "the server's settings cannot be read");
  }
  const Answers found(names, answers);
  if (found.Number("@@GLOBAL.read_only") != 0 || found.Number("@@innodb_read_only") != 0 ||
      (dialect == Dialect::kMysql && found.Number("@@GLOBAL.super_read_only") != 0)) {
    return Refuse(flow::Verdict::kElsewhere, "the server is read-only");
  }
  HOLDFAST_RETURN_IF_ERROR(CheckSettings(options, dialect, answers, names.size()));

  ServerFacts facts;
  facts.version = found.Text("@@version");
  facts.connection_id = found.Number("CONNECTION_ID()");
  facts.identity = absl::StrCat(found.Text("@@hostname"), "|", found.Text("@@port"), "|",
                                found.Text("@@server_id"), "|", found.Text("@@datadir"));
  if (dialect == Dialect::kMysql)
    absl::StrAppend(&facts.identity, "|", found.Text("@@server_uuid"));
  facts.asked_at = absl::FromUnixSeconds(static_cast<int64_t>(found.Number(kNow)));
  facts.started_at = absl::FromUnixSeconds(static_cast<int64_t>(found.Number(kNow)) -
                                           static_cast<int64_t>(found.Number(Uptime(dialect))));
  const uint64_t packet_bytes_max = found.Number("@@max_allowed_packet");
  facts.statement_bytes_max = StatementBytesMax(packet_bytes_max);
  JudgeDurability(found, &facts);
  return facts;
}

}  // namespace holdfast::mysql
