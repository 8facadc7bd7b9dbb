#include "server/mysql/connection.h"

#include <mysql.h>

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "server/base/check.h"
#include "server/base/log.h"
#include "server/base/status_macros.h"
#include "server/mysql/link.h"
#include "server/mysql/value.h"

namespace holdfast::mysql {
namespace {

using flow::Verdict;

constexpr unsigned kPacketTooLarge = 1153;
constexpr unsigned kDeadlock = 1213;
constexpr unsigned kNoSuchConnection = 1094;

// The values of metrics' label `outcome`.
absl::string_view OutcomeOf(Verdict verdict) {
  switch (verdict) {
    case Verdict::kRetry:
    case Verdict::kThrottle:
      return "retry";
    case Verdict::kReject:
      return "reject";
    case Verdict::kOutage:
      return "outage";
    case Verdict::kUnknown:
    case Verdict::kReconnect:
    case Verdict::kElsewhere:
      return "lost";
  }
  return "lost";
}

Dialect DialectOf(MYSQL* link) {
  unsigned long capabilities = 0;
  mariadb_get_infov(link, MARIADB_CONNECTION_SERVER_CAPABILITIES, &capabilities);
  // MariaDB keeps back the bit that used to say "MySQL"; a proxy may not, but shows the version.
  const bool is_mariadb = (capabilities & CLIENT_MYSQL) == 0 ||
                          absl::StrContains(mysql_get_server_info(link), "MariaDB");
  return is_mariadb ? Dialect::kMariaDb : Dialect::kMysql;
}

}  // namespace

// One call into the library, from its start to Finish.
struct Connection::Call {
  Call(Connection& connection, absl::string_view on_table, absl::string_view text, size_t row_count)
      : table(on_table),
        shape(text),
        rows(row_count),
        started_at(connection.clock_.Steady()),
        deadline(connection.options_.query_timeout + kServerSaysSo) {}

