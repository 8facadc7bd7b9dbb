// The pool, on real servers.

#include "server/mysql/pool.h"

#include <fstream>
#include <memory>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "server/base/clock.h"
#include "server/mysql/connection.h"
#include "server/mysql/errors.h"
#include "tests/support/fake_clock.h"
#include "tests/support/mariadb_server.h"
#include "tests/support/status_matchers.h"

namespace holdfast::mysql {
namespace {

using flow::BreakerState;
using flow::Verdict;
using test::MariaDbServer;
using test::StatusIs;
using ::testing::HasSubstr;

constexpr absl::Duration kPatience = absl::Seconds(30);

uint64_t IdOf(const Rented& rented) {
  return static_cast<const Connection&>(*rented).facts().connection_id;
}

class PoolTest : public ::testing::Test {
 protected:
  PoolTest() : server_(MariaDbServer::Shared()), database_(server_.NewEmptyDatabase("pool")) {
    options_ = server_.Options(database_);
    options_.pool_size = 2;
    options_.max_overflow = 1;
  }

  absl::StatusOr<Rented> Rent(Pool& pool) { return pool.Rent(clock_.Steady() + kPatience); }
  // Waits, in real time, until something in another thread has come about.
  template <typename F>
  void Until(F condition) {
    const absl::Time end = base::SystemClock().Steady() + kPatience;
    while (!condition()) {
      ASSERT_LT(base::SystemClock().Steady(), end) << "never came about";
      base::SystemClock().Sleep(absl::Milliseconds(1));
    }
  }
  void CreateCounter() {
    server_.Sql(database_, "CREATE TABLE t (id INT PRIMARY KEY, n INT NOT NULL) ENGINE=InnoDB");
    server_.Sql(database_, "INSERT INTO t VALUES (1, 0)");
  }
  static absl::Status Increment(Session& session) {
    Statement statement;
    statement.table = "t";
    statement.head = "UPDATE t SET n = n + 1 WHERE id = 1";
    return session.Execute(statement, Rows(), 0, 1).status();
  }
  static void KillOnServer(MariaDbServer& server, uint64_t id) {
    server.Sql("", absl::StrCat("KILL ", id));
  }

  MariaDbServer& server_;
  const std::string database_;
  DatabaseOptions options_;
  test::FakeClock clock_;
  metrics::Metrics metrics_{"test"};
};

TEST_F(PoolTest, NeverMoreThanItsSizeAndOverflowAreOpen) {
  Pool pool(options_, clock_, metrics_);
  EXPECT_EQ(metrics_.pool_limit->Value(), 3);
  {
    auto a = Rent(pool);
    auto b = Rent(pool);
    auto c = Rent(pool);
    ASSERT_OK(a);
    ASSERT_OK(b);
    ASSERT_OK(c);
    EXPECT_EQ(pool.Status().in_use, 3u);
    EXPECT_THAT(pool.Rent(clock_.Steady()),
                StatusIs(absl::StatusCode::kDeadlineExceeded, HasSubstr("all 3 are in use")));
    EXPECT_EQ(metrics_.pool_timeouts->Value(), 1);
  }
  // The overflow is closed when it comes back.
  EXPECT_EQ(pool.Status().in_use, 0u);
  EXPECT_EQ(pool.Status().idle, 2u);
}

TEST_F(PoolTest, AConnectionThatCameBackIsLentAgain) {
  Pool pool(options_, clock_, metrics_);
  const uint64_t first = IdOf(*Rent(pool));
  EXPECT_EQ(IdOf(*Rent(pool)), first);
}

TEST_F(PoolTest, ACondemnedConnectionIsNotLentAgain) {
  Pool pool(options_, clock_, metrics_);
  uint64_t first = 0;
  {
    auto rented = Rent(pool);
    ASSERT_OK(rented);
    first = IdOf(*rented);
    rented->Condemn();
  }
  EXPECT_EQ(pool.Status().idle, 0u);
  EXPECT_NE(IdOf(*Rent(pool)), first);
}

TEST_F(PoolTest, AnOpenTransactionDoesNotReachTheNextRenter) {
  CreateCounter();
  Pool pool(options_, clock_, metrics_);
  {
    auto rented = Rent(pool);
    ASSERT_OK(rented);
    ASSERT_OK((*rented)->Begin());
    ASSERT_OK(Increment(**rented));
  }
  auto rented = Rent(pool);
  ASSERT_OK((*rented)->Begin());
  ASSERT_OK(Increment(**rented));
  ASSERT_OK((*rented)->Commit());
  EXPECT_EQ(server_.Sql(database_, "SELECT n FROM t")[0][0], "1");
}

TEST_F(PoolTest, WaitersAreServedInTheOrderInWhichTheyCame) {
  options_.pool_size = 1;
  options_.max_overflow = 0;
  Pool pool(options_, clock_, metrics_);
  auto held = std::make_unique<Rented>(*Rent(pool));
  absl::Mutex mu;
  std::vector<int> order;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      auto rented = Rent(pool);
      ASSERT_OK(rented);
      absl::MutexLock lock(&mu);
      order.push_back(i);
    });
    Until([&] { return pool.Status().waiting == static_cast<uint64_t>(i) + 1; });
  }
  held.reset();
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(order, ::testing::ElementsAre(0, 1, 2, 3));
}

