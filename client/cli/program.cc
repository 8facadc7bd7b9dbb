#include "client/cli/program.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"

namespace holdfast::client {
namespace {

// A pipe that closes itself.
class Pipe {
 public:
  Pipe() {
    if (pipe2(ends_.data(), O_CLOEXEC) != 0) ends_ = {-1, -1};
  }
  ~Pipe() {
    CloseWriting();
    CloseReading();
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  int reading() const { return ends_[0]; }
  int writing() const { return ends_[1]; }
  void CloseReading() { Close(&ends_[0]); }
  void CloseWriting() { Close(&ends_[1]); }

 private:
  static void Close(int* fd) {
    if (*fd >= 0) close(*fd);
    *fd = -1;
  }
  std::array<int, 2> ends_{-1, -1};
};

// Takes what is there to read; closes at the end.
void Take(Pipe* pipe, std::string* text) {
  std::array<char, 16384> bytes{};
  const ssize_t got = read(pipe->reading(), bytes.data(), bytes.size());
  if (got > 0) text->append(bytes.data(), static_cast<size_t>(got));
  if (got == 0 || (got < 0 && errno != EINTR)) pipe->CloseReading();
}

// Reads both until both have ended; false if `deadline` came first.
bool ReadBoth(Pipe* output, Pipe* errors, absl::Time deadline, Ended* ended) {
  while (output->reading() >= 0 || errors->reading() >= 0) {
    std::array<pollfd, 2> waits = {pollfd{output->reading(), POLLIN, 0},
                                   pollfd{errors->reading(), POLLIN, 0}};
    const absl::Duration left = std::max(deadline - absl::Now(), absl::ZeroDuration());
    const int ready =
        poll(waits.data(), waits.size(), static_cast<int>(absl::ToInt64Milliseconds(left)));
    if (ready == 0) return false;
    if (ready < 0) continue;
    if (waits[0].revents != 0) Take(output, &ended->output);
    if (waits[1].revents != 0) Take(errors, &ended->errors);
  }
  return true;
}

int Wait(pid_t process) {
  int status = 0;
  while (waitpid(process, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

absl::StatusOr<Ended> RunProgram(const std::string& path, const std::vector<std::string>& arguments,
                                 absl::Duration timeout) {
  Pipe output;
  Pipe errors;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, output.writing(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, errors.writing(), STDERR_FILENO);
  std::vector<char*> words = {const_cast<char*>(path.c_str())};
  for (const std::string& argument : arguments)
    words.push_back(const_cast<char*>(argument.c_str()));
  words.push_back(nullptr);
  pid_t process = 0;
  const int failed = posix_spawn(&process, path.c_str(), &actions, nullptr, words.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) {
    return absl::UnavailableError(absl::StrCat(path, " cannot be run: ", std::strerror(failed)));
  }
  output.CloseWriting();
  errors.CloseWriting();
  Ended ended;
  if (!ReadBoth(&output, &errors, absl::Now() + timeout, &ended)) {
    kill(process, SIGKILL);
    // It is not waited for: one that hangs in a dead disk does not even end by that.
    return absl::DeadlineExceededError(
        absl::StrCat(path, " has not ended within ", absl::FormatDuration(timeout)));
  }
  ended.exit_code = Wait(process);
  return ended;
}

std::string FindProgram(const std::string& name) {
  std::vector<std::string> folders;
  std::array<char, PATH_MAX> self{};
  if (readlink("/proc/self/exe", self.data(), self.size() - 1) > 0) {
    const std::string path = self.data();
    folders.push_back(path.substr(0, path.rfind('/')));
  }
  const char* search = getenv("PATH");
  for (const absl::string_view folder : absl::StrSplit(search == nullptr ? "" : search, ':')) {
    if (!folder.empty()) folders.emplace_back(folder);
  }
  for (const std::string& folder : folders) {
    const std::string path = absl::StrCat(folder, "/", name);
    if (access(path.c_str(), X_OK) == 0) return path;
  }
  return "";
}

}  // namespace holdfast::client
