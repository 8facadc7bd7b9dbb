#include "server/admin/http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/admin/absent_database.h"
#include "tests/unit/admin/fake_daemon_view.h"

namespace holdfast::admin {
namespace {

using test::StatusIs;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

TEST(HttpAddressTest, IsANumericAddressWithAPort) {
  EXPECT_EQ(ParseHttpAddress("0.0.0.0:9464")->ToString(), "0.0.0.0:9464");
  EXPECT_EQ(ParseHttpAddress(":0")->ToString(), "0.0.0.0:0");
  EXPECT_EQ(ParseHttpAddress("[::]:9464")->ToString(), "[::]:9464");
  for (const char* bad : {"", "9464", "localhost:9464", "0.0.0.0:", "0.0.0.0:65536", "::1:9464",
                          "0.0.0.0:9464,1.1.1.1:80", "0.0.0.0:80s"}) {
    EXPECT_EQ(ParseHttpAddress(bad).status().code(), absl::StatusCode::kInvalidArgument) << bad;
  }
}

class HttpServerTest : public testing::Test {
 protected:
  HttpServerTest() {
    HttpOptions options;
    options.listen = {"127.0.0.1", 0};
    auto server = HttpServer::Start(options, pages_);
    EXPECT_OK(server);
    server_ = *std::move(server);
  }