TEST_F(PoolTest, AWaiterGivesUpAtItsDeadlineOrAtThePoolsTimeoutWhicheverIsSooner) {
  options_.pool_size = 1;
  options_.max_overflow = 0;
  options_.pool_timeout = absl::Seconds(10);
  Pool pool(options_, clock_, metrics_);
  auto held = Rent(pool);
  for (const absl::Duration patience : {absl::Seconds(2), absl::Seconds(3600)}) {
    const absl::Duration sooner = std::min(patience, options_.pool_timeout);
    const absl::Time start = clock_.Steady();
    absl::Status status;
    std::thread thread([&] { status = pool.Rent(start + patience).status(); });
    Until([&] {
      clock_.Advance(absl::Milliseconds(100));
      return metrics_.pool_timeouts->Value() == (patience == sooner ? 1 : 2);
    });
    thread.join();
    EXPECT_GE(clock_.Steady() - start, sooner);
    EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  }
}

TEST_F(PoolTest, ClosingWakesThoseWhoWait) {
  options_.pool_size = 1;
  options_.max_overflow = 0;
  Pool pool(options_, clock_, metrics_);
  auto held = Rent(pool);
  absl::Status status;
  std::thread thread([&] { status = Rent(pool).status(); });
  Until([&] { return pool.Status().waiting == 1; });
  pool.Close();
  thread.join();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(Rent(pool).status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(PoolTest, AnOldConnectionIsReplacedALittleBeforeItsTime) {
  options_.pool_recycle = absl::Seconds(50);
  Pool pool(options_, clock_, metrics_);
  const uint64_t first = IdOf(*Rent(pool));
  clock_.Advance(absl::Seconds(44));  // Nine tenths are 45.
  EXPECT_EQ(IdOf(*Rent(pool)), first);
  clock_.Advance(absl::Seconds(6));
  EXPECT_NE(IdOf(*Rent(pool)), first);
}

TEST_F(PoolTest, ADeadConnectionIsFoundByThePingBeforeItIsLent) {
  Pool pool(options_, clock_, metrics_);
  const uint64_t first = IdOf(*Rent(pool));
  KillOnServer(server_, first);
  clock_.Advance(options_.pre_ping_after);
  auto rented = Rent(pool);
  ASSERT_OK(rented);
  EXPECT_NE(IdOf(*rented), first);
  EXPECT_OK((*rented)->Begin());
}

TEST_F(PoolTest, OneLostConnectionMakesTheIdleOnesSuspect) {
  CreateCounter();
  Pool pool(options_, clock_, metrics_);
  {
    auto a = Rent(pool);
    auto b = Rent(pool);
    KillOnServer(server_, IdOf(*a));
    KillOnServer(server_, IdOf(*b));
    EXPECT_EQ(VerdictOf(Increment(**a)), Verdict::kReconnect);
  }
  // They came back in the reverse order: b lies idle and looks sound.
  auto rented = Rent(pool);
  ASSERT_OK(rented);
  EXPECT_OK(Increment(**rented));
}

TEST_F(PoolTest, AConnectionHeldForLongIsReportedOnce) {
  Pool pool(options_, clock_, metrics_);
  auto held = Rent(pool);
  pool.Status();
  EXPECT_EQ(metrics_.pool_held_too_long->Value(), 0);
  clock_.Advance(options_.held_too_long);
  pool.Status();
  pool.Status();
  EXPECT_EQ(metrics_.pool_held_too_long->Value(), 1);
}

TEST_F(PoolTest, KillFreesTheLocksOfATransactionThatIsLost) {
  CreateCounter();
  Pool pool(options_, clock_, metrics_);
  auto lost = Rent(pool);
  ASSERT_OK((*lost)->Begin());
  ASSERT_OK(Increment(**lost));

  auto blocked = Rent(pool);
  ASSERT_OK((*blocked)->Begin());
  EXPECT_EQ(ErrorOf(Increment(**blocked))->error_number, 1205u);
  ASSERT_OK((*blocked)->Rollback());

  pool.Kill(**lost);
  lost->Condemn();
  ASSERT_OK((*blocked)->Begin());
  EXPECT_OK(Increment(**blocked));
  ASSERT_OK((*blocked)->Commit());
  EXPECT_EQ(server_.Sql(database_, "SELECT n FROM t")[0][0], "1");
}

TEST_F(PoolTest, AKillForWhichThereIsNoRoomIsDoneByTheNextRenter) {
  CreateCounter();
  options_.pool_size = 2;
  options_.max_overflow = 0;
  Pool pool(options_, clock_, metrics_);
  auto lost = Rent(pool);
  ASSERT_OK(lost);
  ASSERT_OK((*lost)->Begin());
  ASSERT_OK(Increment(**lost));
  {
    auto other = Rent(pool);
    ASSERT_OK(other);
    pool.Kill(**lost);
  }
  // While the lost one is still out.
  auto next = Rent(pool);
  ASSERT_OK(next);
  EXPECT_OK(Increment(**next));
  lost->Condemn();
}

TEST_F(PoolTest, AWrongPasswordOpensTheBreakerAndItsReasonIsKept) {
  options_.user = "nobody_of_that_name";
  options_.breaker.failure_threshold = 2;
  options_.breaker.min_throughput = 2;
  options_.breaker.recovery_timeout = absl::Seconds(5);
  Pool pool(options_, clock_, metrics_);
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT(Rent(pool),
                StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("error 1045")));
  }
  EXPECT_EQ(pool.Circuit().state, BreakerState::kOpen);
  EXPECT_EQ(metrics_.breaker_state->Value(), 2);
  const uint64_t tries = metrics_.pool_create_seconds->Collect().histogram.sample_count;
  const absl::Status refused = Rent(pool).status();
  EXPECT_THAT(refused, StatusIs(absl::StatusCode::kFailedPrecondition,
                                HasSubstr("tried again in 5s; last: connect to")));
  EXPECT_EQ(VerdictOf(refused), Verdict::kOutage);
  EXPECT_EQ(metrics_.pool_create_seconds->Collect().histogram.sample_count, tries);
  EXPECT_FALSE(pool.Status().failure.ok());
  pool.ResetCircuit();
  EXPECT_EQ(pool.Circuit().state, BreakerState::kClosed);
}

