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

#include "client/cli/command.h"
#include "client/cli/completion_command.h"
#include "client/cli/flags.h"
#include "client/cli/status_command.h"
#include "client/cli/status_watch.h"
#include "tests/unit/client/fake_daemon.h"

namespace holdfast::client {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;

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
  expect({"status", "--watch", "--json"}, "choose one");
  expect({"status", "--times=3"}, "goes with --watch");
  expect({"loglevel", "loud"}, "loud is no level");
  expect({"circuits", "reset"}, "NAME is missing");
  expect({"quarantine", "show", "x"}, "x is no ID");
  expect({"quarantine", "replay"}, "which events?");
  expect({"quarantine", "replay", "1", "--all"}, "make one");
  expect({"quarantine", "replay", "1", "--kind=usage"}, "filters go with --all");
  expect({"quarantine", "replay", "--all", "--kind=toy"}, "--kind=toy");
  expect({"quarantine", "discard", "1"}, "--yes");
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

TEST(StatusTest, TheReportBeginsWithTheVerdictAndWhatToDo) {
  v1::GetStatusResponse status = ExampleStatus();
  v1::Summary& summary = *status.mutable_summary();
  summary.set_headline("The database is away.");
  summary.mutable_safe()->set_answer("Yes");
  summary.mutable_safe()->set_because("Every accepted event is here.");
  summary.mutable_flows()->set_answer("Held up");
  summary.mutable_flows()->set_because("Events wait.");
  v1::Problem& problem = *status.add_problems();
  problem.set_effect(v1::PROBLEM_EFFECT_DELAYING);
  problem.set_subject("database");
  problem.set_cause("The database cannot be reached.");
  problem.set_remedy("Bring it back.");
  EXPECT_THAT(FormatStatus(status, absl::FromUnixSeconds(1090)),
              AllOf(StartsWith("The database is away.\n"
                               "  Is my data safe? Yes. Every accepted event is here.\n"
                               "  Does it flow?    Held up. Events wait.\n"
                               "\nEvents wait (database)\n"
                               "  The database cannot be reached.\n"
                               "  What to do: Bring it back.\n"
                               "\nholdfastd 0.1.0"),
                    HasSubstr("\nNOT READY\n"), Not(HasSubstr("check MYSQL_HOST"))));
}

// Answers with one example of everything.
class FakeAdmin final : public v1::AdminService::Service {
 public:
  grpc::Status GetStatus(grpc::ServerContext* /*context*/, const v1::GetStatusRequest* /*request*/,
                         v1::GetStatusResponse* response) override {
    *response = ExampleStatus();
    return grpc::Status::OK;
  }
  // Three pages of one event each; the second is a conflict.
  grpc::Status ListQuarantine(grpc::ServerContext* /*context*/,
                              const v1::ListQuarantineRequest* request,
                              v1::ListQuarantineResponse* response) override {
    uint64_t id = 3;
    if (!request->page_token().empty()) id = std::stoul(request->page_token());
    if (request->quarantine_id() > 3) return grpc::Status::OK;
    v1::QuarantinedEvent& event = *response->add_events();
    event.set_quarantine_id(id);
    event.set_kind("usage");
    event.set_lane("usage-1");
    event.set_errno_code(id == 2 ? 0 : 1406);
    event.set_column(id == 2 ? "event_id" : "model");
    event.set_attempts(1);
    event.set_outcome(v1::QUARANTINE_OUTCOME_WAITING);
    if (request->include_content()) event.set_event_json("the content");
    if (id > 1) response->set_next_page_token(absl::StrCat(id - 1));
    return grpc::Status::OK;
  }
  grpc::Status ReplayQuarantine(grpc::ServerContext* /*context*/,
                                const v1::ReplayQuarantineRequest* request,
                                v1::ReplayQuarantineResponse* response) override {
    // One at a time, as if the time were up after each.
    const uint64_t id = request->quarantine_ids(0);
    replayed_.push_back(id);
    v1::QuarantineResult& result = *response->add_results();
    result.set_quarantine_id(id);
    result.set_changed(true);
    result.set_outcome(id == 2 ? v1::QUARANTINE_OUTCOME_WAITING : v1::QUARANTINE_OUTCOME_COMMITTED);
    result.set_reason(id == 2 ? "conflict" : "");
    if (request->quarantine_ids_size() > 1) response->set_stopped("the time is up");
    return grpc::Status::OK;
  }
  grpc::Status DiscardQuarantine(grpc::ServerContext* /*context*/,
                                 const v1::DiscardQuarantineRequest* /*request*/,
                                 v1::DiscardQuarantineResponse* /*response*/) override {
    return grpc::Status(grpc::StatusCode::UNAVAILABLE, "the database is away");
  }
  grpc::Status Audit(grpc::ServerContext* /*context*/, const v1::AuditRequest* /*request*/,
                     v1::AuditResponse* /*response*/) override {
    return grpc::Status(grpc::StatusCode::UNAVAILABLE, "the database cannot be audited");
  }

  const std::vector<uint64_t>& replayed() const { return replayed_; }