  // Sends `request` and returns all of the answer.
  std::string Exchange(const std::string& request) const {
    const int connection = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    name.sin_port = htons(static_cast<uint16_t>(server_->address().port));
    const timeval patience{10, 0};
    ::setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    EXPECT_EQ(::connect(connection, reinterpret_cast<sockaddr*>(&name), sizeof name), 0);
    EXPECT_EQ(::send(connection, request.data(), request.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(request.size()));
    std::string answer;
    char buffer[4096];
    ssize_t count = 0;
    while ((count = ::recv(connection, buffer, sizeof buffer, 0)) > 0) {
      answer.append(buffer, static_cast<size_t>(count));
    }
    ::close(connection);
    return answer;
  }
  std::string Get(const std::string& path, const std::string& method = "GET") const {
    return Exchange(absl::StrCat(method, " ", path, " HTTP/1.1\r\nHost: x\r\n\r\n"));
  }

  test::FakeDaemonView daemon_;
  metrics::Metrics metrics_{"test"};
  test::FakeClock clock_;
  test::AbsentDatabase database_;
  Pages pages_{daemon_, database_, metrics_, clock_};
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, ThePortThatWasFoundIsTold) { EXPECT_GT(server_->address().port, 0); }

TEST_F(HttpServerTest, APortThatIsTakenIsAnError) {
  HttpOptions options;
  options.listen = server_->address();
  EXPECT_THAT(HttpServer::Start(options, pages_),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr(options.listen.ToString())));
}

TEST_F(HttpServerTest, WhoWantsNoHtmlIsToldWhatIsHere) {
  for (const std::string& answer :
       {Get("/"), Exchange("GET / HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n"), Get("/help")}) {
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
    EXPECT_THAT(answer, HasSubstr("Content-Type: text/plain"));
    EXPECT_THAT(answer, HasSubstr("Content-Security-Policy: default-src 'none'"));
    for (const char* path : {"/livez", "/readyz", "/health", "/metrics", "/api/v1/status",
                             "/api/v1/history", "/api/v1/circuits", "/api/v1/quarantine"}) {
      EXPECT_THAT(answer, HasSubstr(absl::StrCat("\n", path, " ")));
      EXPECT_THAT(Get(path), Not(StartsWith("HTTP/1.1 404"))) << path;
    }
  }
}

TEST_F(HttpServerTest, ABrowserGetsAPageThatMayLoadNothing) {
  const std::string answer =
      Exchange("GET / HTTP/1.1\r\nHost: x\r\nAccept: text/html,*/*;q=0.8\r\n\r\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, HasSubstr("Content-Type: text/html; charset=utf-8\r\n"));
  EXPECT_THAT(answer, HasSubstr("\r\nVary: Accept\r\n"));
  EXPECT_THAT(answer, HasSubstr("\r\nContent-Security-Policy: default-src 'none'; script-src "
                                "'sha256-"));
  EXPECT_THAT(answer, Not(HasSubstr("unsafe-inline")));
  EXPECT_THAT(answer, testing::EndsWith("</html>\n"));
  // Put together: neither placeholders nor files beside it.
  EXPECT_THAT(answer, Not(HasSubstr("{{s")));
  EXPECT_THAT(answer, Not(HasSubstr("src=")));
  EXPECT_THAT(answer, Not(HasSubstr("rel=\"stylesheet\"")));
}

TEST_F(HttpServerTest, PrometheusGetsItsMetrics) {
  const std::string answer = Get("/metrics");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, HasSubstr("Content-Type: text/plain; version=0.0.4"));
  EXPECT_THAT(answer, HasSubstr("holdfast_build_info"));
}

TEST_F(HttpServerTest, TheStatusIsJsonWithEveryField) {
  const std::string answer = Get("/api/v1/status");
  EXPECT_THAT(answer, HasSubstr("Content-Type: application/json"));
  EXPECT_THAT(answer, HasSubstr("\"writer_id\": \"writer-7\""));
  EXPECT_THAT(answer, HasSubstr("\"quarantined\": \"0\""));
}

TEST_F(HttpServerTest, LiveMeansThatTheListenerAnswers) {
  EXPECT_THAT(Get("/livez"), StartsWith("HTTP/1.1 200 OK\r\n"));
  daemon_.probe = absl::UnavailableError("the listener does not answer");
  clock_.Advance(absl::Seconds(2));
  const std::string answer = Get("/livez");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 503 Service Unavailable\r\n"));
  EXPECT_THAT(answer, HasSubstr("the listener does not answer"));
}

TEST_F(HttpServerTest, TheListenerIsAskedOnceASecondHoweverManyAsk) {
  for (int i = 0; i < 5; ++i) Get("/livez");
  EXPECT_EQ(daemon_.probes, 1);
  clock_.Advance(absl::Seconds(1));
  Get("/livez");
  EXPECT_EQ(daemon_.probes, 2);
}

TEST_F(HttpServerTest, ADaemonThatDrainsIsAliveAndNotReady) {
  daemon_.facts.draining = true;
  daemon_.probe = absl::UnavailableError("the listener does not answer");
  EXPECT_THAT(Get("/livez"), StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(Get("/readyz"), StartsWith("HTTP/1.1 503 Service Unavailable\r\n"));
}

TEST_F(HttpServerTest, ReadyNamesWhatIsDegraded) {
  EXPECT_THAT(Get("/readyz"), HasSubstr("\r\n\r\nready\n"));
  daemon_.database.failure = absl::UnavailableError("connect to db:3306: refused");
  const std::string answer = Get("/readyz");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, HasSubstr("degraded:\n- The database cannot be reached: connect to db:3306"));
}

TEST_F(HttpServerTest, NotReadyNamesWhatIsMissing) {
  daemon_.pipeline.journal.full = true;
  const std::string answer = Get("/readyz");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 503 Service Unavailable\r\n"));
  EXPECT_THAT(answer, HasSubstr("The journal is full"));
}

TEST_F(HttpServerTest, HealthIsReadyAsJson) {
  const std::string well = Get("/health");
  EXPECT_THAT(well, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(well, HasSubstr("Content-Type: application/json"));
  EXPECT_THAT(well, HasSubstr("\"status\": \"healthy\""));
  EXPECT_THAT(well, HasSubstr("\"version\": \"1.2.3\""));
  daemon_.database.failure = absl::UnavailableError("connect to \"db\": refused");
  const std::string degraded = Get("/health");
  EXPECT_THAT(degraded, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(degraded, HasSubstr("\"status\": \"degraded\""));
  EXPECT_THAT(degraded, HasSubstr("connect to \\\"db\\\": refused"));
  daemon_.pipeline.journal.full = true;
  const std::string full = Get("/health");
  EXPECT_THAT(full, StartsWith("HTTP/1.1 503 Service Unavailable\r\n"));
  EXPECT_THAT(full, HasSubstr("\"status\": \"unhealthy\""));
}

TEST_F(HttpServerTest, TheCircuitIsTheDaemons) {
  daemon_.circuit.state = flow::BreakerState::kOpen;
  const std::string answer = Get("/api/v1/circuits");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, HasSubstr("\"name\": \"mysql\""));
  EXPECT_THAT(answer, HasSubstr("\"state\": \"CIRCUIT_STATE_OPEN\""));
  EXPECT_THAT(answer, HasSubstr("\"failure_threshold\": 5"));
}

TEST_F(HttpServerTest, AnAbsentDatabaseIsNoEmptyQuarantine) {
  const std::string answer = Get("/api/v1/quarantine");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 503 Service Unavailable\r\n"));
  EXPECT_THAT(answer, HasSubstr("Content-Type: application/json"));
  EXPECT_THAT(answer, HasSubstr("\"error\": \"the quarantine cannot be read: connect to db:3306"));
  EXPECT_THAT(answer, Not(HasSubstr("events")));
}

TEST_F(HttpServerTest, AWrongQuestionToTheQuarantineIsNamed) {
  for (const auto& [query, fault] :
       {std::pair("page_size=1001", "page_size"), std::pair("page_size=-1", "page_size"),
        std::pair("page_size", "page_size"), std::pair("page_token=x", "page_token"),
        std::pair("include_content=true", "include_content")}) {
    const std::string answer = Get(absl::StrCat("/api/v1/quarantine?", query));
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 400 Bad Request\r\n")) << query;
    EXPECT_THAT(answer, HasSubstr(absl::StrCat("\"error\": \"", fault)));
  }
}

TEST_F(HttpServerTest, QuestionsThatWaitForTheDatabaseHoldUpNoProbe) {
  database_.Hold();
  std::vector<std::thread> waiting;
  std::atomic<int> turned_away = 0;
  std::atomic<int> answered = 0;
  for (int i = 0; i < 12; ++i) {
    waiting.emplace_back([this, &turned_away, &answered] {
      const std::string answer = Get("/api/v1/quarantine");
      if (absl::StrContains(answer, "ask again")) ++turned_away;
      ++answered;
    });
  }
  // Two are held; all others have their answer, and the threads are free.
  const absl::Time end = base::SystemClock().Steady() + absl::Seconds(30);
  while (turned_away < 10 && base::SystemClock().Steady() < end) {
    base::SystemClock().Sleep(absl::Milliseconds(1));
  }
  EXPECT_EQ(turned_away, 10);
  EXPECT_EQ(answered, 10);
  EXPECT_THAT(Get("/livez"), StartsWith("HTTP/1.1 200 OK\r\n"));
  database_.LetGo();
  for (std::thread& thread : waiting) thread.join();
}

TEST_F(HttpServerTest, WhatIsNotHereIsNotFound) {
  for (const char* path : {"/nothing", "/metrics/", "/../etc/passwd", "/%2e%2e/etc/passwd"}) {
    const std::string answer = Get(path);
    EXPECT_THAT(answer, Not(StartsWith("HTTP/1.1 200"))) << path;
    EXPECT_THAT(answer, Not(HasSubstr("root:"))) << path;
  }
}

TEST_F(HttpServerTest, OnlyGetAndHeadAreAnswered) {
  for (const char* method : {"POST", "PUT", "DELETE", "PATCH", "OPTIONS"}) {
    EXPECT_THAT(Get("/", method), StartsWith("HTTP/1.1 405")) << method;
  }
  const std::string head = Get("/livez", "HEAD");
  EXPECT_THAT(head, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(head, testing::EndsWith("\r\n\r\n"));
}

TEST_F(HttpServerTest, AnEndlessHeaderIsCutOff) {
  const std::string answer =
      Exchange("GET / HTTP/1.1\r\nX: " + std::string(100'000, 'x') + "\r\n\r\n");
  EXPECT_THAT(answer, Not(StartsWith("HTTP/1.1 200")));
  EXPECT_THAT(Get("/livez"), StartsWith("HTTP/1.1 200 OK\r\n"));
}

}  // namespace
}  // namespace holdfast::admin
