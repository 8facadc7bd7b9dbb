#include "server/diagnosis/endpoint.h"

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "server/diagnosis/questions.h"
#include "server/mysql/errors.h"
#include "server/mysql/link.h"

namespace holdfast::diagnosis {
namespace {

constexpr unsigned kTlsFailed = 2026;

// The client library's errors that come before any word of the server's.
bool IsBeforeTheServer(unsigned number) {
  return number >= 2000 && number <= 2999 && number != kTlsFailed && number != 2058 &&
         number != 2059;
}

// The first address that somebody answers at, or the last one tried.
Dialed DialAny(const std::vector<Address>& addresses, absl::Duration timeout, base::Clock& clock) {
  Dialed dialed;
  const absl::Time deadline = clock.Steady() + timeout;
  for (const Address& address : addresses) {
    dialed = Dial(address, std::max(deadline - clock.Steady(), absl::ZeroDuration()), clock);
    if (dialed.peer != Peer::kNobody) break;
  }
  return dialed;
}

std::string TlsInUse(mysql::Connection& connection, absl::Time deadline, base::Clock& clock) {
  Questions questions(connection, deadline, clock);
  const absl::StatusOr<Variables> status =
      questions.ReadStatus("SESSION", {"Ssl_version", "Ssl_cipher"});
  if (!status.ok() || TextOf(*status, "Ssl_cipher").empty()) return "";
  return absl::StrCat(TextOf(*status, "Ssl_version"), ", ", TextOf(*status, "Ssl_cipher"));
}

bool IsReadOnly(mysql::Connection& connection, absl::Time deadline, base::Clock& clock) {
  Questions questions(connection, deadline, clock);
  const absl::StatusOr<Variables> found =
      questions.Read({"@@GLOBAL.read_only", "@@innodb_read_only"});
  return found.ok() && (NumberOf(*found, "@@GLOBAL.read_only") != 0 ||
                        NumberOf(*found, "@@innodb_read_only") != 0);
}

// Judges one endpoint, step by step.
class Judge {
 public:
  Judge(const EndpointFacts& facts, const mysql::DatabaseOptions& options, bool is_spare,
        Findings* findings)
      : facts_(facts),
        options_(options),
        name_(facts.endpoint.ToString()),
        bad_(is_spare ? v1::FINDING_LEVEL_WARNING : v1::FINDING_LEVEL_PROBLEM),
        findings_(*findings) {}

  void Run() {
    if (!Name() || !Connect() || !Tls()) return;
    Login();
  }

 private:
  bool Fail(absl::string_view check, absl::string_view found, absl::string_view meaning,
            absl::string_view remedy) {
    findings_.Add(bad_, check, found, meaning, remedy);
    static constexpr absl::string_view kSteps[] = {"dns", "tcp", "tls", "login"};
    bool later = false;
    for (const absl::string_view step : kSteps) {
      if (later) findings_.Skip(step, absl::StrCat(name_, ": needs ", check));
      later = later || step == check || (check == "socket" && step == "tcp");
    }
    return false;
  }

  bool Name();
  bool Connect();
  bool NobodyThere();
  bool Tls();
  void Login();

