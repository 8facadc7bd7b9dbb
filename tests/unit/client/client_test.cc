#include "client/client.h"

#include <atomic>
#include <map>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "gmock/gmock.h"
#include "grpc/grpc.h"
#include "gtest/gtest.h"

#include "tests/support/status_matchers.h"
#include "tests/unit/client/fake_daemon.h"

namespace holdfast::client {
namespace {

using ::holdfast::test::StatusIs;
using ::testing::_;
using ::testing::AllOf;
using ::testing::Each;
using ::testing::Ge;
using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::SizeIs;

constexpr absl::Duration kLong = absl::Minutes(2);

enum class Make { kGood, kRefused, kPoison };

v1::Event MakeEvent(const std::string& id, Make make = Make::kGood) {
  v1::Event event;
  event.mutable_occurred_at()->set_seconds(1768435200);
  event.mutable_usage()->set_event_id(id);
  if (make != Make::kRefused) event.mutable_usage()->set_api_key_id("key");
  if (make == Make::kPoison) event.mutable_usage()->set_model("poison");
  return event;
}

// Collects outcomes by event id. Thread-safe.
class Outcomes {
 public:
  Client::Callback For(const std::string& id) {
    return [this, id](const absl::Status& status) {
      absl::MutexLock lock(&mu_);
      by_id_[id].push_back(status);
    };
  }
  std::map<std::string, std::vector<absl::Status>> by_id() const {
    absl::MutexLock lock(&mu_);
    return by_id_;
  }
  absl::Status Of(const std::string& id) const {
    absl::MutexLock lock(&mu_);
    const auto found = by_id_.find(id);
    if (found == by_id_.end()) return absl::NotFoundError("not answered");
    return found->second.size() == 1 ? found->second[0] : absl::InternalError("answered twice");
  }

 private:
  mutable absl::Mutex mu_;
  std::map<std::string, std::vector<absl::Status>> by_id_ ABSL_GUARDED_BY(mu_);
};

class ClientTest : public ::testing::Test {
 protected:
  ClientTest() {
    options_.target = daemon_.address();
    options_.backoff_min = absl::Milliseconds(1);
    options_.backoff_max = absl::Milliseconds(20);
  }

  void Open() {
    auto client = Client::Connect(options_);
    ASSERT_OK(client);
    client_ = *std::move(client);
  }

  void Send(const std::string& id, Make make = Make::kGood) {
    ASSERT_OK(client_->Send(MakeEvent(id, make), kLong, outcomes_.For(id)));
  }

  FakeDaemon daemon_;
  Options options_;
  Outcomes outcomes_;  // Outlives the client, whose destructor answers.
  std::unique_ptr<Client> client_;
};

TEST_F(ClientTest, AnEventIsAnsweredWhenItIsJournaled) {
  Open();
  EXPECT_OK(client_->SendAndWait(MakeEvent("a"), kLong));
  EXPECT_THAT(client_->SendAndWait(MakeEvent("b", Make::kRefused), kLong),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("usage.api_key_id")));
  EXPECT_OK(client_->SendAndWait(MakeEvent("c", Make::kPoison), kLong));
  EXPECT_EQ(daemon_.seen().taken.size(), 2U);
}

TEST_F(ClientTest, AtCommittedAQuarantinedEventIsAnError) {
  options_.ack_level = v1::ACK_LEVEL_COMMITTED;
  Open();
  EXPECT_OK(client_->SendAndWait(MakeEvent("a"), kLong));
  EXPECT_THAT(client_->SendAndWait(MakeEvent("c", Make::kPoison), kLong),
              StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr("taken by other content")));
}

TEST_F(ClientTest, AtCommittedJournaledIsNotEnough) {
  options_.ack_level = v1::ACK_LEVEL_COMMITTED;
  daemon_.HoldCommitted(true);
  Open();
  Send("a");
  ASSERT_TRUE(daemon_.AwaitSeen([](const auto& seen) { return seen.received == 1; }));
  EXPECT_THAT(client_->Flush(absl::ZeroDuration()),
              StatusIs(absl::StatusCode::kDeadlineExceeded, HasSubstr("1 events")));
  daemon_.AckAll();
  EXPECT_OK(client_->Flush(kLong));
  EXPECT_OK(outcomes_.Of("a"));
}

TEST_F(ClientTest, TheDaemonMayStartLater) {
  daemon_.Stop();
  Open();
  Send("a");
  daemon_.Start();
  EXPECT_OK(client_->Flush(kLong));
  EXPECT_OK(outcomes_.Of("a"));
}

