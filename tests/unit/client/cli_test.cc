// The command-line tool as a process, against the fake daemon.

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "client/cli/flags.h"
#include "client/cli/status_command.h"
#include "tests/unit/client/fake_daemon.h"

namespace holdfast::client {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

constexpr char kProducer[] = "0f8fad5b-d9cb-469f-a165-70867728950e";

struct Finished {
  int exit_code = -1;
  std::string out;
  std::string err;

  // A number of the summary.
  int Line(const std::string& name) const {
    for (const absl::string_view line : absl::StrSplit(out, '\n')) {
      if (!absl::StartsWith(line, name)) continue;
      int value = -1;
      if (absl::SimpleAtoi(line.substr(name.size()), &value)) return value;
    }
    return -1;
  }
};

class CliTest : public ::testing::Test {
 protected:
  CliTest() {
    std::string folder = "/tmp/holdfast-cli-XXXXXX";
    EXPECT_NE(mkdtemp(folder.data()), nullptr);
    folder_ = folder;
  }
  ~CliTest() override {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  std::string Path(const std::string& name) const { return folder_ + "/" + name; }

  std::string Write(const std::string& text) const {
    std::ofstream(Path("lines")) << text;
    return Path("lines");
  }

  static std::string ReadAll(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  }

  // A program of this build, with the file `in` (or none) as its input.
  Finished Run(const std::string& program, const std::vector<std::string>& arguments,
               const std::string& in = "/dev/null") const {
    return Await(Start(program, arguments, in));
  }

  pid_t Start(const std::string& program, const std::vector<std::string>& arguments,
              const std::string& in = "/dev/null") const {
    std::vector<std::string> words = {program};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    const pid_t pid = fork();
    if (pid == 0) {
      dup2(open(in.c_str(), O_RDONLY), 0);
      dup2(open(Path("out").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), 1);
      dup2(open(Path("err").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), 2);
      execv(argv[0], argv.data());
      _exit(127);
    }
    return pid;
  }

  Finished Await(pid_t pid) const {
    int status = 0;
    EXPECT_EQ(waitpid(pid, &status, 0), pid);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, ReadAll(Path("out")),
            ReadAll(Path("err"))};
  }

  Finished Holdfast(const std::vector<std::string>& arguments,
                    const std::string& in = "/dev/null") const {
    return Run(HOLDFAST_PROGRAM, arguments, in);
  }

  std::string folder_;
  FakeDaemon daemon_;
};

std::string Usage(const std::string& id, const std::string& key = "k") {
  return absl::StrCat(R"({"occurredAt":"2026-01-15T10:30:00Z","usage":{"eventId":")", id,
                      R"(","apiKeyId":")", key, R"("}})", "\n");
}

TEST_F(CliTest, AFileOfGoodLinesEndsWithZeroAndABalance) {
  std::string text;
  for (int i = 0; i < 1000; ++i) absl::StrAppend(&text, Usage(absl::StrCat(i)), i % 7 ? "" : " \n");
  const Finished run = Holdfast({"send", Write(text), "--to", daemon_.address()});
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_EQ(run.Line("lines"), 1000);
  EXPECT_EQ(run.Line("journaled"), 1000);
  EXPECT_EQ(run.Line("not acknowledged"), 0);
  EXPECT_EQ(run.err, "");
  EXPECT_THAT(daemon_.seen().taken, SizeIs(1000));
}

