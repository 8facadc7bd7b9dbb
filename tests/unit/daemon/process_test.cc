// holdfastd as a process, without a database: how it starts, what it promises alone, how it ends.

#include <grpcpp/grpcpp.h>
#include <signal.h>

#include <fstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "server/daemon/exit_code.h"
#include "tests/support/accepted_events.h"
#include "tests/unit/daemon/running_daemon.h"

namespace holdfast::daemon {
namespace {

using test::Ended;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr char kProducer[] = "0189a3f2-0000-7000-8000-000000000001";

class ProcessTest : public testing::Test {
 protected:
  // Opens a stream, sends events first..last, waits until they are journaled; returns what was
  // held.
  uint64_t Deliver(uint64_t first, uint64_t last) {
    const auto stub = daemon_.NewStub();
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    const auto stream = stub->Stream(&context);
    v1::StreamRequest hello;
    hello.mutable_hello()->set_producer_id(kProducer);
    stream->Write(hello);
    v1::StreamResponse response;
    EXPECT_TRUE(stream->Read(&response) && response.has_welcome());
    const uint64_t held = response.welcome().resume_after();
    if (first <= last) {
      v1::StreamRequest request;
      request.mutable_batch()->set_first_sequence(first);
      for (uint64_t n = first; n <= last; ++n) {
        *request.mutable_batch()->add_events() = test::UsageOf(test::UuidOf(n));
      }
      stream->Write(request);
    }
    stream->WritesDone();
    while (stream->Read(&response)) {
    }
    const grpc::Status status = stream->Finish();
    EXPECT_TRUE(status.ok()) << status.error_message();
    return held;
  }

