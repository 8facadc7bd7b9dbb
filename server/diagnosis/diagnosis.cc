#include "server/diagnosis/diagnosis.h"

#include <unistd.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

#include "server/diagnosis/endpoint.h"
#include "server/diagnosis/folder.h"
#include "server/diagnosis/grants.h"
#include "server/diagnosis/load.h"
#include "server/diagnosis/probe.h"
#include "server/diagnosis/questions.h"
#include "server/diagnosis/server.h"
#include "server/diagnosis/tables.h"
#include "server/diagnosis/trial.h"
#include "server/metrics/metrics.h"
#include "server/mysql/migrate.h"

namespace holdfast::diagnosis {
namespace {

// How long one step may take, whatever the daemon's own patience is.
constexpr absl::Duration kPatience = absl::Seconds(5);
constexpr absl::Duration kLockPatience = absl::Seconds(2);

// The checks that need a session, in order.
constexpr const char* kSessionChecks[] = {"version",      "durability", "read only",   "packet",
                                          "session",      "grants",     "migrations",  "tables",
                                          "trial writes", "quarantine", "connections", "lock waits",
                                          "transactions", "statements"};

mysql::DatabaseOptions Impatient(const mysql::DatabaseOptions& options) {
  mysql::DatabaseOptions impatient = options;
  impatient.connect_timeout = std::min(options.connect_timeout, kPatience);
  impatient.query_timeout = std::min(options.query_timeout, kPatience);
  impatient.lock_wait_timeout = std::min(options.lock_wait_timeout, kLockPatience);
  return impatient;
}

void JudgeConfiguration(const Options& options, Findings* findings) {
  std::vector<std::string> hosts;
  for (const mysql::Endpoint& endpoint : options.database.endpoints) {
    hosts.push_back(endpoint.ToString());
  }
  const mysql::DatabaseOptions& database = options.database;
  findings->Ok("configuration",
               absl::StrCat(database.user, " at ", absl::StrJoin(hosts, ", "), ", database ",
                            database.database, "; gateways at ", options.listen, "; journal in ",
                            options.journal_folder));
  if (!options.take_rate_limits) {
    findings->Warn("configuration", "RATE_LIMIT_MYSQL_ENABLED is false",
                   "each rate-limit event is refused, and rate_limit_records stays as it is",
                   "set RATE_LIMIT_MYSQL_ENABLED=true, unless that is what you want");
  }
  const int connections = database.pool_size + database.max_overflow;
  if (options.lanes > connections) {
    findings->Warn("configuration",
                   absl::StrCat(options.lanes, " lanes share ", connections, " connections"),
                   "lanes wait for one another under load",
                   "raise DB_POOL_SIZE, or lower HOLDFAST_LANES_PER_KIND");
  }
}

class Diagnosis {
 public:
  Diagnosis(const Options& options, absl::Time deadline, base::Clock& clock)
      : options_(options),
        database_(Impatient(options.database)),
        deadline_(deadline),
        clock_(clock) {}

  v1::DiagnoseResponse All();
  v1::DiagnoseResponse OfProbe();

 private:
  // Goes to every server, and keeps the connection to the first that takes writes, or else to the
  // first that takes a login.
  void VisitServers();
  void JudgeServers();
  void AskServer();
  void LookAtTables(Questions& questions, const absl::StatusOr<Account>& account);
  void LookAtQuarantine(Questions& questions);
  void LookAtFolder();

  const Options& options_;
  const mysql::DatabaseOptions database_;
  const absl::Time deadline_;
  base::Clock& clock_;
  metrics::Metrics metrics_{"diagnosis"};  // For the connections; nobody scrapes it.
  Findings findings_;

