// Whatever the network does, a call into the database ends. No time is asserted: without the
// deadlines these tests would never end.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "server/base/clock.h"
#include "server/mysql/connection.h"
#include "server/mysql/errors.h"
#include "tests/support/mariadb_server.h"
#include "tests/support/status_matchers.h"

namespace holdfast::mysql {
namespace {

using flow::Verdict;
using test::MariaDbServer;

// Stands between a client and a server: passes everything on, or lets the server's answers come a
// byte at a time, or not at all.
class Gate {
 public:
  enum class Mode { kOpen, kTrickle, kSilent };

  explicit Gate(const Endpoint& server) : server_(server), listener_(NewSocket()) {
    sockaddr_in address = Address("127.0.0.1", 0);
    socklen_t length = sizeof(address);
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), length), 0);
    EXPECT_EQ(listen(listener_, 8), 0);
    getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length);
    endpoint_ = {"127.0.0.1", ntohs(address.sin_port), ""};
    thread_ = std::thread([this] { Run(); });
  }
  ~Gate() {
    ended_ = true;
    thread_.join();
    close(listener_);
  }

  void Set(Mode mode) { mode_ = mode; }
  Endpoint endpoint() const { return endpoint_; }

 private:
  static int NewSocket() { return socket(AF_INET, SOCK_STREAM, 0); }
  static sockaddr_in Address(const std::string& host, int port) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    inet_pton(AF_INET, host.c_str(), &address.sin_addr);
    return address;
  }

  // One connection after the other.
  void Run() {
    while (!ended_) {
      pollfd wait = {listener_, POLLIN, 0};
      if (poll(&wait, 1, 10) != 1) continue;
      const int client = accept(listener_, nullptr, nullptr);
      const int server = NewSocket();
      const sockaddr_in address = Address(server_.host, server_.port);
      EXPECT_EQ(connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
      while (!ended_ && Relay(client, server)) {
      }
      close(client);
      close(server);
    }
  }

  // Passes on what there is. False once a side has closed.
  bool Relay(int client, int server) {
    const Mode mode = mode_;
    std::array<pollfd, 2> waits = {{{client, POLLIN, 0}, {server, POLLIN, 0}}};
    if (mode != Mode::kOpen) poll(nullptr, 0, 10);  // The rate of the trickle.
    if (poll(waits.data(), waits.size(), 10) < 1) return true;
    std::array<char, 4096> bytes;
    if (waits[0].revents != 0) {
      const ssize_t got = read(client, bytes.data(), bytes.size());
      if (got <= 0 || write(server, bytes.data(), static_cast<size_t>(got)) != got) return false;
    }
    if (waits[1].revents != 0 && mode != Mode::kSilent) {
      const ssize_t got = read(server, bytes.data(), mode == Mode::kTrickle ? 1 : bytes.size());
      if (got <= 0 || send(client, bytes.data(), static_cast<size_t>(got), MSG_NOSIGNAL) != got) {
        return false;
      }
    }
    return true;
  }

  const Endpoint server_;
  const int listener_;
  Endpoint endpoint_;
  std::atomic<Mode> mode_{Mode::kOpen};
  std::atomic<bool> ended_{false};
  std::thread thread_;
};

class DeadlineTest : public ::testing::Test {
 protected:
  DeadlineTest() : gate_(MariaDbServer::Shared().tcp_endpoint()) {
    options_ = MariaDbServer::Shared().Options("");
    options_.endpoints = {gate_.endpoint()};
    options_.query_timeout = absl::Seconds(1);
    options_.connect_timeout = absl::Seconds(2);
  }
  absl::StatusOr<std::unique_ptr<Connection>> Open() {
    return Connection::Open(options_, options_.endpoints[0], options_.connect_timeout,
                            base::SystemClock(), metrics_);
  }
  // An answer that takes minutes at the gate's rate.
  static absl::Status AskMuch(Connection& session) {
    Statement statement;
    statement.table = "t";
    statement.head = "SELECT REPEAT('x', 100000)";
    return session.Query(statement, Rows()).status();
  }

  Gate gate_;
  DatabaseOptions options_;
  metrics::Metrics metrics_{"test"};
};

TEST_F(DeadlineTest, AnAnswerThatTricklesEndsAtTheDeadlineOfTheCall) {
  options_.ssl_mode = SslMode::kDisabled;  // With TLS it ends later: see link.h.
  auto session = Open();
  ASSERT_OK(session);
  ASSERT_OK(AskMuch(**session));
  gate_.Set(Gate::Mode::kTrickle);
  EXPECT_EQ(VerdictOf(AskMuch(**session)), Verdict::kReconnect);
  EXPECT_TRUE((*session)->is_lost());
}

TEST_F(DeadlineTest, AnAnswerThatNeverComesIsReconnectAndToCommitUnknown) {
  auto session = Open();
  ASSERT_OK(session);
  gate_.Set(Gate::Mode::kSilent);
  EXPECT_EQ(VerdictOf((*session)->Begin()), Verdict::kReconnect);

  gate_.Set(Gate::Mode::kOpen);
  session = absl::UnavailableError("closed, for the gate takes one at a time");
  session = Open();
  ASSERT_OK(session);
  ASSERT_OK((*session)->Begin());
  gate_.Set(Gate::Mode::kSilent);
  EXPECT_EQ(VerdictOf((*session)->Commit()), Verdict::kUnknown);
}

TEST_F(DeadlineTest, AServerThatAcceptsAndSaysNothingIsGivenUp) {
  gate_.Set(Gate::Mode::kSilent);
  EXPECT_EQ(VerdictOf(Open().status()), Verdict::kReconnect);
}

TEST_F(DeadlineTest, AHandshakeThatTricklesIsGivenUp) {
  // The greeting alone has about a hundred bytes.
  options_.connect_timeout = absl::Milliseconds(200);
  gate_.Set(Gate::Mode::kTrickle);
  EXPECT_EQ(VerdictOf(Open().status()), Verdict::kReconnect);
}

}  // namespace
}  // namespace holdfast::mysql