struct Chaos {
  uint32_t seed;
  v1::AckLevel level;
};

class ClientUnderDeathsTest : public ClientTest, public ::testing::WithParamInterface<Chaos> {};

TEST_P(ClientUnderDeathsTest, EveryEventIsAnsweredOnceAndTakenOnce) {
  constexpr int kThreads = 3;
  constexpr int kEventsEach = 700;
  daemon_.DieAtRandom(0.15, GetParam().seed);
  options_.ack_level = GetParam().level;
  options_.window = 64;
  options_.buffer_events_max = 256;
  options_.batch_events_max = 16;
  Open();
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEventsEach; ++i) {
        const Make make = i % 10 == 3 ? Make::kRefused : Make::kGood;
        Send(absl::StrCat(t, "-", i), make);
        // The whole server goes down as well, now and then.
        if (t == 0 && i % 250 == 100) {
          daemon_.Stop();
          daemon_.Start();
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_OK(client_->Flush(kLong));
  ASSERT_OK(client_->Close(kLong));

  const auto by_id = outcomes_.by_id();
  EXPECT_THAT(by_id, SizeIs(kThreads * kEventsEach));
  EXPECT_THAT(by_id, Each(Pair(_, SizeIs(1))));
  const FakeDaemon::Seen seen = daemon_.seen();
  EXPECT_THAT(seen.taken, Each(Pair(_, 1)));
  for (const auto& [id, statuses] : by_id) {
    if (seen.taken.count(id) > 0) {
      EXPECT_OK(statuses[0]) << id;
    } else {
      EXPECT_THAT(statuses[0], StatusIs(absl::StatusCode::kInvalidArgument, _)) << id;
    }
  }
  const Stats stats = client_->stats();
  EXPECT_GT(stats.reconnects, 0U);
  EXPECT_EQ(stats.producers_renewed, 0U);
  EXPECT_EQ(stats.accepted, by_id.size());
  EXPECT_EQ(stats.refused, by_id.size() - seen.taken.size());
  EXPECT_EQ(stats.journaled, by_id.size());
  EXPECT_EQ(seen.gaps, 0U);
}

INSTANTIATE_TEST_SUITE_P(Seeds, ClientUnderDeathsTest,
                         ::testing::Values(Chaos{1, v1::ACK_LEVEL_JOURNALED},
                                           Chaos{2, v1::ACK_LEVEL_COMMITTED},
                                           Chaos{3, v1::ACK_LEVEL_JOURNALED},
                                           Chaos{4, v1::ACK_LEVEL_COMMITTED}),
                         [](const auto& test) { return absl::StrCat("Seed", test.param.seed); });

TEST_F(ClientTest, WhatIsOnItsWayStaysWithinTheWindow) {
  options_.window = 10;
  options_.batch_events_max = 4;
  Open();
  for (int i = 0; i < 200; ++i) Send(absl::StrCat(i));
  ASSERT_OK(client_->Flush(kLong));
  EXPECT_LE(daemon_.seen().unacknowledged_max, 10U);
  EXPECT_LE(daemon_.seen().batch_events_max, 4U);
}

TEST_F(ClientTest, TheDaemonsLimitsAreKept) {
  daemon_.SetLimits(5, 400);
  daemon_.HoldJournaled(true);
  Open();
  for (int i = 0; i < 100; ++i) Send(absl::StrCat(i, std::string(40, 'x')));
  ASSERT_TRUE(daemon_.AwaitSeen([](const auto& seen) { return seen.received == 100; }));
  EXPECT_LE(daemon_.seen().batch_events_max, 5U);
  EXPECT_LE(daemon_.seen().batch_bytes_max, 400U);
}

TEST_F(ClientTest, EventsThatWaitGoTogether) {
  daemon_.Stop();
  Open();
  for (int i = 0; i < 100; ++i) Send(absl::StrCat(i));
  daemon_.Start();
  ASSERT_OK(client_->Flush(kLong));
  EXPECT_EQ(daemon_.seen().batch_events_max, 100U);
}

TEST_F(ClientTest, OrderIsKept) {
  Open();
  std::vector<std::string> ids;
  for (int i = 0; i < 500; ++i) {
    ids.push_back(absl::StrCat(i));
    Send(ids.back());
  }
  ASSERT_OK(client_->Flush(kLong));
  EXPECT_EQ(daemon_.seen().order, ids);
}

TEST_F(ClientTest, AFullBufferIsSaidAtOnceAndTakesNothing) {
  daemon_.Stop();
  options_.buffer_events_max = 5;
  Open();
  for (int i = 0; i < 5; ++i) Send(absl::StrCat(i));
  EXPECT_THAT(client_->Send(MakeEvent("six"), absl::ZeroDuration(), outcomes_.For("six")),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("buffer is full")));
  EXPECT_THAT(client_->Send(MakeEvent("six"), absl::Milliseconds(5), outcomes_.For("six")),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("buffer is full")));
  EXPECT_EQ(client_->stats().buffered_events, 5U);
  client_ = nullptr;
  EXPECT_THAT(outcomes_.by_id(), SizeIs(5));
}