 private:
  std::vector<uint64_t> replayed_;
};

class AdminCliTest : public CliTest {
 protected:
  AdminCliTest() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort(to_.substr(5), grpc::InsecureServerCredentials());
    builder.RegisterService(&admin_);
    server_ = builder.BuildAndStart();
  }

  Finished Ask(std::vector<std::string> arguments) const {
    arguments.push_back(to_);
    return Holdfast(arguments);
  }

  FakeAdmin admin_;
  const std::string to_ = "--to=unix:" + Path("admin");
  std::unique_ptr<grpc::Server> server_;
};

TEST_F(AdminCliTest, TheQuarantineIsListedOverAllPagesAndWithoutContent) {
  const Finished all = Ask({"quarantine", "ls"});
  EXPECT_EQ(all.exit_code, kExitRejected);
  EXPECT_THAT(all.out, AllOf(HasSubstr("1406 model"), HasSubstr("conflict event_id"),
                             Not(HasSubstr("the content"))));
  const Finished some = Ask({"quarantine", "ls", "--errno=0", "--json"});
  EXPECT_THAT(some.out, AllOf(HasSubstr("\"quarantineId\":\"2\""), Not(HasSubstr("1406"))));
  const Finished none = Ask({"quarantine", "ls", "--kind=message"});
  EXPECT_EQ(none.exit_code, 0);
  EXPECT_THAT(none.out, HasSubstr("no event waits"));
  const Finished few = Ask({"quarantine", "ls", "--limit=1"});
  EXPECT_THAT(few.err, HasSubstr("--limit=N"));
}

TEST_F(AdminCliTest, ContentIsShownWhereItIsAskedFor) {
  EXPECT_THAT(Ask({"quarantine", "show", "3"}).out, HasSubstr("the content"));
  const Finished absent = Ask({"quarantine", "show", "17"});
  EXPECT_EQ(absent.exit_code, kExitRejected);
  EXPECT_THAT(absent.err, HasSubstr("there is no event 17"));
}

TEST_F(AdminCliTest, AllAreReplayedOldestFirstThoughTheDaemonDoesAFewAtATime) {
  const Finished run = Ask({"quarantine", "replay", "--all"});
  EXPECT_EQ(run.exit_code, kExitRejected);
  EXPECT_EQ(run.Line("committed"), 2);
  EXPECT_EQ(run.Line("refused again"), 1);
  EXPECT_THAT(run.err, HasSubstr("2: refused again: conflict"));
  EXPECT_THAT(admin_.replayed(), ElementsAre(1, 2, 3));
}

TEST_F(AdminCliTest, ADatabaseThatIsAwayIsNotTakenForAnAbsentDaemon) {
  const Finished run = Ask({"quarantine", "discard", "1", "--yes"});
  EXPECT_EQ(run.exit_code, kExitTemporary);
  EXPECT_THAT(run.err, AllOf(HasSubstr("the database is away"), HasSubstr("1 of 1"),
                             Not(HasSubstr("Is holdfastd running"))));
}

TEST_F(AdminCliTest, AnAuditWithoutADatabaseDoesNotBlameTheDaemon) {
  const Finished run = Ask({"audit"});
  EXPECT_EQ(run.exit_code, kExitTemporary);
  EXPECT_THAT(run.err, AllOf(HasSubstr("the database cannot be audited"),
                             HasSubstr("holdfast status"), Not(HasSubstr("Is holdfastd running"))));
}

TEST_F(AdminCliTest, AnOlderDaemonIsCalledThat) {
  const Finished run = Ask({"loglevel"});
  EXPECT_EQ(run.exit_code, kExitRejected);
  EXPECT_THAT(run.err, HasSubstr("older version"));
}

TEST_F(AdminCliTest, AWatchSaysOnlyWhatChanges) {
  const Finished run = Ask({"status", "--watch", "--every=10ms", "--times=3"});
  EXPECT_EQ(run.exit_code, kExitRejected);
  EXPECT_THAT(run.out, AllOf(HasSubstr("NOT READY"), HasSubstr("accepted 10")));
  const std::vector<std::string> lines = absl::StrSplit(run.out, '\n');
  EXPECT_THAT(lines, SizeIs(2));  // One, and what follows its end.
}

TEST(StatusTest, RatesAreEventsASecondAndLeaveOutWhatIsNotKnown) {
  v1::Books before;
  v1::Books now;
  before.set_accepted(10);
  now.set_accepted(40);
  EXPECT_EQ(FormatRates(before, now, absl::Seconds(2)), "accepted 15.0/s");
  before.set_complete(true);
  now.set_complete(true);
  now.set_committed(1);
  EXPECT_EQ(FormatRates(before, now, absl::Seconds(2)), "accepted 15.0/s, committed 0.5/s");
  EXPECT_EQ(FormatRates(before, now, absl::ZeroDuration()), "");
}

class CompletionTest : public CliTest {
 protected:
  CompletionTest() {
    const Finished printed = Holdfast({"completion", "bash"});
    EXPECT_EQ(printed.exit_code, 0) << printed.err;
    std::ofstream(Path("completion")) << printed.out;
  }