  test::RunningDaemon daemon_;
};

TEST_F(ProcessTest, EventsAreTakenWithoutADatabaseAndKeptOverARestart) {
  ASSERT_TRUE(daemon_.Start()) << daemon_.Log();
  EXPECT_EQ(Deliver(1, 3), 0);
  EXPECT_THAT(daemon_.Get("/livez"), StartsWith("HTTP/1.1 200"));
  ASSERT_TRUE(daemon_.AwaitAnswer("/readyz", "HTTP/1.1 200"));
  EXPECT_THAT(daemon_.Get("/readyz"),
              AllOf(HasSubstr("\r\n\r\nready\ndegraded:\n"), HasSubstr("no-database.sock")));
  EXPECT_THAT(daemon_.Get("/api/v1/status"), HasSubstr("\"accepted\": \"3\""));
  daemon_.Signal(SIGTERM);
  const Ended ended = daemon_.AwaitEnd();
  EXPECT_EQ(ended.code, kExitEventsLeft) << ended.log;
  EXPECT_THAT(ended.log, HasSubstr("stopped with events left in the journal"));

  ASSERT_TRUE(daemon_.Start()) << daemon_.Log();
  EXPECT_EQ(Deliver(4, 5), 3);
  EXPECT_THAT(daemon_.Get("/api/v1/status"), HasSubstr("\"accepted\": \"5\""));
}

TEST_F(ProcessTest, WhatWasAcknowledgedSurvivesSigkill) {
  ASSERT_TRUE(daemon_.Start()) << daemon_.Log();
  Deliver(1, 100);
  daemon_.Signal(SIGKILL);
  EXPECT_EQ(daemon_.AwaitEnd().code, -1);
  // The socket file it left is no obstacle.
  ASSERT_TRUE(daemon_.Start()) << daemon_.Log();
  EXPECT_EQ(Deliver(1, 0), 100);
}

TEST_F(ProcessTest, WithNothingLeftItEndsWell) {
  ASSERT_TRUE(daemon_.Start()) << daemon_.Log();
  daemon_.Signal(SIGINT);
  EXPECT_EQ(daemon_.AwaitEnd().code, kExitDrained);
}

TEST_F(ProcessTest, ASecondSignalEndsTheDrain) {
  daemon_.Set("HOLDFAST_DRAIN_TIMEOUT", "1h");
  ASSERT_TRUE(daemon_.Start()) << daemon_.Log();
  Deliver(1, 3);
  daemon_.Signal(SIGTERM);
  ASSERT_TRUE(daemon_.AwaitAnswer("/readyz", "HTTP/1.1 503"));
  EXPECT_THAT(daemon_.Get("/livez"), StartsWith("HTTP/1.1 200"));
  daemon_.Signal(SIGTERM);
  EXPECT_EQ(daemon_.AwaitEnd().code, kExitEventsLeft);
}

TEST_F(ProcessTest, TheReadyLineSaysWhereEverythingIs) {
  ASSERT_TRUE(daemon_.Start()) << daemon_.Log();
  EXPECT_THAT(daemon_.Log(), AllOf(HasSubstr("listen=unix:" + daemon_.folder().string()),
                                   HasSubstr("journal=" + daemon_.journal().string()),
                                   HasSubstr("no-database.sock"), HasSubstr("writer_id=")));
}

TEST_F(ProcessTest, ThePasswordIsNowhereToBeSeen) {
  const std::string secret = "correct-horse-battery-staple";
  daemon_.Set("MYSQL_PASSWORD", secret);
  daemon_.Set("LOG_LEVEL", "debug");
  ASSERT_TRUE(daemon_.Start()) << daemon_.Log();
  ASSERT_TRUE(daemon_.AwaitAnswer("/readyz", "HTTP/1.1 200"));
  for (const char* path : {"/", "/readyz", "/metrics", "/api/v1/status"}) {
    EXPECT_THAT(daemon_.Get(path), Not(HasSubstr(secret))) << path;
  }
  daemon_.Signal(SIGTERM);
  EXPECT_THAT(daemon_.AwaitEnd().log, Not(HasSubstr(secret)));
  EXPECT_THAT(daemon_.Run({"--check_config"}).text,
              AllOf(HasSubstr("MYSQL_PASSWORD"), Not(HasSubstr(secret))));
}

TEST_F(ProcessTest, AWrongFlagIsAUsageError) {
  const Ended ended = daemon_.Run({"--jurnal_dir=/x"});
  EXPECT_EQ(ended.code, kExitUsage);
  EXPECT_THAT(ended.log, HasSubstr("--jurnal_dir"));
}

TEST_F(ProcessTest, AWrongValueIsAConfigurationErrorBeforeAnythingIsMade) {
  const Ended ended = daemon_.Run({"--db_pool_size=none"});
  EXPECT_EQ(ended.code, kExitConfiguration);
  EXPECT_THAT(ended.log, HasSubstr("DB_POOL_SIZE: \"none\" (flag)"));
  EXPECT_FALSE(std::filesystem::exists(daemon_.journal()));
  EXPECT_EQ(daemon_.Run({"--check_config", "--db_pool_size=none"}).code, kExitConfiguration);
}

TEST_F(ProcessTest, AForeignAddressIsAConfigurationError) {
  const Ended ended = daemon_.Run({"--holdfast_listen=0.0.0.0:5555"});
  EXPECT_EQ(ended.code, kExitConfiguration);
  EXPECT_THAT(ended.log,
              AllOf(HasSubstr("HOLDFAST_LISTEN: "), HasSubstr("HOLDFAST_TLS_CERT_FILE")));
}

TEST_F(ProcessTest, HelpVersionAndSettingsArePrinted) {
  const Ended help = daemon_.Run({"--help"});
  EXPECT_EQ(help.code, kExitDrained);
  EXPECT_THAT(help.text, HasSubstr("HOLDFAST_JOURNAL_DIR  (/var/lib/holdfast/journal)"));
  const Ended version = daemon_.Run({"--version"});
  EXPECT_EQ(version.code, kExitDrained);
  EXPECT_THAT(version.text, StartsWith("holdfastd "));
  const Ended settings = daemon_.Run({"--check_config"});
  EXPECT_EQ(settings.code, kExitDrained);
  EXPECT_THAT(settings.text, HasSubstr("HOLDFAST_JOURNAL_SEGMENT_BYTES"));
}

TEST_F(ProcessTest, AJournalThatCannotBeHadIsItsOwnEnd) {
  std::ofstream(daemon_.journal()) << "a file where the folder should be";
  const Ended ended = daemon_.Run({});
  EXPECT_EQ(ended.code, kExitJournal) << ended.log;
  EXPECT_THAT(ended.log, HasSubstr("the journal cannot be opened"));
}

TEST_F(ProcessTest, AnAddressThatIsTakenIsAConfigurationError) {
  std::ofstream(daemon_.folder() / "s.sock") << "not a socket";
  const Ended ended = daemon_.Run({});
  EXPECT_EQ(ended.code, kExitConfiguration) << ended.log;
  EXPECT_THAT(ended.log, HasSubstr("is no socket"));
}

TEST_F(ProcessTest, MigrationWithoutADatabaseIsUnavailable) {
  const Ended ended = daemon_.Run({"--migrate"});
  EXPECT_EQ(ended.code, kExitNoDatabase) << ended.log;
  EXPECT_FALSE(std::filesystem::exists(daemon_.journal()));
}

}  // namespace
}  // namespace holdfast::daemon
