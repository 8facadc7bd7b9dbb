#include "server/diagnosis/server.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

#include "server/base/status_macros.h"
#include "server/mysql/errors.h"

namespace holdfast::diagnosis {
namespace {

// An event may have 1 MiB, and its text twice that once it is escaped.
constexpr uint64_t kPacketBytesWanted = uint64_t{4} << 20;

constexpr char kIsolation[] = "isolation";

// The first two numbers of "10.11.6-MariaDB-0+deb12u1".
std::pair<int, int> VersionOf(absl::string_view text) {
  const std::vector<absl::string_view> parts = absl::StrSplit(text, absl::MaxSplits('.', 2));
  int major = 0;
  int minor = 0;
  if (parts.size() < 2 || !absl::SimpleAtoi(parts[0], &major) ||
      !absl::SimpleAtoi(parts[1], &minor)) {
    return {0, 0};
  }
  return {major, minor};
}

void JudgeVersion(const Variables& server, mysql::Dialect dialect, Findings* findings) {
  const std::string version = TextOf(server, "@@version");
  const bool is_maria_db = dialect == mysql::Dialect::kMariaDb;
  const std::pair<int, int> oldest = is_maria_db ? std::pair{10, 3} : std::pair{5, 7};
  const std::string found = absl::StrCat(is_maria_db ? "" : "MySQL ", version);
  if (VersionOf(version) >= oldest) return findings->Ok("version", found);
  findings->Problem("version", found, "statements of Holdfast's are not understood by it",
                    "use MariaDB 10.3 or MySQL 5.7, or newer");
}

void JudgeDurability(const Variables& server, Findings* findings) {
  const uint64_t flush = NumberOf(server, "@@innodb_flush_log_at_trx_commit");
  const bool has_binlog = NumberOf(server, "@@log_bin") != 0;
  const uint64_t sync = NumberOf(server, "@@sync_binlog");
  const absl::string_view meaning =
      "the server answers a COMMIT before it is on its disk: what was acknowledged as COMMITTED is "
      "lost if it loses power or fails over";
  if (flush != 1) {
    findings->Warn("durability", absl::StrCat("innodb_flush_log_at_trx_commit is ", flush), meaning,
                   "SET GLOBAL innodb_flush_log_at_trx_commit = 1, and in the server's "
                   "configuration");
  }
  if (has_binlog && sync != 1) {
    findings->Warn("durability", absl::StrCat("sync_binlog is ", sync, ", the binary log is on"),
                   meaning, "SET GLOBAL sync_binlog = 1, and in the server's configuration");
  }
  if (flush == 1 && (!has_binlog || sync == 1)) {
    findings->Ok("durability", absl::StrCat("innodb_flush_log_at_trx_commit is 1, ",
                                            has_binlog ? "sync_binlog is 1" : "no binary log"));
  }
}

void JudgeReadOnly(const Variables& server, bool has_spares, Findings* findings) {
  std::string name;
  for (const char* each :
       {"@@GLOBAL.read_only", "@@GLOBAL.super_read_only", "@@innodb_read_only"}) {
    if (NumberOf(server, each) != 0)
      name = absl::StrCat(each).substr(std::string(each).rfind('@') + 1);
  }
  if (name.empty()) return findings->Ok("read only", "no: it takes writes");
  findings->Problem(
      "read only", absl::StrCat(name, " is on"),
      has_spares ? "no server of the list takes writes; events wait in the journal"
                 : "the server takes no writes (a replica, or set so); events wait in the journal",
      "let MYSQL_HOST name the primary (or several hosts: the first that can be written to is "
      "used), or SET GLOBAL read_only = OFF if this server is to be it");
}

}  // namespace

absl::StatusOr<Variables> ReadServer(Questions& questions) {
  std::vector<std::string> names = {"@@version",
                                    "@@innodb_flush_log_at_trx_commit",
                                    "@@log_bin",
                                    "@@sync_binlog",
                                    "@@GLOBAL.read_only",
                                    "@@innodb_read_only",
                                    "@@max_allowed_packet",
                                    "@@GLOBAL.max_connections",
                                    "@@SESSION.max_user_connections"};
  if (!questions.is_maria_db()) names.push_back("@@GLOBAL.super_read_only");
  Variables server;
  HOLDFAST_ASSIGN_OR_RETURN(server, questions.Read(names));
  Variables status;
  HOLDFAST_ASSIGN_OR_RETURN(
      status, questions.ReadStatus("GLOBAL", {"Threads_connected", "Max_used_connections"}));
  server.merge(status);
  return server;
}

void JudgeServer(const Variables& server, mysql::Dialect dialect, bool has_spares,
                 Findings* findings) {
  JudgeVersion(server, dialect, findings);
  JudgeDurability(server, findings);
  JudgeReadOnly(server, has_spares, findings);
  const uint64_t packet = NumberOf(server, "@@max_allowed_packet");
  if (packet >= kPacketBytesWanted) {
    return findings->Ok("packet", absl::StrCat("max_allowed_packet is ", packet));
  }
  findings->Warn("packet", absl::StrCat("max_allowed_packet is ", packet, " bytes"),
                 "large messages do not fit into a statement and go to the quarantine; batches are "
                 "smaller than they could be",
                 absl::StrCat("raise max_allowed_packet to ", kPacketBytesWanted, " or more"));
}

void JudgeConnections(const Variables& server, const Options& options, Findings* findings) {
  const uint64_t most = NumberOf(server, "@@GLOBAL.max_connections");
  const uint64_t now = NumberOf(server, "Threads_connected");
  const auto wanted =
      static_cast<uint64_t>(options.database.pool_size + options.database.max_overflow);
  const uint64_t of_account = NumberOf(server, "@@SESSION.max_user_connections");
  const std::string found = absl::StrCat(now, " of ", most, " connections are open, at most ",
                                         TextOf(server, "Max_used_connections"), " so far");
  constexpr absl::string_view kRemedy =
      "raise max_connections, or lower DB_POOL_SIZE and DB_MAX_OVERFLOW; SHOW PROCESSLIST says who "
      "has them";
  if (of_account != 0 && of_account < wanted) {
    findings->Warn("connections",
                   absl::StrCat("the account may have ", of_account,
                                " connections, and the pool may ask for ", wanted),
                   "connections beyond the limit are refused when the pool is busy",
                   "raise the account's MAX_USER_CONNECTIONS, or lower DB_POOL_SIZE and "
                   "DB_MAX_OVERFLOW");
  }
  if (wanted > most) {
    return findings->Warn("connections",
                          absl::StrCat(found, "; the pool may ask for ", wanted, " alone"),
                          "the server refuses connections before the pool is full", kRemedy);
  }
  if (now * 10 >= most * 8) {
    return findings->Warn("connections", found,
                          "few are left: the server soon refuses everybody with error 1040",
                          kRemedy);
  }
  findings->Ok("connections", found);
}

absl::StatusOr<Variables> ReadSession(Questions& questions) {
  const std::string isolation =
      questions.is_maria_db() ? "@@SESSION.tx_isolation" : "@@SESSION.transaction_isolation";
  Variables session;
  HOLDFAST_ASSIGN_OR_RETURN(session,
                            questions.Read({isolation, "@@SESSION.sql_mode", "@@SESSION.time_zone",
                                            "@@SESSION.character_set_client"}));
  session[kIsolation] = TextOf(session, isolation);
  return session;
}

void JudgeSession(const absl::Status& set_up, const absl::StatusOr<Variables>& session,
                  const Options& options, Findings* findings) {
  const std::optional<mysql::DatabaseError> error = mysql::ErrorOf(set_up);
  if (error.has_value() && error->verdict == flow::Verdict::kElsewhere) {
    return findings->Skip("session", "needs a server that takes writes");
  }
  if (!set_up.ok()) {
    return findings->Problem("session", std::string(set_up.message()),
                             "the daemon uses no session whose settings are not as it asked: rows "
                             "could be cut, or hours shifted",
                             "see a proxy between, and the server's init_connect");
  }
  if (!session.ok()) return findings->Skip("session", std::string(session.status().message()));
  const std::string found = absl::StrCat(TextOf(*session, kIsolation), ", strict, ",
                                         TextOf(*session, "@@SESSION.character_set_client"),
                                         ", time zone ", TextOf(*session, "@@SESSION.time_zone"));
  if (absl::AsciiStrToUpper(options.database.isolation_level) == "READ COMMITTED") {
    return findings->Ok("session", found);
  }
  findings->Warn("session", found,
                 "gaps between rows are locked, too: more lock waits and deadlocks",
                 "leave DB_ISOLATION_LEVEL at READ COMMITTED");
}

}  // namespace holdfast::diagnosis