TEST_F(CliTest, WhatIsNotAcceptedIsNamedByItsLine) {
  const std::string poison =
      R"({"occurredAt":"2026-01-15T10:30:00Z","usage":{"eventId":"p","apiKeyId":"k","model":"poison"}})";
  const std::string file =
      Write(absl::StrCat(Usage("a"), "\nnot json\n", Usage("b", ""), poison, "\r\n", Usage("c")));
  const Finished run = Holdfast({"send", file, "--to=" + daemon_.address(), "--ack=committed"});
  EXPECT_EQ(run.exit_code, kExitRejected);
  EXPECT_EQ(run.Line("lines"), 5);
  EXPECT_EQ(run.Line("committed"), 2);
  EXPECT_EQ(run.Line("refused"), 1);
  EXPECT_EQ(run.Line("quarantined"), 1);
  EXPECT_EQ(run.Line("unreadable"), 1);
  EXPECT_THAT(run.err, AllOf(HasSubstr("line 3: unreadable: "),
                             HasSubstr("line 4: refused: usage.api_key_id: is required"),
                             HasSubstr("line 5: quarantined: ")));
}

TEST_F(CliTest, StandardInputIsReadAsWell) {
  const std::string file = Write(Usage("a") + Usage("b"));
  const Finished run = Holdfast({"send", "-", "--to=" + daemon_.address()}, file);
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(daemon_.seen().order, ElementsAre("a", "b"));
}

TEST_F(CliTest, AFileIsSentThroughADaemonThatDiesAgainAndAgain) {
  daemon_.DieAtRandom(0.1, 5);
  std::string text;
  for (int i = 0; i < 3000; ++i) {
    absl::StrAppend(&text, Usage(absl::StrCat(i), i % 100 == 50 ? "" : "k"));
  }
  const Finished run = Holdfast({"send", Write(text), "--to=" + daemon_.address(), "--window=500"});
  EXPECT_EQ(run.exit_code, kExitRejected) << run.err;
  EXPECT_EQ(run.Line("journaled"), 2970);
  EXPECT_EQ(run.Line("refused"), 30);
  EXPECT_EQ(run.Line("not acknowledged"), 0);
  EXPECT_THAT(run.err, AllOf(HasSubstr("line 51: refused"), HasSubstr("and 20 more"),
                             HasSubstr("made again")));
  for (const auto& [id, times] : daemon_.seen().taken) EXPECT_EQ(times, 1) << id;
}

TEST_F(CliTest, WithAProducerIdTheSameFileGoesOnWhereItStopped) {
  const std::string producer = absl::StrCat("--producer_id=", kProducer);
  const std::string begin = absl::StrCat(Usage("a"), "\nnot json\n", Usage("c"));
  const std::string to = "--to=" + daemon_.address();
  const Finished first = Holdfast({"send", Write(begin), to, producer});
  EXPECT_EQ(first.exit_code, kExitRejected);
  EXPECT_EQ(first.Line("unreadable"), 1);
  EXPECT_EQ(first.Line("refused"), 0);
  const Finished second = Holdfast({"send", Write(begin + Usage("d") + Usage("e")), to, producer});
  EXPECT_EQ(second.exit_code, 0) << second.err;
  EXPECT_EQ(second.Line("lines"), 5);
  EXPECT_EQ(second.Line("already held"), 3);
  EXPECT_EQ(second.Line("journaled"), 2);
  EXPECT_THAT(daemon_.seen().order, ElementsAre("a", "c", "d", "e"));
}

TEST_F(CliTest, RelayBillingLinesAreSentAsUsage) {
  const std::string file = Write(
      R"({"data":"{\"eventId\":\"1-a\",\"timestamp\":\"2026-01-15T10:30:00Z\",\"apiKey\":{\"id\":\"k\"},)"
      R"(\"cost\":{\"total\":0.1}}"})"
      "\n{\"eventId\":\"1-b\"}\n");
  const Finished run =
      Holdfast({"send", file, "--to=" + daemon_.address(), "--format=relay-billing"});
  EXPECT_EQ(run.exit_code, kExitRejected);
  EXPECT_THAT(run.err, HasSubstr("line 2: unreadable: apiKey.id: is missing"));
  EXPECT_THAT(daemon_.seen().order, ElementsAre("1-a"));
}

