// A private MariaDB for tests: its own folder, socket and port, default durability.

#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

#include "server/mysql/pool.h"
#include "server/mysql/session.h"

namespace holdfast::test {

// Not thread-safe, but for endpoint() and Options(). Anything that goes wrong ends the process with
// the server's own words: there is nothing to test without it.
class MariaDbServer {
 public:
  // Started when first asked for, and shared by all tests of this process. If the environment has
  // HOLDFAST_TEST_MYSQL_SOCKET, or HOLDFAST_TEST_MYSQL_HOST and _PORT (and _USER, _PASSWORD), it is
  // that server, which may be a MySQL: then it is neither started nor stopped nor killed here.
  static MariaDbServer& Shared();

  // One of the test's own, to be killed or misconfigured. `arguments` are added to the server's.
  explicit MariaDbServer(std::vector<std::string> arguments = {});
  ~MariaDbServer();  // Stops it and removes its folder.
  MariaDbServer(const MariaDbServer&) = delete;
  MariaDbServer& operator=(const MariaDbServer&) = delete;

  // Start returns once the server takes connections. After Kill or Stop it may be started again, on
  // the same data, socket and port.
  void Start();
  void Stop();  // SIGTERM: as an operator does it.
  void Kill();  // SIGKILL: as the machine does it.

  bool is_external() const { return is_external_; }

  mysql::Endpoint endpoint() const;      // By socket.
  mysql::Endpoint tcp_endpoint() const;  // By address, for what sits in between.

  // How to reach `database` there, with short time-outs. "" for none.
  mysql::DatabaseOptions Options(absl::string_view database) const;

  // A database with a name like `name` that is new: empty, or with all of sql/ applied.
  std::string NewEmptyDatabase(absl::string_view name);
  std::string NewDatabase(absl::string_view name);

  // Runs one statement, on a connection of its own.
  std::vector<mysql::ResultRow> Sql(absl::string_view database, absl::string_view sql);
  // Runs the statements of a file, each ended by a semicolon at the end of a line.
  void SqlFile(absl::string_view database, const std::string& path);

 private:
  struct External {};
  explicit MariaDbServer(External external);

  void Launch();
  void AwaitAnswer();
  void End(int signal);

  bool is_external_ = false;
  std::vector<std::string> arguments_;
  std::string folder_;
  mysql::Endpoint socket_endpoint_;
  mysql::Endpoint tcp_endpoint_;
  std::string user_ = "root";
  std::string password_;
  pid_t pid_ = 0;
  int databases_ = 0;
};

}  // namespace holdfast::test