TEST_F(ClientTest, TheBufferIsBoundedInBytesToo) {
  daemon_.Stop();
  options_.buffer_bytes_max = kEventBytesMax;
  Open();
  Send(std::string(kEventBytesMax - 1000, 'x'));
  EXPECT_THAT(client_->Send(MakeEvent(std::string(2000, 'y')), absl::ZeroDuration(), nullptr),
              StatusIs(absl::StatusCode::kResourceExhausted, _));
  EXPECT_OK(client_->Send(MakeEvent("small"), absl::ZeroDuration(), nullptr));
}

TEST_F(ClientTest, ASenderThatWaitsGoesOnWhenThereIsRoom) {
  daemon_.HoldJournaled(true);
  options_.buffer_events_max = 1;
  Open();
  Send("a");
  std::thread waiting([&] { Send("b"); });
  ASSERT_TRUE(daemon_.AwaitSeen([](const auto& seen) { return seen.received == 1; }));
  daemon_.HoldJournaled(false);
  daemon_.AckAll();
  waiting.join();
  EXPECT_OK(client_->Flush(kLong));
  EXPECT_OK(outcomes_.Of("b"));
}

TEST_F(ClientTest, AnEventThatCanNeverBeTakenIsRefusedHere) {
  Open();
  EXPECT_THAT(client_->Send(MakeEvent(std::string(kEventBytesMax, 'x')), kLong, nullptr),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("at most 1048576")));
}

TEST_F(ClientTest, ARefusalThatWasLostIsRepeated) {
  daemon_.LoseNextAnswer();
  Open();
  Send("bad", Make::kRefused);
  Send("good");
  ASSERT_OK(client_->Flush(kLong));
  EXPECT_THAT(outcomes_.Of("bad"), StatusIs(absl::StatusCode::kInvalidArgument, _));
  EXPECT_OK(outcomes_.Of("good"));
}

TEST_F(ClientTest, ThePauseThatADaemonAsksForIsKept) {
  const grpc::Status full(grpc::StatusCode::RESOURCE_EXHAUSTED, "the journal is full");
  daemon_.EndNextStream({full, 400});
  Open();
  EXPECT_OK(client_->SendAndWait(MakeEvent("a"), kLong));
  const FakeDaemon::Seen seen = daemon_.seen();
  ASSERT_THAT(seen.streams_at, SizeIs(2));
  EXPECT_GE(seen.streams_at[1] - seen.streams_at[0], absl::Milliseconds(395));
}

TEST_F(ClientTest, WhatALostJournalHeldIsSentAgainUnderANewProducer) {
  options_.ack_level = v1::ACK_LEVEL_COMMITTED;
  daemon_.HoldCommitted(true);
  Open();
  Send("a");
  Send("bad", Make::kRefused);
  Send("b");
  ASSERT_TRUE(daemon_.AwaitSeen([](const auto& seen) { return seen.received == 3; }));
  while (client_->stats().journaled < 3) std::this_thread::yield();
  daemon_.LoseJournal();
  daemon_.HoldCommitted(false);
  daemon_.Break();
  ASSERT_OK(client_->Flush(kLong));
  EXPECT_OK(outcomes_.Of("a"));
  EXPECT_OK(outcomes_.Of("b"));
  EXPECT_THAT(outcomes_.Of("bad"), StatusIs(absl::StatusCode::kInvalidArgument, _));
  const FakeDaemon::Seen seen = daemon_.seen();
  EXPECT_THAT(seen.order, ::testing::ElementsAre("a", "b", "a", "b"));
  EXPECT_NE(seen.producers.front(), seen.producers.back());
  EXPECT_EQ(client_->stats().producers_renewed, 1U);
}

TEST_F(ClientTest, AGapIsMendedByANewProducer) {
  Open();
  ASSERT_OK(client_->SendAndWait(MakeEvent("a"), kLong));
  daemon_.LoseJournal();
  EXPECT_OK(client_->SendAndWait(MakeEvent("b"), kLong));
  EXPECT_EQ(daemon_.seen().gaps, 1U);
  EXPECT_EQ(client_->stats().producers_renewed, 1U);
}