TEST_F(CliTest, ADaemonThatIsNotThereEndsWith69AndAdvice) {
  daemon_.Stop();
  const Finished run =
      Holdfast({"send", Write(Usage("a")), "--to=" + daemon_.address(), "--timeout=100ms"});
  EXPECT_EQ(run.exit_code, kExitUnavailable);
  EXPECT_THAT(run.err, AllOf(HasSubstr("Nothing was sent"), HasSubstr("HOLDFAST_LISTEN")));
}

TEST_F(CliTest, ADaemonThatAcknowledgesNothingEndsWith75) {
  daemon_.HoldJournaled(true);
  const Finished run = Holdfast(
      {"send", Write(Usage("a") + Usage("b")), "--to=" + daemon_.address(), "--timeout=300ms"});
  EXPECT_EQ(run.exit_code, kExitTemporary);
  EXPECT_EQ(run.Line("lines"), 2);
  EXPECT_EQ(run.Line("not acknowledged"), 2);
  EXPECT_THAT(run.err, HasSubstr("Stopped at line 2"));
}

TEST_F(CliTest, ASignalEndsItWith75AndABalanceThoughItsInputIsQuiet) {
  const std::string fifo = Path("fifo");
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  const pid_t pid = Start(HOLDFAST_PROGRAM, {"send", fifo, "--to=" + daemon_.address()});
  std::ofstream input(fifo);
  input << Usage("a") << Usage("b") << std::flush;
  ASSERT_TRUE(daemon_.AwaitSeen([](const auto& seen) { return seen.taken.size() == 2; }));
  kill(pid, SIGINT);
  const Finished run = Await(pid);
  EXPECT_EQ(run.exit_code, kExitTemporary);
  EXPECT_EQ(run.Line("lines"), 2);
  EXPECT_EQ(run.Line("journaled"), 2);
  EXPECT_EQ(run.Line("not acknowledged"), 0);
  EXPECT_THAT(run.err, HasSubstr("Stopped at line 2: told to stop by a signal (Interrupt)"));
}

TEST_F(CliTest, ASignalEndsTheWaitForADaemonThatAcknowledgesNothing) {
  daemon_.HoldJournaled(true);
  const pid_t pid =
      Start(HOLDFAST_PROGRAM, {"send", Write(Usage("a")), "--to=" + daemon_.address()});
  ASSERT_TRUE(daemon_.AwaitSeen([](const auto& seen) { return seen.received == 1; }));
  kill(pid, SIGTERM);
  const Finished run = Await(pid);
  EXPECT_EQ(run.exit_code, kExitTemporary);
  EXPECT_EQ(run.Line("not acknowledged"), 1);
  EXPECT_THAT(run.err, HasSubstr("told to stop by a signal (Terminated)"));
}

TEST_F(CliTest, ASignalEndsTheWaitForADaemonThatIsNotThere) {
  daemon_.Stop();
  const pid_t pid = Start(HOLDFAST_PROGRAM,
                          {"send", Write(Usage("a")), "--to=" + daemon_.address(), "--timeout=2m"});
  // It says that it goes on trying.
  while (ReadAll(Path("err")).empty()) std::this_thread::yield();
  kill(pid, SIGINT);
  const Finished run = Await(pid);
  EXPECT_EQ(run.exit_code, kExitTemporary);
  EXPECT_THAT(run.err, HasSubstr("told to stop by a signal (Interrupt)\nNothing was sent."));
}