  const absl::string_view table;
  const absl::string_view shape;  // Never values.
  const size_t rows;
  const absl::Time started_at;
  const CallDeadline deadline;
  bool committing = false;
  bool ends_transaction = false;
};

Connection::Connection(const DatabaseOptions& options, base::Clock& clock,
                       metrics::Metrics& metrics)
    : options_(options), clock_(clock), metrics_(metrics), link_(NewLink()) {}

Connection::~Connection() {
  // Says goodbye to the server; that must not take long either.
  const CallDeadline deadline(options_.connect_timeout);
  prepared_.reset();
  mysql_close(link_);
}

absl::StatusOr<std::unique_ptr<Connection>> Connection::Open(const DatabaseOptions& options,
                                                             const Endpoint& endpoint,
                                                             absl::Duration connect_timeout,
                                                             base::Clock& clock,
                                                             metrics::Metrics& metrics) {
  std::unique_ptr<Connection> connection;
  HOLDFAST_ASSIGN_OR_RETURN(connection, Login(options, endpoint, connect_timeout, clock, metrics));
  HOLDFAST_RETURN_IF_ERROR(connection->SetUp());
  return connection;
}

absl::StatusOr<std::unique_ptr<Connection>> Connection::Login(const DatabaseOptions& options,
                                                              const Endpoint& endpoint,
                                                              absl::Duration connect_timeout,
                                                              base::Clock& clock,
                                                              metrics::Metrics& metrics) {
  auto connection = absl::WrapUnique(new Connection(options, clock, metrics));
  HOLDFAST_RETURN_IF_ERROR(connection->Connect(endpoint, connect_timeout));
  return connection;
}

absl::Status Connection::Connect(const Endpoint& endpoint, absl::Duration timeout) {
  const std::string operation = absl::StrCat("connect to ", endpoint.ToString());
  std::string password;
  HOLDFAST_ASSIGN_OR_RETURN(password, CurrentPassword(options_));
  ConfigureLink(options_, endpoint, link_);
  const CallDeadline deadline(timeout);
  const bool connected =
      mysql_real_connect(link_, endpoint.socket.empty() ? endpoint.host.c_str() : nullptr,
                         options_.user.c_str(), password.c_str(),
                         options_.database.empty() ? nullptr : options_.database.c_str(),
                         endpoint.socket.empty() ? static_cast<unsigned>(endpoint.port) : 0,
                         endpoint.socket.empty() ? nullptr : endpoint.socket.c_str(), 0) != nullptr;
  if (!connected) {
    const unsigned number = mysql_errno(link_);
    const char* sql_state = mysql_sqlstate(link_);
    return ToStatus(operation,
                    {number, sql_state, mysql_error(link_), Classify(number, sql_state, false)});
  }
  if (options_.ssl_mode >= SslMode::kRequired && mysql_get_ssl_cipher(link_) == nullptr) {
    // The library goes on without TLS when the server has none.
    DatabaseError error;
    error.verdict = Verdict::kOutage;
    return ToStatus(absl::StrCat(operation,
                                 ": the server offers no TLS, and MYSQL_SSL_MODE "
                                 "requires it"),
                    error);
  }
  dialect_ = DialectOf(link_);
  prepared_ = std::make_unique<PreparedStatements>(link_);
  has_bulk_ = options_.use_bulk && prepared_->has_bulk();
  return absl::OkStatus();
}

absl::Status Connection::SetUp() {
  for (const std::string& sql : SetupStatements(options_, dialect_)) {
    HOLDFAST_RETURN_IF_ERROR(Run(sql));
  }
  Statement read_back;
  read_back.table = "session";
  read_back.head = ReadBackQuery(dialect_);
  std::vector<ResultRow> answers;
  set_up_at_ = clock_.Steady();
  HOLDFAST_ASSIGN_OR_RETURN(answers, Query(read_back, Rows()));
  answers.resize(1);
  HOLDFAST_ASSIGN_OR_RETURN(facts_, CheckSession(options_, dialect_, answers[0]));
  // A Galera node that has lost its cluster answers all of the above, and refuses this (1047).
  HOLDFAST_RETURN_IF_ERROR(Begin());
  absl::Status status = Rollback();
  is_lost_ = !status.ok();
  return status;
}

absl::Status Connection::Begin() {
  HOLDFAST_CHECK(!in_transaction_);
  Call call(*this, "transaction", "BEGIN", 0);
  absl::Status status = SendCommented(call, "BEGIN");
  in_transaction_ = status.ok();
  return status;
}

absl::Status Connection::Commit() {
  HOLDFAST_CHECK(in_transaction_);
  Call call(*this, "transaction", "COMMIT", 0);
  call.committing = true;
  call.ends_transaction = true;
  absl::Status status = SendCommented(call, "COMMIT");
  if (status.ok()) in_transaction_ = false;
  return status;
}

absl::Status Connection::Rollback() {
  Call call(*this, "transaction", "ROLLBACK", 0);
  call.ends_transaction = true;
  absl::Status status = Send(call, "ROLLBACK");
  if (status.ok()) in_transaction_ = false;
  return status;
}

absl::StatusOr<uint64_t> Connection::Execute(const Statement& statement, const Rows& rows,
                                             size_t first, size_t count) {
  HOLDFAST_CHECK(count >= 1 && (statement.multi_row || count == 1));
  HOLDFAST_CHECK(rows.columns == 0 || first + count <= rows.size());
  if (count > 1 && !has_bulk_) return ExecuteText(statement, rows, first, count);
  Call call(*this, statement.table, statement.head, count);
  uint64_t affected_rows = 0;
  const std::optional<DatabaseError> error =
      prepared_->Execute(statement, rows, first, count, statement_bytes_max(), &affected_rows);
  HOLDFAST_RETURN_IF_ERROR(Finish(call, error.has_value() ? &*error : nullptr));
  return affected_rows;
}

absl::StatusOr<uint64_t> Connection::ExecuteText(const Statement& statement, const Rows& rows,
                                                 size_t first, size_t count) {
  Call call(*this, statement.table, statement.head, count);
  if (!TimesFit(rows, first, count)) {
    const DatabaseError error = NotADatetime();
    return Finish(call, &error);
  }
  sql_.clear();
  AppendText(statement, rows, first, count, statement_bytes_max(), link_, &sql_);
  if (sql_.size() > statement_bytes_max()) {
    const DatabaseError error = ValuesTooLarge();
    return Finish(call, &error);
  }
  HOLDFAST_RETURN_IF_ERROR(Send(call, sql_));
  return mysql_affected_rows(link_);
}

absl::StatusOr<std::vector<ResultRow>> Connection::Query(const Statement& statement,
                                                         const Rows& parameters) {
  Call call(*this, statement.table, statement.head, 1);
  sql_.clear();
  AppendText(statement, parameters, 0, 1, SIZE_MAX, link_, &sql_);
  // As text, not prepared: queries are rare, and this is one round trip instead of two.
  if (mysql_real_query(link_, sql_.data(), sql_.size()) != 0) return FinishWithLastError(call);
  return Read(call);
}

absl::StatusOr<std::vector<ResultRow>> Connection::Read(Call& call) {
  MYSQL_RES* result = mysql_store_result(link_);
  if (result == nullptr) return FinishWithLastError(call);
  std::vector<ResultRow> rows;
  rows.reserve(mysql_num_rows(result));
  const unsigned columns = mysql_num_fields(result);
  while (MYSQL_ROW row = mysql_fetch_row(result)) {
    const unsigned long* lengths = mysql_fetch_lengths(result);
    ResultRow& to = rows.emplace_back(columns);
    for (unsigned column = 0; column < columns; ++column) {
      if (row[column] != nullptr) to[column].emplace(row[column], lengths[column]);
    }
  }
  mysql_free_result(result);
  HOLDFAST_RETURN_IF_ERROR(Finish(call, nullptr));
  return rows;
}

absl::Status Connection::Run(absl::string_view sql) {
  Call call(*this, "schema", sql, 0);
  return Send(call, sql);
}

absl::Status Connection::Ping() {
  Call call(*this, "session", "ping", 0);
  if (mysql_ping(link_) != 0) return FinishWithLastError(call);
  return Finish(call, nullptr);
}

absl::Status Connection::KillConnection(uint64_t connection_id) {
  Call call(*this, "session", "KILL", 0);
  const std::string sql = absl::StrCat("KILL CONNECTION ", connection_id);
  if (mysql_real_query(link_, sql.data(), sql.size()) != 0 &&
      mysql_errno(link_) != kNoSuchConnection) {
    return FinishWithLastError(call);
  }
  return Finish(call, nullptr);
}

absl::Status Connection::Send(Call& call, absl::string_view sql) {
  if (mysql_real_query(link_, sql.data(), sql.size()) != 0) return FinishWithLastError(call);
  return Finish(call, nullptr);
}

absl::Status Connection::SendCommented(Call& call, absl::string_view verb) {
  if (comment_.empty()) return Send(call, verb);
  sql_ = absl::StrCat(verb, " ", comment_);
  return Send(call, sql_);
}

// A Galera node that gives way to another's transaction may roll this one back in the middle of a
// bulk statement and report no error (seen with MariaDB 10.11). What came after it would be
// committed alone, without the lane's compare-and-set. Each answer says whether a transaction is
// open.
bool Connection::LostItsTransaction(const Call& call) {
  if (!in_transaction_ || call.ends_transaction) return false;
  unsigned status = 0;
  mariadb_get_infov(link_, MARIADB_CONNECTION_SERVER_STATUS, &status);
  if ((status & SERVER_STATUS_IN_TRANS) != 0) return false;
  in_transaction_ = false;
  base::LogWarning("the server has ended a transaction and reported no error; it is tried again",
                   {{"table", call.table}, {"shape", call.shape}});
  return true;
}

absl::Status Connection::FinishWithLastError(const Call& call) {
  const unsigned number = mysql_errno(link_);
  const char* sql_state = mysql_sqlstate(link_);
  const DatabaseError error = {number, sql_state, mysql_error(link_),
                               Classify(number, sql_state, call.committing)};
  return Finish(call, &error);
}

absl::Status Connection::Finish(const Call& call, const DatabaseError* error) {
  const absl::Duration took = clock_.Steady() - call.started_at;
  metrics_.StatementSeconds(call.table, error == nullptr ? "ok" : OutcomeOf(error->verdict))
      .Observe(absl::ToDoubleSeconds(took));
  if (took >= options_.slow_statement) {
    metrics_.SlowStatements(call.table).Increment();
    base::LogWarning("slow statement",
                     {{"table", call.table},
                      {"shape", call.shape},
                      {"rows", call.rows},
                      {"took", took},
                      {"error_number", error == nullptr ? 0 : error->error_number}});
  }
  const DatabaseError lost = {kDeadlock, "40001", "the transaction is gone", Verdict::kRetry};
  if (error == nullptr) {
    if (!LostItsTransaction(call)) return absl::OkStatus();
    error = &lost;
  }
  if (error->error_number == kDeadlock) metrics_.Deadlocks(call.table).Increment();
  if (error->verdict == Verdict::kReconnect || error->verdict == Verdict::kUnknown) is_lost_ = true;
  if (error->verdict == Verdict::kElsewhere) is_read_only_ = true;
  if (error->error_number == kPacketTooLarge) met_its_limit_ = true;
  return ToStatus(
      absl::StrCat(call.shape.substr(0, call.shape.find_first_of(" \n")), " on ", call.table),
      *error);
}

}  // namespace holdfast::mysql