TEST_F(ClientTest, WhoWantsNoNewProducerIsToldThatTheJournalIsLost) {
  options_.renew_producer = false;
  Open();
  ASSERT_OK(client_->SendAndWait(MakeEvent("a"), kLong));
  daemon_.LoseJournal();
  EXPECT_THAT(client_->SendAndWait(MakeEvent("b"), kLong),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("no longer knows")));
}

TEST_F(ClientTest, AClientThatWasTakenOverEnds) {
  daemon_.EndNextStream({grpc::Status(grpc::StatusCode::ABORTED, "taken over"), {}});
  Open();
  EXPECT_THAT(client_->SendAndWait(MakeEvent("a"), kLong),
              StatusIs(absl::StatusCode::kAborted, HasSubstr("taken over")));
  EXPECT_THAT(client_->Send(MakeEvent("b"), kLong, nullptr),
              StatusIs(absl::StatusCode::kAborted, _));
  EXPECT_THAT(daemon_.seen().producers, SizeIs(1));
}

TEST_F(ClientTest, AStreamThatIsCalledInvalidFailsAll) {
  daemon_.EndNextStream({grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "no Hello"), {}});
  Open();
  EXPECT_THAT(client_->SendAndWait(MakeEvent("a"), kLong),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("no Hello")));
  EXPECT_THAT(client_->Close(kLong), StatusIs(absl::StatusCode::kInvalidArgument, _));
}

TEST_F(ClientTest, CloseAnswersAllAndTellsSentFromUnsent) {
  options_.window = 2;
  daemon_.HoldJournaled(true);
  Open();
  for (const char* id : {"a", "b", "c"}) Send(id);
  ASSERT_TRUE(daemon_.AwaitSeen([](const auto& seen) { return seen.received == 2; }));
  EXPECT_THAT(client_->Close(absl::ZeroDuration()),
              StatusIs(absl::StatusCode::kDeadlineExceeded, HasSubstr("3 events")));
  EXPECT_THAT(outcomes_.Of("a"), StatusIs(absl::StatusCode::kUnavailable, _));
  EXPECT_THAT(outcomes_.Of("b"), StatusIs(absl::StatusCode::kUnavailable, _));
  EXPECT_THAT(outcomes_.Of("c"), StatusIs(absl::StatusCode::kCancelled, _));
  EXPECT_THAT(client_->Send(MakeEvent("d"), kLong, nullptr),
              StatusIs(absl::StatusCode::kCancelled, _));
  EXPECT_EQ(client_->stats().given_up, 3U);
}

TEST_F(ClientTest, CloseWaitsForWhatIsOwed) {
  Open();
  for (int i = 0; i < 100; ++i) Send(absl::StrCat(i));
  EXPECT_OK(client_->Close(kLong));
  EXPECT_OK(client_->Close(kLong));
  EXPECT_THAT(outcomes_.by_id(), SizeIs(100));
  EXPECT_EQ(client_->stats().given_up, 0U);
}