  std::vector<EndpointFacts> servers_;
  std::unique_ptr<mysql::Connection> connection_;
  bool is_writable_ = false;
};

void Diagnosis::VisitServers() {
  for (const mysql::Endpoint& endpoint : database_.endpoints) {
    if (clock_.Steady() >= deadline_) break;
    Visit visit = VisitEndpoint(endpoint, database_, deadline_, clock_, metrics_);
    const bool is_writable = visit.connection != nullptr && !visit.facts.is_read_only;
    servers_.push_back(std::move(visit.facts));
    if (visit.connection == nullptr || is_writable_ || (connection_ != nullptr && !is_writable)) {
      continue;
    }
    connection_ = std::move(visit.connection);
    is_writable_ = is_writable;
  }
}

void Diagnosis::JudgeServers() {
  for (const EndpointFacts& server : servers_) {
    JudgeEndpoint(server, database_, is_writable_, &findings_);
  }
}

void Diagnosis::AskServer() {
  if (connection_ == nullptr) {
    for (const char* check : kSessionChecks) findings_.Skip(check, "needs login");
    return;
  }
  Questions questions(*connection_, deadline_, clock_);
  const absl::StatusOr<Variables> server = ReadServer(questions);
  if (server.ok()) {
    JudgeServer(*server, questions.dialect(), servers_.size() > 1, &findings_);
  } else {
    for (const char* check : {"version", "durability", "read only", "packet"}) {
      findings_.Skip(check, std::string(server.status().message()));
    }
  }
  const absl::Status set_up = connection_->SetUp();
  JudgeSession(set_up, ReadSession(questions), options_, &findings_);
  const absl::StatusOr<Account> account = ReadAccount(questions);
  if (account.ok()) {
    JudgeGrants(*account, database_.database, &findings_);
  } else {
    findings_.Skip("grants", std::string(account.status().message()));
  }
  LookAtTables(questions, account);
  LookAtQuarantine(questions);
  if (server.ok()) {
    JudgeConnections(*server, options_, &findings_);
  } else {
    findings_.Skip("connections", std::string(server.status().message()));
  }
  const bool sees_others = account.ok() && account->Has("PROCESS", "*", "*");
  JudgeLoad(ReadLoad(questions, options_, sees_others), questions.is_maria_db(), &findings_);
}

void Diagnosis::LookAtTables(Questions& questions, const absl::StatusOr<Account>& account) {
  JudgeMigrations(mysql::ReadSchemaState(*connection_), options_, &findings_);
  const absl::StatusOr<FoundTables> tables = ReadFoundTables(questions, database_.database);
  if (tables.ok()) {
    JudgeTables(*tables, account.ok() ? &*account : nullptr, database_.database, &findings_);
  } else {
    findings_.Skip("tables", std::string(tables.status().message()));
  }
  if (!is_writable_) {
    findings_.Skip("trial writes", "needs a server that takes writes");
  } else if (findings_.Worst("migrations") == v1::FINDING_LEVEL_PROBLEM) {
    findings_.Skip("trial writes", "needs migrations");
  } else if (const absl::Status usable = questions.Usable(); !usable.ok()) {
    findings_.Skip("trial writes", std::string(usable.message()));
  } else {
    JudgeTrial(TryWrites(*connection_, options_, clock_.Now()), &findings_);
  }
}

void Diagnosis::LookAtQuarantine(Questions& questions) {
  const absl::StatusOr<Answer> answer =
      questions.Ask("SELECT COUNT(*), COALESCE(MAX(last_at), '') FROM holdfast_quarantine");
  if (!answer.ok()) {
    const absl::string_view why = "needs holdfast_quarantine and SELECT on it";
    return findings_.Skip("quarantine", why);
  }
  const uint64_t events = NumberAt(answer->at(0), 0);
  if (events == 0) return findings_.Ok("quarantine", "empty");
  findings_.Warn(
      "quarantine", absl::StrCat(events, " events, the last at ", TextAt(answer->at(0), 1), " UTC"),
      "the database refused them, or their ids were taken by other content; they are in "
      "no table",
      "SELECT kind, error_number, column_name, reason, COUNT(*) FROM holdfast_quarantine "
      "GROUP BY 1, 2, 3, 4; mend the cause");
}

void Diagnosis::LookAtFolder() {
  JudgeFolder(SurveyJournal(options_, kPatience, clock_), options_, getpid(), geteuid(),
              &findings_);
}

v1::DiagnoseResponse Diagnosis::All() {
  JudgeConfiguration(options_, &findings_);
  VisitServers();
  JudgeServers();
  AskServer();
  LookAtFolder();
  *findings_.response().mutable_probe() = Probe(options_.take_rate_limits);
  return std::move(findings_.response());
}

v1::DiagnoseResponse Diagnosis::OfProbe() {
  VisitServers();
  if (!is_writable_) {
    findings_.Skip("read back", "needs a server that takes writes");
  } else if (const absl::Status set_up = connection_->SetUp(); !set_up.ok()) {
    findings_.Skip("read back", std::string(set_up.message()));
  } else {
    Questions questions(*connection_, deadline_, clock_);
    JudgeProbe(TakeProbe(questions, options_.take_rate_limits), options_.take_rate_limits,
               &findings_);
  }
  return std::move(findings_.response());
}

}  // namespace

v1::DiagnoseResponse Diagnose(const Options& options, absl::Time deadline, base::Clock& clock) {
  return Diagnosis(options, deadline, clock).All();
}

v1::DiagnoseResponse DiagnoseProbe(const Options& options, absl::Time deadline,
                                   base::Clock& clock) {
  return Diagnosis(options, deadline, clock).OfProbe();
}

v1::DiagnoseResponse DiagnoseNothing(const absl::Status& faults) {
  Findings findings;
  for (const absl::string_view fault :
       absl::StrSplit(std::string(faults.message()), '\n', absl::SkipEmpty())) {
    findings.Problem("configuration", fault, "holdfastd does not start with it",
                     "correct the setting; holdfastd --help explains each");
  }
  for (const char* check : {"dns", "tcp", "tls", "login"})
    findings.Skip(check, "needs configuration");
  for (const char* check : kSessionChecks) findings.Skip(check, "needs configuration");
  findings.Skip("journal", "needs configuration");
  return std::move(findings.response());
}

}  // namespace holdfast::diagnosis