TEST_F(CliTest, LinesOfAnyFormAreReadAsLines) {
  const std::string crlf = absl::StrCat(Usage("a").substr(0, Usage("a").size() - 1), "\r\n");
  const std::string last = Usage("d").substr(0, Usage("d").size() - 1);
  const std::string file = Write(absl::StrCat(crlf, "\r\n\n", std::string(70'000, ' '), Usage("b"),
                                              std::string(9 << 20, 'x'), "\n", Usage("c"), last));
  const Finished run = Holdfast({"send", file, "--to=" + daemon_.address()});
  EXPECT_EQ(run.exit_code, kExitRejected);
  EXPECT_EQ(run.Line("lines"), 5);
  EXPECT_EQ(run.Line("journaled"), 4);
  EXPECT_THAT(run.err, HasSubstr("line 5: unreadable: is longer than"));
  EXPECT_THAT(daemon_.seen().order, ElementsAre("a", "b", "c", "d"));
}

TEST_F(CliTest, AFolderEndsWith66) {
  const Finished run = Holdfast({"send", folder_, "--to=" + daemon_.address()});
  EXPECT_EQ(run.exit_code, kExitNoInput);
  EXPECT_THAT(run.err, HasSubstr("Is a directory"));
}

TEST_F(CliTest, WrongArgumentsEndWith64AndSayWhatIsWrong) {
  const auto expect = [&](const std::vector<std::string>& arguments, const std::string& text) {
    const Finished run = Holdfast(arguments);
    EXPECT_EQ(run.exit_code, kExitUsage) << text;
    EXPECT_THAT(run.err, HasSubstr(text));
  };
  expect({}, "holdfast COMMAND --help");
  expect({"sned"}, "no command sned");
  expect({"send"}, "FILE|- is missing");
  expect({"send", "a", "b"}, "unexpected argument b");
  expect({"send", "a", "--fast"}, "unknown flag --fast");
  expect({"send", "a", "--ack=later"}, "--ack=later");
  expect({"send", "a", "--format=xml"}, "--format=xml");
  expect({"send", "a", "--window=0"}, "--window=0");
  expect({"send", "a", "--producer_id=me"}, "not a UUID");
  expect({"send", "a", "--producer_id=00000000-0000-0000-0000-000000000000"}, "all zeros");
  expect({"send", "a", "--timeout=never"}, "--timeout=never");
  expect({"status", "now"}, "unexpected argument now");
  expect({"status", "--yaml"}, "unknown flag --yaml");
}

TEST_F(CliTest, AFileThatIsNotThereEndsWith66) {
  const Finished run = Holdfast({"send", Path("none"), "--to=" + daemon_.address()});
  EXPECT_EQ(run.exit_code, kExitNoInput);
}

TEST_F(CliTest, AFileThatCannotBeReadOnEndsWith66AndSaysHowFarItCame) {
  // A process's memory has no first page: the read fails, the opening does not.
  const Finished run = Holdfast({"send", "/proc/self/mem", "--to=" + daemon_.address()});
  EXPECT_EQ(run.exit_code, kExitNoInput);
  EXPECT_THAT(run.err, HasSubstr("After line 0: /proc/self/mem cannot be read on"));
}

TEST_F(CliTest, AByteOrderMarkIsPassedOver) {
  const Finished run =
      Holdfast({"send", Write("\xEF\xBB\xBF" + Usage("a")), "--to=" + daemon_.address()});
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_EQ(run.Line("journaled"), 1);
}

TEST_F(CliTest, HelpEndsWithZero) {
  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
           {"--help"}, {"send", "--help"}, {"status", "--help"}, {"send", "-h"}}) {
    const Finished run = Holdfast(arguments);
    EXPECT_EQ(run.exit_code, 0);
    EXPECT_THAT(run.out, HasSubstr("holdfast"));
  }
}

TEST_F(CliTest, ADayOfTrafficGoesFromOneToolToTheOther) {
  const Finished traffic =
      Run(HOLDFAST_TRAFFIC_PROGRAM, {"--events=2000", "--seed=3", "--expect=" + Path("expected")});
  ASSERT_EQ(traffic.exit_code, 0) << traffic.err;
  EXPECT_THAT(ReadAll(Path("expected")), HasSubstr("\"all\": 2000"));
  const Finished run = Holdfast({"send", Write(traffic.out), "--to=" + daemon_.address()});
  EXPECT_EQ(run.Line("lines"), 2000);
  EXPECT_EQ(run.Line("unreadable"), 0) << run.err;
}