TEST_F(PoolTest, AfterTheRecoveryTimeOneTryClosesTheBreaker) {
  const std::string path = ::testing::TempDir() + "/pool_password_" + database_;
  options_.breaker.failure_threshold = 1;
  options_.breaker.min_throughput = 1;
  const std::string password = options_.password;
  options_.password.clear();
  options_.password_file = path;
  Pool pool(options_, clock_, metrics_);
  EXPECT_FALSE(Rent(pool).ok());
  EXPECT_EQ(pool.Circuit().state, BreakerState::kOpen);
  std::ofstream(path) << password;
  EXPECT_FALSE(Rent(pool).ok());
  clock_.Advance(options_.breaker.recovery_timeout);
  EXPECT_OK(Rent(pool));
  EXPECT_EQ(pool.Circuit().state, BreakerState::kClosed);
  EXPECT_OK(pool.Status().failure);
  std::remove(path.c_str());
}

TEST_F(PoolTest, AnEndpointThatCannotBeReachedIsPassedOver) {
  options_.endpoints.insert(options_.endpoints.begin(), Endpoint{"", 3306, "/nonexistent/socket"});
  Pool pool(options_, clock_, metrics_);
  auto rented = Rent(pool);
  ASSERT_OK(rented);
  EXPECT_EQ(pool.Status().endpoint, options_.endpoints[1].ToString());
  EXPECT_EQ(pool.Circuit().failures, 0);
}

TEST_F(PoolTest, ManyThreadsShareAFewConnections) {
  CreateCounter();
  Pool pool(options_, base::SystemClock(), metrics_);
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 25; ++round) {
        auto rented = pool.Rent(base::SystemClock().Steady() + kPatience);
        ASSERT_OK(rented);
        ASSERT_OK(Increment(**rented));
        if (round % 10 == 0) rented->Condemn();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(server_.Sql(database_, "SELECT n FROM t")[0][0], "200");
  EXPECT_EQ(pool.Status().in_use, 0u);
}

TEST_F(PoolTest, AConnectionThatMetTheServersLimitIsReplacedAsTheLimitMayHaveBeenRaised) {
  Pool pool(options_, clock_, metrics_);
  {
    auto rented = Rent(pool);
    ASSERT_OK(rented);
    Statement select;
    select.table = "none";
    select.head = "SELECT ?";
    select.columns = {ColumnType::kBinary};
    const std::string large((*rented)->statement_bytes_max(), 'x');
    const Rows rows = {1, {absl::string_view(large)}};
    EXPECT_EQ(ErrorOf((*rented)->Execute(select, rows, 0, 1).status())->error_number, 1153u);
  }
  EXPECT_EQ(pool.Status().idle, 0u);
  EXPECT_OK(Rent(pool));
  EXPECT_EQ(pool.Status().idle, 1u);
}

