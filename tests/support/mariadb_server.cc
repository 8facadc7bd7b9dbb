#include "tests/support/mariadb_server.h"

#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "server/base/clock.h"
#include "server/metrics/metrics.h"
#include "server/mysql/connection.h"
#include "server/mysql/migrate.h"

namespace holdfast::test {
namespace {

constexpr absl::Duration kStartMax = absl::Seconds(60);

[[noreturn]] void GiveUp(absl::string_view what) {
  std::fprintf(stderr, "%s\n", std::string(what).c_str());
  std::abort();
}

std::string FileText(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string Environment(const char* name) {
  const char* value = getenv(name);
  return value == nullptr ? "" : value;
}

metrics::Metrics& OwnMetrics() {
  static auto* const metrics = new metrics::Metrics("test");
  return *metrics;
}

int FreePort() {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  if (bind(listener, reinterpret_cast<sockaddr*>(&address), length) != 0 ||
      getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length) != 0) {
    GiveUp("no free port");
  }
  close(listener);
  return ntohs(address.sin_port);
}

// Starts a program whose output goes to `log`, and which does not outlive this process.
pid_t Spawn(const std::vector<std::string>& command, const std::string& log) {
  std::vector<char*> argv;
  for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  const pid_t pid = fork();
  if (pid < 0) GiveUp("fork failed");
  if (pid > 0) return pid;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (std::freopen(log.c_str(), "a", stdout) != nullptr) dup2(STDOUT_FILENO, STDERR_FILENO);
  execvp(argv[0], argv.data());
  _exit(127);
}

std::unique_ptr<mysql::Connection> Connect(const mysql::DatabaseOptions& options) {
  auto connection = mysql::Connection::Open(options, options.endpoints[0], options.connect_timeout,
                                            base::SystemClock(), OwnMetrics());
  if (!connection.ok()) GiveUp(connection.status().ToString());
  return *std::move(connection);
}

}  // namespace

MariaDbServer& MariaDbServer::Shared() {
  static MariaDbServer* const shared = [] {
    const bool given = !Environment("HOLDFAST_TEST_MYSQL_SOCKET").empty() ||
                       !Environment("HOLDFAST_TEST_MYSQL_HOST").empty();
    auto* server = given ? new MariaDbServer(External{}) : new MariaDbServer();
    if (!given) {
      server->Start();
      // Not by a destructor: tests may still run in other threads when those begin.
      atexit([] { Shared().End(SIGKILL); });
      atexit([] { std::filesystem::remove_all(Shared().folder_); });
    }
    return server;
  }();
  return *shared;
}

MariaDbServer::MariaDbServer(External) : is_external_(true) {
  socket_endpoint_.socket = Environment("HOLDFAST_TEST_MYSQL_SOCKET");
  tcp_endpoint_.host = Environment("HOLDFAST_TEST_MYSQL_HOST");
  if (tcp_endpoint_.host.empty()) tcp_endpoint_.host = "127.0.0.1";
  if (!absl::SimpleAtoi(Environment("HOLDFAST_TEST_MYSQL_PORT"), &tcp_endpoint_.port)) {
    tcp_endpoint_.port = 3306;
  }
  if (const std::string user = Environment("HOLDFAST_TEST_MYSQL_USER"); !user.empty()) user_ = user;
  password_ = Environment("HOLDFAST_TEST_MYSQL_PASSWORD");
  if (socket_endpoint_.socket.empty()) socket_endpoint_ = tcp_endpoint_;
}

MariaDbServer::MariaDbServer(std::vector<std::string> arguments)
    : arguments_(std::move(arguments)) {
  std::string pattern = (std::filesystem::temp_directory_path() / "holdfast-db-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) GiveUp("no temporary folder");
  folder_ = pattern;
  // Of its own: a server that starts removes the temporary tables that it finds, whoever's they
  // are.
  std::filesystem::create_directory(folder_ + "/tmp");
  socket_endpoint_.socket = folder_ + "/s";
  tcp_endpoint_.host = "127.0.0.1";
}

MariaDbServer::~MariaDbServer() {
  if (is_external_) return;
  End(SIGKILL);
  std::error_code ignored;  // What is left in a temporary folder harms nobody.
  std::filesystem::remove_all(folder_, ignored);
}

void MariaDbServer::Start() {
  if (is_external_ || pid_ != 0) return;
  if (!std::filesystem::exists(folder_ + "/data")) {
    const pid_t installer = Spawn(
        {"env", "TMPDIR=" + folder_ + "/tmp", "mariadb-install-db", "--no-defaults", "--user=root",
         "--datadir=" + folder_ + "/data", "--auth-root-authentication-method=normal",
         "--skip-test-db", "--innodb-log-file-size=48M"},
        folder_ + "/install.log");
    int result = 0;
    if (waitpid(installer, &result, 0) != installer || result != 0) {
      GiveUp("mariadb-install-db failed: " + FileText(folder_ + "/install.log"));
    }
  }
  Launch();
  AwaitAnswer();
}

void MariaDbServer::Launch() {
  if (tcp_endpoint_.port == mysql::Endpoint().port) tcp_endpoint_.port = FreePort();
  std::vector<std::string> command = {"mariadbd",
                                      "--no-defaults",
                                      "--user=root",
                                      "--datadir=" + folder_ + "/data",
                                      "--socket=" + socket_endpoint_.socket,
                                      absl::StrCat("--port=", tcp_endpoint_.port),
                                      "--bind-address=127.0.0.1",
                                      "--tmpdir=" + folder_ + "/tmp",
                                      "--skip-name-resolve",
                                      "--pid-file=" + folder_ + "/pid",
                                      "--log-error=" + folder_ + "/error.log",
                                      "--innodb-buffer-pool-size=64M",
                                      "--innodb-log-file-size=48M",
                                      "--innodb-print-all-deadlocks=ON"};
  command.insert(command.end(), arguments_.begin(), arguments_.end());
  pid_ = Spawn(command, folder_ + "/output.log");
}

void MariaDbServer::AwaitAnswer() {
  mysql::DatabaseOptions options = Options("");
  base::Clock& clock = base::SystemClock();
  const absl::Time end = clock.Steady() + kStartMax;
  absl::Status last;
  while (clock.Steady() < end) {
    auto connection =
        mysql::Connection::Open(options, endpoint(), options.connect_timeout, clock, OwnMetrics());
    // A server that is read-only on purpose has started as well.
    if (connection.ok() || mysql::VerdictOf(connection.status()) == flow::Verdict::kElsewhere) {
      return;
    }
    last = connection.status();
    int result = 0;
    if (waitpid(pid_, &result, WNOHANG) == pid_) {
      GiveUp("mariadbd ended: " + FileText(folder_ + "/error.log"));
    }
    clock.Sleep(absl::Milliseconds(20));
  }
  GiveUp("mariadbd does not answer: " + last.ToString() + FileText(folder_ + "/error.log"));
}

void MariaDbServer::End(int signal) {
  if (is_external_ || pid_ == 0) return;
  kill(pid_, signal);
  int result = 0;
  waitpid(pid_, &result, 0);
  pid_ = 0;
}

void MariaDbServer::Stop() { End(SIGTERM); }

void MariaDbServer::Kill() { End(SIGKILL); }

mysql::Endpoint MariaDbServer::endpoint() const { return socket_endpoint_; }

mysql::Endpoint MariaDbServer::tcp_endpoint() const { return tcp_endpoint_; }

mysql::DatabaseOptions MariaDbServer::Options(absl::string_view database) const {
  mysql::DatabaseOptions options;
  options.endpoints = {endpoint()};
  options.database = std::string(database);
  options.user = user_;
  options.password = password_;
  options.lock_wait_timeout = absl::Seconds(1);
  return options;
}

std::string MariaDbServer::NewEmptyDatabase(absl::string_view name) {
  const std::string database = absl::StrCat("t_", getpid(), "_", ++databases_, "_", name);
  Sql("", absl::StrCat("DROP DATABASE IF EXISTS ", database));
  Sql("", absl::StrCat("CREATE DATABASE ", database, " CHARACTER SET utf8mb4"));
  return database;
}

std::string MariaDbServer::NewDatabase(absl::string_view name) {
  const std::string database = NewEmptyDatabase(name);
  const absl::Status migrated = mysql::Migrate(Options(database), "+00:00", base::SystemClock(),
                                               OwnMetrics(), [](absl::string_view) {});
  if (!migrated.ok()) GiveUp(migrated.ToString());
  return database;
}

std::vector<mysql::ResultRow> MariaDbServer::Sql(absl::string_view database,
                                                 absl::string_view sql) {
  const mysql::DatabaseOptions options = Options(database);
  auto connection = Connect(options);
  mysql::Statement statement;
  statement.table = "test";
  statement.head = std::string(sql);
  static constexpr absl::string_view kAnswering[] = {"SELECT", "SHOW", "WITH"};
  for (const absl::string_view verb : kAnswering) {
    if (!absl::StartsWithIgnoreCase(sql, verb)) continue;
    auto rows = connection->Query(statement, mysql::Rows());
    if (!rows.ok()) GiveUp(absl::StrCat(rows.status().ToString(), " of: ", sql));
    return *std::move(rows);
  }
  const absl::Status done = connection->Run(sql);
  if (!done.ok()) GiveUp(absl::StrCat(done.ToString(), " of: ", sql));
  return {};
}

void MariaDbServer::SqlFile(absl::string_view database, const std::string& path) {
  std::ifstream file(path);
  if (!file) GiveUp("cannot open " + path);
  std::string line;
  std::string statement;
  while (std::getline(file, line)) {
    if (absl::StartsWith(line, "--")) continue;
    absl::StrAppend(&statement, line, "\n");
    if (!absl::EndsWith(line, ";")) continue;
    statement.resize(statement.rfind(';'));
    Sql(database, statement);
    statement.clear();
  }
}

}  // namespace holdfast::test
