#include "tests/unit/daemon/running_daemon.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <grpcpp/grpcpp.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

#include "server/base/clock.h"
#include "server/event/event_id.h"

namespace holdfast::test {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(60);

bool Await(const std::function<bool()>& condition) {
  base::Clock& clock = base::SystemClock();
  const absl::Time end = clock.Steady() + kPatience;
  while (!condition()) {
    if (clock.Steady() > end) return false;
    clock.Sleep(absl::Milliseconds(5));
  }
  return true;
}

std::string ContentsOf(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::stringstream contents;
  contents << file.rdbuf();
  return contents.str();
}

}  // namespace

RunningDaemon::RunningDaemon() {
  folder_ = std::filesystem::path(testing::TempDir()) /
            ("daemon_" + event::FormatUuid(event::RandomUuid()));
  std::filesystem::create_directories(folder_);
  environment_ = {{"HOLDFAST_LISTEN", absl::StrCat("unix:", (folder_ / "s.sock").string())},
                  {"HOLDFAST_ADMIN_LISTEN", "127.0.0.1:0"},
                  {"HOLDFAST_JOURNAL_DIR", journal().string()},
                  {"HOLDFAST_JOURNAL_SEGMENT_BYTES", "4MiB"},
                  {"HOLDFAST_JOURNAL_MAX_BYTES", "64MiB"},
                  {"HOLDFAST_DRAIN_TIMEOUT", "300ms"},
                  // Nobody listens there.
                  {"MYSQL_SOCKET", (folder_ / "no-database.sock").string()},
                  // Sanitizers look into the process at its end.
                  {"HOLDFAST_ALLOW_CORE_DUMPS", "true"}};
}

RunningDaemon::~RunningDaemon() {
  if (pid_ != 0) {
    Signal(SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  std::filesystem::remove_all(folder_);
}

void RunningDaemon::Spawn(const std::vector<std::string>& flags) {
  std::vector<std::string> arguments = {HOLDFASTD};
  arguments.insert(arguments.end(), flags.begin(), flags.end());
  std::vector<std::string> variables;
  for (const auto& [name, value] : environment_) {
    variables.push_back(absl::StrCat(name, "=", value));
  }
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  std::vector<char*> envp;
  for (std::string& variable : variables) envp.push_back(variable.data());
  envp.push_back(nullptr);

  const std::string log = (folder_ / "log").string();
  const std::string text = (folder_ / "text").string();
  posix_spawn_file_actions_t files;
  ::posix_spawn_file_actions_init(&files);
  const int flags_of_files = O_WRONLY | O_CREAT | O_TRUNC;
  ::posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, text.c_str(), flags_of_files, 0600);
  ::posix_spawn_file_actions_addopen(&files, STDERR_FILENO, log.c_str(), flags_of_files, 0600);
  ASSERT_EQ(::posix_spawn(&pid_, HOLDFASTD, &files, nullptr, argv.data(), envp.data()), 0);
  ::posix_spawn_file_actions_destroy(&files);
}

bool RunningDaemon::Start(const std::vector<std::string>& flags) {
  Spawn(flags);
  return Await([this] { return absl::StrContains(Log(), " taking events version="); });
}

Ended RunningDaemon::Run(const std::vector<std::string>& flags) {
  Spawn(flags);
  return AwaitEnd();
}

void RunningDaemon::Signal(int signal) const { ::kill(pid_, signal); }

Ended RunningDaemon::AwaitEnd() {
  Ended ended;
  int status = 0;
  if (Await([&] { return ::waitpid(pid_, &status, WNOHANG) == pid_; })) {
    if (WIFEXITED(status)) ended.code = WEXITSTATUS(status);
    pid_ = 0;
  }
  ended.log = Log();
  ended.text = ContentsOf(folder_ / "text");
  return ended;
}

std::string RunningDaemon::Get(const std::string& path) const {
  const std::string log = Log();
  const size_t found = log.find(" admin=127.0.0.1:");
  int port = 0;
  if (found == std::string::npos) return "";
  const size_t start = found + std::string(" admin=127.0.0.1:").size();
  EXPECT_TRUE(absl::SimpleAtoi(log.substr(start, log.find(' ', start) - start), &port));
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  name.sin_port = htons(static_cast<uint16_t>(port));
  const int connection = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval patience{10, 0};
  ::setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  std::string answer;
  if (::connect(connection, reinterpret_cast<sockaddr*>(&name), sizeof name) == 0) {
    const std::string request = absl::StrCat("GET ", path, " HTTP/1.1\r\nHost: x\r\n\r\n");
    ::send(connection, request.data(), request.size(), MSG_NOSIGNAL);
    char buffer[4096];
    ssize_t count = 0;
    while ((count = ::recv(connection, buffer, sizeof buffer, 0)) > 0) {
      answer.append(buffer, static_cast<size_t>(count));
    }
  }
  ::close(connection);
  return answer;
}

bool RunningDaemon::AwaitAnswer(const std::string& path, const std::string& start) const {
  return Await([&] { return absl::StartsWith(Get(path), start); });
}

std::unique_ptr<v1::IngestService::Stub> RunningDaemon::NewStub() const {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return v1::IngestService::NewStub(grpc::CreateCustomChannel(
      environment_.at("HOLDFAST_LISTEN"), grpc::InsecureChannelCredentials(), arguments));
}

std::string RunningDaemon::Log() const { return ContentsOf(folder_ / "log"); }

}  // namespace holdfast::test
