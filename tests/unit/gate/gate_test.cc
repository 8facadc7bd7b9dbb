#include "server/gate/gate.h"

#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "server/base/clock.h"
#include "server/event/event_id.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/gate/frames.h"

namespace holdfast::gate {
namespace {

using test::StatusIs;
using testing::HasSubstr;

class GateTest : public testing::Test {
 protected:
  GateTest() {
    folder_ = std::filesystem::path(testing::TempDir()) /
              ("gate_" + event::FormatUuid(event::RandomUuid()));
    options_.listen.socket_path = (folder_ / "s").string();
  }
  ~GateTest() override {
    gate_.reset();
    for (const int descriptor : taken_) ::close(descriptor);
    std::filesystem::remove_all(folder_);
  }

  void Start() {
    auto gate = Gate::Bind(options_, base::SystemClock(), metrics_);
    ASSERT_OK(gate);
    gate_ = *std::move(gate);
    gate_->Start([this](int descriptor) {
      absl::MutexLock lock(&mu_);
      taken_.push_back(descriptor);
    });
  }

  // A client's end.
  int Connect() {
    const int connection = ::socket(gate_->address().family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
    SocketAddress to = gate_->address().Reachable();
    EXPECT_EQ(::connect(connection, to.get(), to.length), 0);
    return connection;
  }

  static void Say(int connection, const std::string& bytes) {
    ASSERT_EQ(::send(connection, bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  // Reads until there are `count` bytes, or the end.
  static std::string Hear(int connection, size_t count) {
    std::string heard(count, '\0');
    size_t have = 0;
    while (have < count) {
      const ssize_t got = ::recv(connection, heard.data() + have, count - have, 0);
      if (got < 0 && (errno == EAGAIN || errno == EINTR)) continue;
      if (got <= 0) break;
      have += static_cast<size_t>(got);
    }
    heard.resize(have);
    return heard;
  }
  int taken(size_t at) {
    absl::MutexLock lock(&mu_);
    return taken_.at(at);
  }
  size_t taken_count() {
    absl::MutexLock lock(&mu_);
    return taken_.size();
  }

  static bool Await(const std::function<bool()>& condition) {
    const absl::Time end = base::SystemClock().Steady() + absl::Seconds(30);
    while (!condition()) {
      if (base::SystemClock().Steady() > end) return false;
      base::SystemClock().Sleep(absl::Milliseconds(1));
    }
    return true;
  }

  std::filesystem::path folder_;
  GateOptions options_;
  metrics::Metrics metrics_{"test"};
  std::unique_ptr<Gate> gate_;
  absl::Mutex mu_;
  std::vector<int> taken_ ABSL_GUARDED_BY(mu_);
};

TEST_F(GateTest, EveryByteComesThroughInBothDirections) {
  Start();
  const int client = Connect();
  std::string said = HelloFrames();
  for (int i = 0; i < 50; ++i) {
    said += Frame(FrameType::kData, 0, 1, std::string(9000, static_cast<char>('a' + i % 26)));
  }
  std::thread saying([&] { Say(client, said); });
  ASSERT_TRUE(Await([&] { return taken_count() == 1; }));
  EXPECT_EQ(Hear(taken(0), said.size()), said);
  saying.join();
  const std::string answer = Frame(FrameType::kData, 0, 1, std::string(100000, 'z'));
  std::thread answering([&] { Say(taken(0), answer.substr(0, 50000)); });
  EXPECT_EQ(Hear(client, 50000), answer.substr(0, 50000));
  answering.join();
  ::close(client);
}

TEST_F(GateTest, WhoSaysNoPrefaceIsNotHandedOn) {
  Start();
  const int client = Connect();
  Say(client, Preface().substr(0, 23));
  const int other = Connect();
  Say(other, HelloFrames());
  ASSERT_TRUE(Await([&] { return taken_count() == 1; }));
  Say(client, "?");
  EXPECT_EQ(Hear(client, 1), "");
  EXPECT_EQ(taken_count(), 1);
  EXPECT_TRUE(Await([&] { return metrics_.ConnectionsRefused("protocol").Value() == 1; }));
  ::close(client);
  ::close(other);
}

TEST_F(GateTest, ConnectionsThatEndOnEitherSideAreForgotten) {
  Start();
  std::vector<int> clients;
  for (int i = 0; i < 10; ++i) {
    clients.push_back(Connect());
    Say(clients.back(), HelloFrames());
  }
  ASSERT_TRUE(Await([&] { return taken_count() == 10; }));
  EXPECT_EQ(gate_->connections(), 10);
  for (int i = 0; i < 5; ++i) ::close(clients[static_cast<size_t>(i)]);
  // Their other side learns of it, and closes.
  for (size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(Hear(taken(i), 1000).size(), HelloFrames().size());
    ::shutdown(taken(i), SHUT_RDWR);
  }
  EXPECT_TRUE(Await([&] { return gate_->connections() == 5; }));
  for (size_t i = 5; i < 10; ++i) ::shutdown(taken(i), SHUT_RDWR);
  EXPECT_TRUE(Await([&] { return gate_->connections() == 0; }));
  for (size_t i = 5; i < 10; ++i) {
    EXPECT_EQ(Hear(clients[i], 1), "");
    ::close(clients[i]);
  }
}

TEST_F(GateTest, WhatWasSaidBeforeTheEndStillGoesOut) {
  Start();
  const int client = Connect();
  Say(client, HelloFrames());
  ASSERT_TRUE(Await([&] { return taken_count() == 1; }));
  const std::string farewell = Frame(FrameType::kData, kEndStream, 1, std::string(60000, 'f'));
  Say(taken(0), farewell);
  ::shutdown(taken(0), SHUT_RDWR);
  gate_->StopAccepting();
  gate_->Close(absl::Seconds(30));
  EXPECT_EQ(Hear(client, farewell.size()), farewell);
  ::close(client);
}

TEST_F(GateTest, OurOwnKnockEntersThoughThereAreTooManyAndAStrangersDoesNot) {
  options_.admission.connections_max = 0;
  options_.listen = *ParseListenAddress("127.0.0.1:0");
  Start();
  const auto knocking = gate_->Knock();
  ASSERT_OK(knocking);
  Say(*knocking, HelloFrames());
  EXPECT_TRUE(Await([&] { return taken_count() == 1; }));
  const int stranger = Connect();
  EXPECT_EQ(Hear(stranger, 1), "");
  EXPECT_EQ(metrics_.ConnectionsRefused("too_many").Value(), 1);
  ::close(*knocking);
  ::close(stranger);
}

TEST_F(GateTest, OnceItIsStoppedNobodyIsHandedOn) {
  Start();
  const int client = Connect();
  ASSERT_TRUE(Await([&] { return gate_->connections() == 1; }));
  gate_->StopAccepting();
  EXPECT_FALSE(std::filesystem::exists(options_.listen.socket_path));
  EXPECT_EQ(Hear(client, 1), "");
  EXPECT_THAT(gate_->Knock(),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("cannot connect")));
  EXPECT_EQ(taken_count(), 0);
  ::close(client);
}

TEST_F(GateTest, AFolderInTheSocketsPlaceIsFoundWithoutBinding) {
  std::filesystem::create_directories(options_.listen.socket_path);
  EXPECT_THAT(options_.Check(),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("is a folder")));
  EXPECT_THAT(Gate::Bind(options_, base::SystemClock(), metrics_),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("is a folder")));
}

}  // namespace
}  // namespace holdfast::gate
