#include "server/diagnosis/load.h"

#include <utility>

#include "absl/strings/str_cat.h"

#include "server/base/status_macros.h"

namespace holdfast::diagnosis {
namespace {

// A transaction without locks disturbs nobody for long, but old rows are kept for it.
constexpr uint64_t kHourSeconds = 3600;

// The views have the time of the server's zone; the session has UTC.
constexpr absl::string_view kNow = "CONVERT_TZ(UTC_TIMESTAMP(), '+00:00', 'SYSTEM')";

std::string SecondsSince(absl::string_view moment) {
  return absl::StrCat("GREATEST(COALESCE(TIMESTAMPDIFF(SECOND, ", moment, ", ", kNow, "), 0), 0)");
}

// MariaDB has all of this in INFORMATION_SCHEMA. MySQL has it there as well, but with the text of
// every session's statement, and answers with error 3854 as long as one of those is not UTF-8, as
// ours with their binary ids: there it is performance_schema that is asked.

constexpr absl::string_view kLockWaitsOfMySql =
    "SELECT r.processlist_id, COALESCE(r.processlist_user, ''), COALESCE(r.processlist_host, ''),"
    " COALESCE(r.processlist_time, 0), COALESCE(CONCAT(l.object_schema, '.', l.object_name), ''),"
    " b.processlist_id, COALESCE(b.processlist_user, ''), COALESCE(b.processlist_host, ''),"
    " COALESCE(e.timer_wait DIV 1000000000000, 0)"
    " FROM performance_schema.data_lock_waits w"
    " JOIN performance_schema.threads r ON r.thread_id = w.requesting_thread_id"
    " JOIN performance_schema.threads b ON b.thread_id = w.blocking_thread_id"
    " LEFT JOIN performance_schema.data_locks l"
    "   ON l.engine_lock_id = w.requesting_engine_lock_id"
    " LEFT JOIN performance_schema.events_transactions_current e"
    "   ON e.thread_id = b.thread_id AND e.state = 'ACTIVE'"
    " LIMIT 20";

std::string LockWaitsQuery(bool is_maria_db) {
  if (!is_maria_db) return std::string(kLockWaitsOfMySql);
  return absl::StrCat(
      "SELECT r.trx_mysql_thread_id, COALESCE(rp.user, ''), COALESCE(rp.host, ''), ",
      SecondsSince("r.trx_wait_started"),
      ", COALESCE(l.lock_table, ''), b.trx_mysql_thread_id, COALESCE(bp.user, ''),"
      " COALESCE(bp.host, ''), ",
      SecondsSince("b.trx_started"),
      " FROM information_schema.innodb_lock_waits w"
      " JOIN information_schema.innodb_trx r ON r.trx_id = w.requesting_trx_id"
      " JOIN information_schema.innodb_trx b ON b.trx_id = w.blocking_trx_id"
      " LEFT JOIN information_schema.innodb_locks l ON l.lock_id = w.requested_lock_id"
      " LEFT JOIN information_schema.processlist rp ON rp.id = r.trx_mysql_thread_id"
      " LEFT JOIN information_schema.processlist bp ON bp.id = b.trx_mysql_thread_id"
      " LIMIT 20");
}

std::string TransactionsQuery(bool is_maria_db, absl::Duration patience) {
  const auto of_interest = [patience](absl::string_view seconds, absl::string_view locked) {
    return absl::StrCat(seconds, " >= IF(", locked, " > 0, ", absl::ToInt64Seconds(patience), ", ",
                        kHourSeconds, ") ORDER BY ", seconds, " DESC LIMIT 20");
  };
  if (!is_maria_db) {
    return absl::StrCat(
        "SELECT t.processlist_id, COALESCE(t.processlist_user, ''),"
        " COALESCE(t.processlist_host, ''), e.timer_wait DIV 1000000000000 AS seconds,"
        " (SELECT COUNT(*) FROM performance_schema.data_locks l WHERE l.thread_id = t.thread_id"
        "  AND l.lock_type = 'RECORD') AS locked, t.processlist_command = 'Sleep'"
        " FROM performance_schema.events_transactions_current e"
        " JOIN performance_schema.threads t ON t.thread_id = e.thread_id"
        " WHERE e.state = 'ACTIVE' AND t.processlist_id <> CONNECTION_ID() AND NOT EXISTS"
        " (SELECT 1 FROM performance_schema.data_lock_waits w"
        "  WHERE w.requesting_thread_id = t.thread_id) HAVING ",
        of_interest("seconds", "locked"));
  }
  const std::string seconds = SecondsSince("t.trx_started");
  return absl::StrCat(
      "SELECT t.trx_mysql_thread_id, COALESCE(p.user, ''), COALESCE(p.host, ''), ", seconds,
      ", t.trx_rows_locked, t.trx_query IS NULL FROM information_schema.innodb_trx t"
      " LEFT JOIN information_schema.processlist p ON p.id = t.trx_mysql_thread_id"
      " WHERE t.trx_state <> 'LOCK WAIT' AND ",
      of_interest(seconds, "t.trx_rows_locked"));
}

std::string StatementsQuery(bool is_maria_db, absl::Duration patience) {
  const absl::string_view prefix = is_maria_db ? "" : "processlist_";
  const auto column = [prefix](absl::string_view name) { return absl::StrCat(prefix, name); };
  return absl::StrCat("SELECT ", column("id"), ", COALESCE(", column("user"), ", ''), COALESCE(",
                      column("host"), ", ''), ", column("time"), " FROM ",
                      is_maria_db ? "information_schema.processlist" : "performance_schema.threads",
                      " WHERE ", column("command"), " IN ('Query', 'Execute') AND ", column("time"),
                      " > ", absl::ToInt64Seconds(patience), " AND ", column("id"),
                      " <> CONNECTION_ID() ORDER BY ", column("time"), " DESC LIMIT 20");
}

Client ClientAt(const mysql::ResultRow& row, size_t column) {
  Client client;
  client.id = NumberAt(row, column);
  const std::string user = TextAt(row, column + 1);
  if (!user.empty()) client.who = absl::StrCat("'", user, "'@'", TextAt(row, column + 2), "'");
  return client;
}

absl::StatusOr<std::vector<LockWait>> ReadLockWaits(Questions& questions) {
  Answer answer;
  HOLDFAST_ASSIGN_OR_RETURN(answer, questions.Ask(LockWaitsQuery(questions.is_maria_db())));
  std::vector<LockWait> waits;
  for (const mysql::ResultRow& row : answer) {
    waits.push_back(
        {ClientAt(row, 0), NumberAt(row, 3), TextAt(row, 4), ClientAt(row, 5), NumberAt(row, 8)});
  }
  return waits;
}

// Those that hold row locks for longer than our statements wait, and those without for an hour; not
// those that wait themselves, which "lock waits" has.
absl::StatusOr<std::vector<LongTransaction>> ReadTransactions(Questions& questions,
                                                              absl::Duration patience) {
  Answer answer;
  HOLDFAST_ASSIGN_OR_RETURN(answer,
                            questions.Ask(TransactionsQuery(questions.is_maria_db(), patience)));
  std::vector<LongTransaction> transactions;
  for (const mysql::ResultRow& row : answer) {
    transactions.push_back(
        {ClientAt(row, 0), NumberAt(row, 3), NumberAt(row, 4), NumberAt(row, 5) != 0});
  }
  return transactions;
}

absl::StatusOr<std::vector<LongStatement>> ReadStatements(Questions& questions,
                                                          absl::Duration patience) {
  Answer answer;
  HOLDFAST_ASSIGN_OR_RETURN(answer,
                            questions.Ask(StatementsQuery(questions.is_maria_db(), patience)));
  std::vector<LongStatement> statements;
  for (const mysql::ResultRow& row : answer) {
    statements.push_back({ClientAt(row, 0), NumberAt(row, 3)});
  }
  return statements;
}

std::string Named(const Client& client) {
  return absl::StrCat("connection ", client.id, client.who.empty() ? "" : " of ", client.who);
}

std::string Killing(const Client& client) {
  return absl::StrCat("let its program COMMIT or ROLLBACK, or end it: KILL ", client.id, ";");
}

// What a list that cannot be read is worth.
void Unseen(absl::string_view check, const absl::Status& status, bool is_maria_db,
            Findings* findings) {
  if (!IsDenied(status)) return findings->Skip(check, std::string(status.message()));
  findings->Skip(check, absl::StrCat("the account may not see other sessions; it needs PROCESS",
                                     is_maria_db ? "" : " and SELECT on performance_schema.*",
                                     " (sql/grants.sql)"));
}

}  // namespace

Load ReadLoad(Questions& questions, const Options& options, bool sees_others) {
  return {sees_others, ReadLockWaits(questions),
          ReadTransactions(questions, options.database.lock_wait_timeout),
          ReadStatements(questions, options.database.query_timeout)};
}

void JudgeLoad(const Load& load, bool is_maria_db, Findings* findings) {
  if (!load.lock_waits.ok()) {
    Unseen("lock waits", load.lock_waits.status(), is_maria_db, findings);
  } else if (load.lock_waits->empty()) {
    findings->Ok("lock waits", "none");
  } else {
    for (const LockWait& wait : *load.lock_waits) {
      findings->Problem(
          "lock waits",
          absl::StrCat(Named(wait.waiting), " has waited ", wait.waited_seconds, " s for ",
                       wait.table, ", locked by ", Named(wait.blocking),
                       ", whose transaction has "
                       "been open for ",
                       wait.open_seconds, " s"),
          "whoever writes to these rows waits; Holdfast tries again after DB_LOCK_WAIT_TIMEOUT, "
          "and its events stay in the journal meanwhile",
          Killing(wait.blocking));
    }
  }
  if (!load.transactions.ok()) {
    Unseen("transactions", load.transactions.status(), is_maria_db, findings);
  } else if (load.transactions->empty()) {
    findings->Ok("transactions", "none is open for long");
  } else {
    for (const LongTransaction& open : *load.transactions) {
      findings->Warn("transactions",
                     absl::StrCat(Named(open.client), " has had a transaction open for ",
                                  open.open_seconds, " s", open.is_idle ? ", idle" : "", ", with ",
                                  open.rows_locked, " rows locked"),
                     open.rows_locked > 0
                         ? "writers that need these rows wait for longer than DB_LOCK_WAIT_TIMEOUT"
                         : "the server keeps every old version of every row for it",
                     Killing(open.client));
    }
  }
  if (!load.statements.ok()) {
    Unseen("statements", load.statements.status(), is_maria_db, findings);
  } else if (load.statements->empty()) {
    findings->Ok("statements", load.sees_others ? "none has been running for long"
                                                : "none of this account's own has been running for "
                                                  "long; others cannot be seen without PROCESS");
  } else {
    for (const LongStatement& statement : *load.statements) {
      findings->Warn("statements",
                     absl::StrCat(Named(statement.client), " has been running a statement for ",
                                  statement.running_seconds, " s"),
                     "it may hold locks and takes the server's strength",
                     absl::StrCat("see it with SHOW FULL PROCESSLIST; KILL QUERY ",
                                  statement.client.id, "; ends it"));
    }
  }
}

}  // namespace holdfast::diagnosis