TEST_F(ClientTest, CloseDoesNotWaitForADaemonThatAsksForAPause) {
  const grpc::Status full(grpc::StatusCode::RESOURCE_EXHAUSTED, "the journal is full");
  daemon_.EndNextStream({full, 240'000});
  Open();
  Send("a");
  ASSERT_TRUE(daemon_.AwaitSeen([](const auto& seen) { return seen.producers.size() == 1; }));
  EXPECT_THAT(client_->Close(absl::Milliseconds(20)),
              StatusIs(absl::StatusCode::kDeadlineExceeded, _));
  EXPECT_THAT(outcomes_.Of("a"), StatusIs(absl::StatusCode::kCancelled, _));
}

TEST_F(ClientTest, ASilentDaemonIsLeftAndTriedAgain) {
  options_.answer_wait_max = absl::Milliseconds(50);
  daemon_.HoldJournaled(true);
  Open();
  Send("a");
  ASSERT_TRUE(daemon_.AwaitSeen([](const auto& seen) { return seen.producers.size() == 2; }));
  daemon_.HoldJournaled(false);
  ASSERT_OK(client_->Flush(kLong));
  EXPECT_EQ(daemon_.seen().taken["a"], 1);
}

TEST_F(ClientTest, ACallbackMaySendButNotWait) {
  Open();
  std::atomic<bool> sent = false;
  ASSERT_OK(client_->Send(MakeEvent("a"), kLong, [&](const absl::Status&) {
    EXPECT_OK(client_->Send(MakeEvent("b"), kLong, outcomes_.For("b")));
    EXPECT_THAT(client_->SendAndWait(MakeEvent("c"), kLong),
                StatusIs(absl::StatusCode::kFailedPrecondition, _));
    EXPECT_THAT(client_->Flush(kLong), StatusIs(absl::StatusCode::kFailedPrecondition, _));
    EXPECT_THAT(client_->Close(kLong), StatusIs(absl::StatusCode::kFailedPrecondition, _));
    sent = true;
  }));
  ASSERT_OK(client_->Flush(kLong));
  EXPECT_TRUE(sent);
  ASSERT_OK(client_->Flush(kLong));
  EXPECT_OK(outcomes_.Of("b"));
}

TEST_F(ClientTest, AProducerOfOnesOwnGoesOnWhereTheDaemonIs) {
  options_.producer_id = "0f8fad5b-d9cb-469f-a165-70867728950e";
  Open();
  Send("a");
  Send("b");
  ASSERT_OK(client_->Close(kLong));
  Open();
  const auto opened = client_->WaitOpened(kLong);
  ASSERT_OK(opened);
  EXPECT_EQ(opened->held_through, 2U);
  EXPECT_OK(client_->SendAndWait(MakeEvent("c"), kLong));
  EXPECT_THAT(daemon_.seen().order, ::testing::ElementsAre("a", "b", "c"));
}

TEST_F(ClientTest, WaitOpenedSaysWhyThereIsNoConnection) {
  daemon_.Stop();
  Open();
  EXPECT_THAT(client_->WaitOpened(absl::Milliseconds(50)),
              StatusIs(absl::StatusCode::kDeadlineExceeded, HasSubstr(daemon_.address())));
}

TEST_F(ClientTest, AFileOfTlsThatCannotBeReadIsNamedAndDoesNotEndTheClient) {
  options_.target = "localhost:1";
  options_.tls.ca_file = "/nowhere/ca.pem";
  Open();
  EXPECT_THAT(client_->WaitOpened(absl::Milliseconds(50)),
              StatusIs(absl::StatusCode::kDeadlineExceeded, HasSubstr("/nowhere/ca.pem: No such")));
  EXPECT_TRUE(absl::IsUnauthenticated(client_->stats().last_error));
  EXPECT_OK(client_->Send(MakeEvent("a"), absl::ZeroDuration(), outcomes_.For("a")));
}

TEST_F(ClientTest, GrpcOutlivesTheStreamThatIsItsLastUser) {
  Open();
  ASSERT_OK(client_->SendAndWait(MakeEvent("a"), kLong));
  client_ = nullptr;
  daemon_.Stop();
  EXPECT_EQ(grpc_is_initialized(), 1);
}

TEST(OptionsTest, ABadOptionIsNamed) {
  const auto expect_bad = [](const std::string& name, auto change) {
    Options options;
    change(options);
    EXPECT_THAT(Client::Connect(options).status(),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(name)));
  };
  EXPECT_OK(Options().Validate());
  expect_bad("target", [](Options& o) { o.target = ""; });
  expect_bad("tls_ca_file", [](Options& o) { o.tls.client_key_file = "/key"; });
  expect_bad("tls_client_cert_file", [](Options& o) {
    o.target = "localhost:1";
    o.tls.ca_file = "/ca";
    o.tls.client_key_file = "/key";
  });
  expect_bad("Unix socket", [](Options& o) { o.tls.ca_file = "/ca"; });
  expect_bad("producer_id", [](Options& o) { o.producer_id = "me"; });
  expect_bad("ack_level", [](Options& o) { o.ack_level = v1::ACK_LEVEL_UNSPECIFIED; });
  expect_bad("window", [](Options& o) { o.window = 0; });
  expect_bad("buffer_events_max", [](Options& o) { o.buffer_events_max = 0; });
  expect_bad("buffer_bytes_max", [](Options& o) { o.buffer_bytes_max = 1; });
  expect_bad("batch_events_max", [](Options& o) { o.batch_events_max = 0; });
  expect_bad("batch_bytes_max", [](Options& o) { o.batch_bytes_max = 0; });
  expect_bad("backoff_min", [](Options& o) { o.backoff_min = absl::ZeroDuration(); });
  expect_bad("backoff_max", [](Options& o) { o.backoff_max = absl::Nanoseconds(1); });
  expect_bad("pushback_max", [](Options& o) { o.pushback_max = -absl::Seconds(1); });
  expect_bad("answer_wait_max", [](Options& o) { o.answer_wait_max = absl::ZeroDuration(); });
}

}  // namespace
}  // namespace holdfast::client