TEST_F(CliTest, TrafficOfLongAgoNeedsHitsWithoutIds) {
  const std::vector<std::string> arguments = {"--events=10", "--day=2020-02-29"};
  const Finished with_ids = Run(HOLDFAST_TRAFFIC_PROGRAM, arguments);
  EXPECT_EQ(with_ids.exit_code, kExitUsage);
  EXPECT_THAT(with_ids.err, HasSubstr("--hits_without_ids"));
  const Finished without =
      Run(HOLDFAST_TRAFFIC_PROGRAM, {"--events=10", "--day=2020-02-29", "--hits_without_ids"});
  EXPECT_EQ(without.exit_code, 0);
  EXPECT_THAT(without.out, HasSubstr("2020-02-29T"));
}

v1::GetStatusResponse ExampleStatus() {
  v1::GetStatusResponse status;
  status.set_version("0.1.0");
  status.set_writer_id("pod-1");
  status.mutable_started_at()->set_seconds(1000);
  status.add_missing("no connection to the database: check MYSQL_HOST");
  status.mutable_books()->set_accepted(10);
  status.mutable_books()->set_committed(7);
  status.mutable_books()->set_pending(3);
  v1::LaneStatus& lane = *status.add_lanes();
  lane.set_lane("usage-1");
  lane.set_state(v1::LANE_STATE_STOPPED);
  lane.set_reason("table usage_records is missing: run --migrate");
  lane.mutable_oldest_age()->set_seconds(125);
  status.mutable_journal()->set_used_bytes(5 << 20);
  status.mutable_journal()->set_limit_bytes(1 << 30);
  status.mutable_journal()->set_full(true);
  return status;
}

TEST(StatusTest, TheReportSaysWhatIsMissingAndWhatIsNotKnown) {
  v1::GetStatusResponse status = ExampleStatus();
  const absl::Time now = absl::FromUnixSeconds(1090);
  const std::string unknown = FormatStatus(status, now);
  EXPECT_THAT(unknown,
              AllOf(HasSubstr("up 1m30s"), HasSubstr("NOT READY\n  no connection"),
                    HasSubstr("committed               ?"), HasSubstr("2m5s"), HasSubstr("STOPPED"),
                    HasSubstr("run --migrate"), HasSubstr("5.0 MiB of 1.0 GiB"), HasSubstr("FULL"),
                    HasSubstr("Database  not connected")));
  status.clear_missing();
  status.mutable_books()->set_complete(true);
  const std::string known = FormatStatus(status, now);
  EXPECT_THAT(known, AllOf(HasSubstr("\nReady\n"), HasSubstr("committed               7"),
                           Not(HasSubstr("adjusted"))));
}

class FakeAdmin final : public v1::AdminService::Service {
 public:
  grpc::Status GetStatus(grpc::ServerContext* /*context*/, const v1::GetStatusRequest* /*request*/,
                         v1::GetStatusResponse* response) override {
    *response = ExampleStatus();
    return grpc::Status::OK;
  }
};

TEST_F(CliTest, StatusOfADaemonThatIsNotReadyEndsWithOne) {
  FakeAdmin admin;
  const std::string address = "unix:" + Path("admin");
  grpc::ServerBuilder builder;
  builder.AddListeningPort(address, grpc::InsecureServerCredentials());
  builder.RegisterService(&admin);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();

  const Finished report = Holdfast({"status", "--to=" + address});
  EXPECT_EQ(report.exit_code, kExitRejected);
  EXPECT_THAT(report.out, HasSubstr("NOT READY"));
  const Finished json = Holdfast({"status", "--json", "--to=" + address});
  EXPECT_EQ(json.exit_code, kExitRejected);
  EXPECT_THAT(json.out, HasSubstr("\"writerId\": \"pod-1\""));
  const Finished absent = Holdfast({"status", "--to=unix:" + Path("absent"), "--timeout=1s"});
  EXPECT_EQ(absent.exit_code, kExitUnavailable);
  EXPECT_THAT(absent.err, HasSubstr("Is holdfastd running"));
}

}  // namespace
}  // namespace holdfast::client
