#include "server/diagnosis/endpoint.h"

#include <cerrno>

#include "gtest/gtest.h"

#include "server/base/clock.h"
#include "server/mysql/errors.h"
#include "tests/support/fake_clock.h"
#include "tests/unit/diagnosis/finds.h"

namespace holdfast::diagnosis {
namespace {

using testing::Not;

EndpointFacts Well() {
  EndpointFacts facts;
  facts.endpoint = {"db", 3306, ""};
  facts.addresses = {"10.0.0.7"};
  facts.tls = "TLSv1.3, TLS_AES_256_GCM_SHA384";
  return facts;
}

EndpointFacts FailedWith(unsigned number, const char* words) {
  EndpointFacts facts = Well();
  mysql::DatabaseError error;
  error.error_number = number;
  error.message = words;
  facts.login = mysql::ToStatus("connect to db:3306", error);
  facts.tls.clear();
  return facts;
}

Findings Judged(const EndpointFacts& facts, bool is_spare = false) {
  Findings findings;
  JudgeEndpoint(facts, mysql::DatabaseOptions(), is_spare, &findings);
  return findings;
}

TEST(EndpointTest, EachStepOfALoginIsACheckOfItsOwn) {
  const Findings findings = Judged(Well());
  EXPECT_THAT(findings, Finds("dns", kOk, "db is 10.0.0.7"));
  EXPECT_THAT(findings, Finds("tcp", kOk, "db:3306"));
  EXPECT_THAT(findings, Finds("tls", kOk, "TLSv1.3"));
  EXPECT_THAT(findings, Finds("login", kOk, "as root"));
}

TEST(EndpointTest, AnUnknownNameIsToldAndTheRestIsSkipped) {
  EndpointFacts facts = Well();
  facts.resolved = absl::NotFoundError("Name or service not known");
  const Findings findings = Judged(facts);
  EXPECT_THAT(findings, Finds("dns", kProblem, "db: Name or service not known"));
  EXPECT_THAT(findings, Finds("dns", kProblem, "MYSQL_HOST"));
  for (const char* later : {"tcp", "tls", "login"}) {
    EXPECT_THAT(findings, Finds(later, kSkipped, "needs dns"));
  }
}

TEST(EndpointTest, ARefusedConnectionIsToldFromSilenceAndFromAnotherService) {
  EndpointFacts facts = FailedWith(2003, "Can't connect");
  facts.dialed = Dialed{Peer::kNobody, ECONNREFUSED, "10.0.0.7"};
  EXPECT_THAT(Judged(facts), Finds("tcp", kProblem, "Connection refused"));
  EXPECT_THAT(Judged(facts), Finds("tcp", kProblem, "MYSQL_PORT"));
  EXPECT_THAT(Judged(facts), Finds("login", kSkipped, "needs tcp"));
  EXPECT_THAT(Judged(facts), Not(Finds("dns", kSkipped, "")));
  facts.dialed = Dialed{Peer::kNobody, ETIMEDOUT, "10.0.0.7"};
  EXPECT_THAT(Judged(facts), Finds("tcp", kProblem, "firewall"));
  facts.dialed = Dialed{Peer::kSilent, 0, "10.0.0.7"};
  EXPECT_THAT(Judged(facts), Finds("tcp", kProblem, "says nothing"));
  facts.dialed = Dialed{Peer::kForeign, 0, "10.0.0.7"};
  EXPECT_THAT(Judged(facts), Finds("tcp", kProblem, "no MySQL or MariaDB"));
}

TEST(EndpointTest, AUnixSocketThatIsNotThereIsTold) {
  EndpointFacts facts = FailedWith(2002, "Can't connect");
  facts.endpoint = {"", 0, "/run/mysqld/mysqld.sock"};
  facts.dialed = Dialed{Peer::kNobody, ENOENT, "/run/mysqld/mysqld.sock"};
  EXPECT_THAT(Judged(facts), Finds("socket", kProblem, "MYSQL_SOCKET"));
  EXPECT_THAT(Judged(facts), Finds("login", kSkipped, "needs socket"));
  EXPECT_THAT(Judged(facts), Not(Finds("dns", kOk, "")));
}

TEST(EndpointTest, TlsThatFailsOrIsNotOfferedIsToldFromAWrongPassword) {
  EXPECT_THAT(Judged(FailedWith(2026, "certificate verify failed")),
              Finds("tls", kProblem, "certificate verify failed"));
  EXPECT_THAT(Judged(FailedWith(0, "")), Finds("tls", kProblem, "MYSQL_SSL_CA"));
  const Findings denied = Judged(FailedWith(1045, "Access denied (using password: NO)"));
  EXPECT_THAT(denied, Finds("login", kProblem, "using password: NO"));
  EXPECT_THAT(denied, Finds("login", kProblem, "MYSQL_PASSWORD"));
}

TEST(EndpointTest, AMissingDatabaseAndALackOfConnectionsAreTold) {
  EXPECT_THAT(Judged(FailedWith(1049, "Unknown database")),
              Finds("login", kProblem, "MYSQL_DATABASE (\"gateway_db\")"));
  EXPECT_THAT(Judged(FailedWith(1040, "Too many connections")),
              Finds("login", kProblem, "max_connections"));
}

TEST(EndpointTest, AnUnreadablePasswordFileIsTold) {
  EndpointFacts facts = Well();
  facts.password = absl::FailedPreconditionError("the password file /x cannot be opened");
  EXPECT_THAT(Judged(facts), Finds("login", kProblem, "/x cannot be opened"));
}

TEST(EndpointTest, ClearTextAcrossANetworkIsAWarningAndOnThisMachineIsNot) {
  EndpointFacts facts = Well();
  facts.tls.clear();
  EXPECT_THAT(Judged(facts), Finds("tls", kWarning, "not encrypted"));
  facts.endpoint.host = "127.0.0.1";
  EXPECT_EQ(WorstOf(Judged(facts)), kOk);
}

TEST(EndpointTest, WhereAnotherServerDoesTheWorkAFailureIsAWarning) {
  EXPECT_THAT(Judged(FailedWith(1045, "Access denied"), true), Finds("login", kWarning, ""));
}

TEST(NetworkTest, AGreetingIsToldFromWhatOthersSay) {
  EXPECT_TRUE(
      IsGreeting(absl::string_view("\x4a\0\0\0\x0a"
                                   "5.5.5",
                                   10)));
  EXPECT_TRUE(IsGreeting(absl::string_view("\x17\0\0\0\xff\x10\x04", 7)));
  EXPECT_FALSE(IsGreeting("SSH-2.0-OpenSSH_9.2"));
  EXPECT_FALSE(IsGreeting(""));
}

TEST(NetworkTest, ASocketThatIsNotThereIsToldByTheSystemsNumber) {
  const auto address = SocketAddress("/nowhere/at/all");
  ASSERT_TRUE(address.ok());
  const Dialed dialed = Dial(*address, absl::Seconds(5), base::SystemClock());
  EXPECT_EQ(dialed.peer, Peer::kNobody);
  EXPECT_EQ(dialed.error_number, ENOENT);
  EXPECT_FALSE(SocketAddress(std::string(200, 'x')).ok());
}

TEST(NetworkTest, ANumberNeedsNoNameService) {
  const auto addresses = Resolve("127.0.0.1", 3306, absl::Seconds(30), base::SystemClock());
  ASSERT_TRUE(addresses.ok());
  EXPECT_EQ(addresses->front().text, "127.0.0.1");
}

}  // namespace
}  // namespace holdfast::diagnosis