  const EndpointFacts& facts_;
  const mysql::DatabaseOptions& options_;
  const std::string name_;
  const v1::FindingLevel bad_;
  Findings& findings_;
};

bool Judge::Name() {
  if (!facts_.endpoint.socket.empty()) return true;
  const std::string& host = facts_.endpoint.host;
  if (!facts_.resolved.ok()) {
    return Fail("dns", absl::StrCat(host, ": ", std::string(facts_.resolved.message())),
                "the server's name leads to no address from here",
                "correct MYSQL_HOST, or mend the name service (/etc/resolv.conf, /etc/hosts)");
  }
  const std::string addresses = absl::StrJoin(facts_.addresses, ", ");
  findings_.Ok("dns", addresses == host ? absl::StrCat(host, ": an address already")
                                        : absl::StrCat(host, " is ", addresses));
  return true;
}

bool Judge::Connect() {
  const bool is_socket = !facts_.endpoint.socket.empty();
  const absl::string_view check = is_socket ? "socket" : "tcp";
  if (!facts_.dialed.has_value()) {
    findings_.Ok(check, absl::StrCat(name_, " answers"));
    return true;
  }
  switch (facts_.dialed->peer) {
    case Peer::kNobody:
      return NobodyThere();
    case Peer::kSilent:
      return Fail(check, absl::StrCat(name_, " takes the connection and says nothing"),
                  "a proxy without a server behind it, or a server that hangs",
                  "see the proxy's and the server's state; a MySQL server greets first");
    case Peer::kForeign:
      return Fail(check, absl::StrCat(name_, " is no MySQL or MariaDB server"),
                  "another service listens there",
                  is_socket ? "correct MYSQL_SOCKET" : "correct MYSQL_HOST or MYSQL_PORT");
    case Peer::kDatabase:
      break;
  }
  return Fail(
      check,
      absl::StrCat(name_, " greets and then breaks off: ", std::string(facts_.login.message())),
      "the server, or something between, ends connections during the handshake",
      "see the server's log; a firewall or proxy may cut what it does not know");
}

bool Judge::NobodyThere() {
  const int error = facts_.dialed->error_number;
  const std::string found = absl::StrCat(
      name_, " cannot be connected to",
      facts_.endpoint.socket.empty() ? absl::StrCat(" (", facts_.dialed->text, ")") : "", ": ",
      std::generic_category().message(error));
  if (!facts_.endpoint.socket.empty()) {
    if (error == EACCES) {
      return Fail("socket", found, "this user may not enter its folder, or use it",
                  "give the daemon's user the right to the socket and its folders");
    }
    return Fail("socket", found, "no server listens at this socket",
                "start the server, or correct MYSQL_SOCKET");
  }
  if (error == ECONNREFUSED) {
    return Fail("tcp", found, "the machine is there, and no server listens at this port",
                "start the server, let it listen at this address (bind_address, skip_networking), "
                "or correct MYSQL_HOST or MYSQL_PORT");
  }
  return Fail("tcp", found, "no answer from the network",
              "correct MYSQL_HOST or MYSQL_PORT; see the route, the firewall and network policies");
}

bool Judge::Tls() {
  const unsigned number = ErrorNumberOf(facts_.login);
  const bool no_tls = !facts_.login.ok() && facts_.password.ok() && number == 0;
  if (number == kTlsFailed || no_tls) {
    const std::optional<mysql::DatabaseError> error = mysql::ErrorOf(facts_.login);
    const std::string said = error.has_value() ? error->message : "";
    return Fail("tls",
                absl::StrCat(std::string(facts_.login.message()), said.empty() ? "" : ": ", said),
                "no encrypted connection that MYSQL_SSL_MODE would accept came about",
                "give MYSQL_SSL_CA the authority of the server's certificate, connect by the name "
                "that it is for, or switch TLS on at the server (ssl_cert, ssl_key)");
  }
  if (!facts_.login.ok()) return true;  // Whether TLS is in use is only known after the login.
  const bool is_near = !facts_.endpoint.socket.empty() || facts_.endpoint.host == "localhost" ||
                       absl::StartsWith(facts_.endpoint.host, "127.") ||
                       facts_.endpoint.host == "::1";
  if (!facts_.tls.empty()) {
    findings_.Ok("tls", absl::StrCat(name_, ": ", facts_.tls));
  } else if (is_near) {
    findings_.Ok("tls", absl::StrCat(name_, ": none; it does not leave this machine"));
  } else {
    findings_.Warn("tls", absl::StrCat(name_, ": the connection is not encrypted"),
                   "events cross the network in the clear",
                   "switch TLS on at the server and set MYSQL_SSL_MODE=verify_identity, with "
                   "MYSQL_SSL_CA");
  }
  return true;
}

void Judge::Login() {
  if (!facts_.password.ok()) {
    Fail("login", std::string(facts_.password.message()), "there is no password to log in with",
         "let MYSQL_PASSWORD_FILE name a file that the daemon's user may read");
    return;
  }
  if (facts_.login.ok()) {
    findings_.Ok("login", absl::StrCat(name_, " as ", options_.user));
    return;
  }
  const std::optional<mysql::DatabaseError> error = mysql::ErrorOf(facts_.login);
  const std::string found =
      absl::StrCat(std::string(facts_.login.message()), error.has_value() ? ": " : "",
                   error.has_value() ? error->message : "");
  switch (error.has_value() ? error->error_number : 0) {
    case 1045:
    case 1698:
      Fail("login", found, "the server does not take this account with this password from here",
           absl::StrCat("correct MYSQL_USER, MYSQL_PASSWORD or MYSQL_PASSWORD_FILE; or, at the "
                        "server, see what there is (SELECT user, host FROM mysql.user) and ALTER "
                        "USER '",
                        options_.user,
                        "'@'...' IDENTIFIED BY '...'. An account made with REQUIRE SSL says the "
                        "same to a connection without TLS"));
      return;
    case 1044:
    case 1049:
      Fail("login", found, "the login is right, and this database is not there for it",
           absl::StrCat("correct MYSQL_DATABASE (\"", options_.database,
                        "\"), run holdfastd --migrate to make it, or give the grants of "
                        "sql/grants.sql"));
      return;
    case 1040:
    case 1203:
    case 1226:
      Fail("login", found, "there is no connection left",
           "raise max_connections (or the account's MAX_USER_CONNECTIONS), or lower DB_POOL_SIZE "
           "and DB_MAX_OVERFLOW of all daemons together; SHOW PROCESSLIST says who has them");
      return;
    default:
      Fail("login", found, "the server answered and let nobody in",
           "see the server's log, and server/mysql/README.md for the number");
  }
}

}  // namespace

Visit VisitEndpoint(const mysql::Endpoint& endpoint, const mysql::DatabaseOptions& options,
                    absl::Time deadline, base::Clock& clock, metrics::Metrics& metrics) {
  Visit visit;
  EndpointFacts& facts = visit.facts;
  facts.endpoint = endpoint;
  const absl::Duration timeout = std::min(options.connect_timeout, deadline - clock.Steady());
  std::vector<Address> addresses;
  if (endpoint.socket.empty()) {
    auto resolved = Resolve(endpoint.host, endpoint.port, timeout, clock);
    facts.resolved = resolved.status();
    if (resolved.ok()) addresses = *std::move(resolved);
    for (const Address& address : addresses) facts.addresses.push_back(address.text);
  } else if (auto address = SocketAddress(endpoint.socket); address.ok()) {
    addresses.push_back(*std::move(address));
  }
  if (!facts.resolved.ok()) return visit;
  facts.password = mysql::CurrentPassword(options).status();
  if (facts.password.ok()) {
    auto connection = mysql::Connection::Login(options, endpoint, timeout, clock, metrics);
    facts.login = connection.status();
    if (connection.ok()) visit.connection = *std::move(connection);
  }
  if (visit.connection != nullptr) {
    facts.tls = TlsInUse(*visit.connection, deadline, clock);
    facts.is_read_only = IsReadOnly(*visit.connection, deadline, clock);
    return visit;
  }
  // Without a password nobody knocked yet; that the server is there is still worth knowing.
  if (!facts.password.ok() || IsBeforeTheServer(ErrorNumberOf(facts.login))) {
    facts.dialed = DialAny(addresses, timeout, clock);
    if (!facts.password.ok() && facts.dialed->peer == Peer::kDatabase) facts.dialed.reset();
  }
  return visit;
}

void JudgeEndpoint(const EndpointFacts& facts, const mysql::DatabaseOptions& options, bool is_spare,
                   Findings* findings) {
  Judge(facts, options, is_spare, findings).Run();
}

}  // namespace holdfast::diagnosis