// Servers of their own, that can be misconfigured and killed.

TEST_F(PoolTest, AReadOnlyServerIsPassedOverAndLeftWhenItTurnsReadOnly) {
  MariaDbServer first;
  MariaDbServer second;
  first.Start();
  second.Start();
  for (MariaDbServer* server : {&first, &second}) {
    server->Sql("", "CREATE DATABASE d");
    server->Sql("d", "CREATE TABLE t (id INT PRIMARY KEY, n INT NOT NULL) ENGINE=InnoDB");
    server->Sql("d", "INSERT INTO t VALUES (1, 0)");
    server->Sql("d", "CREATE USER writer IDENTIFIED BY ''");
    server->Sql("d", "GRANT ALL ON d.* TO writer");
  }
  options_ = first.Options("d");
  options_.user = "writer";  // Whom read_only binds, unlike root.
  options_.password.clear();
  options_.endpoints = {first.tcp_endpoint(), second.tcp_endpoint()};
  Pool pool(options_, clock_, metrics_);
  {
    auto a = Rent(pool);
    auto b = Rent(pool);
    ASSERT_OK(a);
    ASSERT_OK(Increment(**a));
    EXPECT_EQ(pool.Status().endpoint, options_.endpoints[0].ToString());
    first.Sql("", "SET GLOBAL read_only = 1");
    const absl::Status refused = Increment(**a);
    EXPECT_EQ(ErrorOf(refused)->error_number, 1290u);
    EXPECT_EQ(VerdictOf(refused), Verdict::kElsewhere);
  }
  EXPECT_EQ(pool.Status().idle, 0u) << "the others are of no use either";
  {
    auto rented = Rent(pool);
    ASSERT_OK(rented);
    EXPECT_OK(Increment(**rented));
    EXPECT_EQ(pool.Status().endpoint, options_.endpoints[1].ToString());
  }

  // A new pool does not even begin there.
  Pool other(options_, clock_, metrics_);
  EXPECT_OK(Rent(other));
  EXPECT_EQ(other.Status().endpoint, options_.endpoints[1].ToString());

  // With nothing but read-only servers there is no session, and it is said why.
  options_.endpoints = {first.tcp_endpoint()};
  Pool none(options_, clock_, metrics_);
  const absl::Status status = Rent(none).status();
  EXPECT_EQ(VerdictOf(status), Verdict::kElsewhere);
  EXPECT_THAT(std::string(status.message()), HasSubstr("read-only"));
}

TEST_F(PoolTest, CommitsThatAreNotDurableAreSeenAndShown) {
  MariaDbServer lax({"--innodb-flush-log-at-trx-commit=2"});
  lax.Start();
  lax.Sql("", "CREATE DATABASE d");
  Pool pool(lax.Options("d"), clock_, metrics_);
  ASSERT_OK(Rent(pool));
  EXPECT_EQ(metrics_.database_durable_commits->Value(), 0);
  EXPECT_THAT(pool.Status().warnings,
              ::testing::ElementsAre(HasSubstr("innodb_flush_log_at_trx_commit is 2")));
}

TEST_F(PoolTest, AServerThatWasKilledAndCameBackIsUsedAgain) {
  MariaDbServer server;
  server.Start();
  server.Sql("", "CREATE DATABASE d");
  server.Sql("d", "CREATE TABLE t (id INT PRIMARY KEY, n INT NOT NULL) ENGINE=InnoDB");
  server.Sql("d", "INSERT INTO t VALUES (1, 0)");
  options_ = server.Options("d");
  options_.breaker.failure_threshold = 1000;
  options_.breaker.min_throughput = 1000;
  Pool pool(options_, clock_, metrics_);
  {
    auto rented = Rent(pool);
    ASSERT_OK(rented);
    ASSERT_OK(Increment(**rented));
    ASSERT_OK((*rented)->Begin());
    ASSERT_OK(Increment(**rented));
    server.Kill();
    const absl::Status lost = (*rented)->Commit();
    EXPECT_EQ(VerdictOf(lost), Verdict::kUnknown);
    pool.Kill(**rented);
  }
  EXPECT_EQ(VerdictOf(Rent(pool).status()), Verdict::kReconnect);
  server.Start();
  auto rented = Rent(pool);
  ASSERT_OK(rented);
  ASSERT_OK(Increment(**rented));
  EXPECT_EQ(server.Sql("d", "SELECT n FROM t")[0][0], "2");
}

}  // namespace
}  // namespace holdfast::mysql