  // What a real bash offers for the last of `words`.
  std::string Complete(const std::vector<std::string>& words) {
    std::string script = absl::StrCat("source ", Path("completion"), "\nCOMP_WORDS=(");
    for (const std::string& word : words) absl::StrAppend(&script, "'", word, "' ");
    absl::StrAppend(&script, ")\nCOMP_CWORD=", words.size() - 1,
                    "\n_holdfast\nprintf '%s\\n' \"${COMPREPLY[@]}\"\n");
    const Finished run = Run("/bin/bash", {"--norc", "-c", script});
    EXPECT_EQ(run.err, "");
    return run.out;
  }
};

TEST_F(CompletionTest, ARealBashCompletesEveryCommandAndEveryFlag) {
  for (const Command* command : Commands()) {
    std::vector<std::string> words = absl::StrSplit(command->name, ' ');
    words.insert(words.begin(), "holdfast");
    for (size_t i = 1; i < words.size(); ++i) {
      const std::vector<std::string> typed(words.begin(), words.begin() + static_cast<int>(i));
      std::vector<std::string> begun = typed;
      begun.push_back(words[i].substr(0, 1));
      EXPECT_THAT(Complete(begun), HasSubstr(words[i] + "\n")) << command->name;
    }
    words.push_back("--");
    const std::string offered = Complete(words);
    for (const Flag& flag : FlagsOf(*command)) {
      EXPECT_THAT(offered, HasSubstr(absl::StrCat("--", flag.name))) << command->name;
    }
  }
}

TEST_F(CompletionTest, ValuesAndOperandsAreOfferedWhereTheyAreKnown) {
  EXPECT_EQ(Complete({"holdfast", "send", "--ack", "=", "c"}), "committed\n");
  EXPECT_EQ(Complete({"holdfast", "send", "--ack", "="}), "journaled\ncommitted\n");
  EXPECT_EQ(Complete({"holdfast", "loglevel", "w"}), "warning\n");
  EXPECT_EQ(Complete({"holdfast", "quarantine", "r"}), "replay\n");
  EXPECT_EQ(Complete({"holdfast", "nonsense", "x"}), "\n");
}

TEST_F(CompletionTest, TheOtherShellsKnowEveryCommandAndFlagToo) {
  for (const std::string& text : {ZshCompletion(), FishCompletion()}) {
    for (const Command* command : Commands()) {
      for (const absl::string_view word : absl::StrSplit(command->name, ' ')) {
        EXPECT_THAT(text, HasSubstr(std::string(word)));
      }
      for (const Flag& flag : FlagsOf(*command))
        EXPECT_THAT(text, HasSubstr(std::string(flag.name)));
    }
  }
  EXPECT_EQ(Holdfast({"completion", "zsh"}).out, ZshCompletion());
  EXPECT_EQ(Holdfast({"completion", "tcsh"}).exit_code, kExitUsage);
}

TEST_F(CliTest, EveryCommandHasAHelpThatNamesItsFlagsAndEndings) {
  const std::string overview = Holdfast({"--help"}).out;
  for (const Command* command : Commands()) {
    EXPECT_THAT(overview, HasSubstr(absl::StrCat("  ", command->name)));
    const std::string help = HelpOf(*command);
    for (const Flag& flag : FlagsOf(*command)) {
      EXPECT_THAT(help, HasSubstr(absl::StrCat("--", flag.name)));
      EXPECT_FALSE(flag.help.empty()) << command->name << " " << flag.name;
    }
    EXPECT_FALSE(command->endings.empty()) << command->name;
    for (const absl::string_view line : absl::StrSplit(help, '\n')) {
      EXPECT_LE(line.size(), 100u) << command->name;
    }
  }
  EXPECT_THAT(Holdfast({"quarantine", "--help"}).out, HasSubstr("quarantine replay"));
  EXPECT_EQ(Holdfast({"quarantine"}).exit_code, kExitUsage);
  EXPECT_THAT(Holdfast({"quarantine", "rm"}).err, HasSubstr("no command quarantine rm"));
  EXPECT_THAT(Holdfast({"help", "quarantine", "show"}).out,
              HasSubstr("holdfast quarantine show ID"));
}

TEST_F(AdminCliTest, StatusOfADaemonThatIsNotReadyEndsWithOne) {
  const Finished report = Ask({"status"});
  EXPECT_EQ(report.exit_code, kExitRejected);
  EXPECT_THAT(report.out, HasSubstr("NOT READY"));
  const Finished json = Ask({"status", "--json"});
  EXPECT_EQ(json.exit_code, kExitRejected);
  EXPECT_THAT(json.out, HasSubstr("\"writerId\": \"pod-1\""));
  const Finished absent = Holdfast({"status", "--to=unix:" + Path("absent"), "--timeout=1s"});
  EXPECT_EQ(absent.exit_code, kExitUnavailable);
  EXPECT_THAT(absent.err, HasSubstr("Is holdfastd running"));
}

}  // namespace
}  // namespace holdfast::client
