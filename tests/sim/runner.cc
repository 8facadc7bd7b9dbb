#include "tests/sim/runner.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"

#include "server/base/check.h"
#include "tests/sim/shared_page.h"
#include "tests/sim/world.h"

namespace holdfast::sim {
namespace {

double SecondsNow() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// The daemon's log: it would speak of nothing but the faults that are meant.
void Hush() {
  if (std::freopen("/dev/null", "w", stderr) == nullptr) _exit(2);
}

// What the workers share.
struct Board {
  std::atomic<uint64_t> next_seed;
  std::atomic<uint64_t> lives;
  std::atomic<bool> stop;
  struct Worker {
    std::atomic<uint64_t> seed;  // Under way.
    std::atomic<bool> failed;
    Report report;
  };
  static constexpr int kWorkersMax = 64;
  Worker workers[kWorkersMax];
};

void Work(const RunOptions& options, double end, Board& board, Board::Worker& mine) {
  while (!board.stop && board.lives < options.lives) {
    if (end > 0 && SecondsNow() >= end) return;
    const uint64_t seed = board.next_seed++;
    mine.seed = seed;
    const Outcome outcome = RunPlan(MakePlan(seed, kLivesOfASeed));
    mine.report.Add(outcome.report);
    board.lives += outcome.report.lives;
    if (outcome.failure.empty()) continue;
    mine.failed = true;
    board.stop = true;
    return;
  }
}

// In a process of its own: what ends a process, such as a broken invariant of the daemon, is a
// finding as well.
bool FailsApart(const Plan& plan) {
  std::fflush(nullptr);
  const pid_t child = fork();
  HOLDFAST_CHECK(child >= 0);
  if (child == 0) {
    Hush();
    _exit(RunPlan(plan).failure.empty() ? 0 : 1);
  }
  int status = 0;
  HOLDFAST_CHECK(waitpid(child, &status, 0) == child);
  return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

int Replay(const Plan& plan) {
  std::printf("seed %llu: %s\n", static_cast<unsigned long long>(plan.seed),
              plan.profile.Text().c_str());
  const Outcome outcome = RunPlan(plan, [](const std::string& line) {
    std::printf("  %s\n", line.c_str());
    std::fflush(stdout);
  });
  if (outcome.failure.empty()) {
    std::printf("every claim held; trace %016llx\n",
                static_cast<unsigned long long>(outcome.trace));
    return 0;
  }
  std::printf("FAILED: %s\n", outcome.failure.c_str());
  return 1;
}

// What failed, as short as it gets.
void Show(uint64_t seed) {
  const Plan plan = MakePlan(seed, kLivesOfASeed);
  std::printf("seed %llu failed; shrinking it\n", static_cast<unsigned long long>(seed));
  const Plan shorter = Shrink(plan, 400);
  std::printf("%zu of %zu actions are left\n", shorter.actions.size(), plan.actions.size());
  std::fflush(stdout);
  const pid_t child = fork();
  HOLDFAST_CHECK(child >= 0);
  if (child == 0) {
    const int status = Replay(shorter);
    std::fflush(nullptr);
    _exit(status);
  }
  int status = 0;
  HOLDFAST_CHECK(waitpid(child, &status, 0) == child);
  if (!WIFEXITED(status)) std::printf("FAILED: the process died there\n");
  std::printf("replay: tests/sim/run --seed %llu\n", static_cast<unsigned long long>(seed));
}

void Write(const std::string& file, const std::string& text) {
  if (file.empty()) return;
  std::ofstream out(file, std::ios::trunc);
  out << text;
  if (!out.flush()) std::fprintf(stderr, "cannot write %s\n", file.c_str());
}

}  // namespace

Plan Shrink(const Plan& plan, int attempts_max) {
  Plan shortest = plan;
  int attempts = 0;
  for (size_t length = plan.actions.size() / 2; length > 0;) {
    bool shorter = false;
    for (size_t begin = 0; begin < shortest.actions.size() && attempts < attempts_max;) {
      Plan candidate = shortest;
      const size_t end = std::min(begin + length, candidate.actions.size());
      candidate.actions.erase(candidate.actions.begin() + static_cast<std::ptrdiff_t>(begin),
                              candidate.actions.begin() + static_cast<std::ptrdiff_t>(end));
      ++attempts;
      if (FailsApart(candidate)) {
        shortest = std::move(candidate);
        shorter = true;
      } else {
        begin = end;
      }
    }
    if (attempts >= attempts_max) break;
    if (!shorter || length > shortest.actions.size()) length /= 2;
  }
  return shortest;
}

int Run(const RunOptions& options) {
  if (options.only_seed.has_value()) {
    const Plan plan = MakePlan(*options.only_seed, kLivesOfASeed);
    if (!FailsApart(plan)) return Replay(plan);
    Show(*options.only_seed);
    return 1;
  }
  HOLDFAST_CHECK(options.jobs >= 1 && options.jobs <= Board::kWorkersMax);
  const SharedPage<Board> board;
  board->next_seed = options.first_seed;
  const double begin = SecondsNow();
  const double end = options.minutes > 0 ? begin + options.minutes * 60 : 0;
  std::vector<pid_t> workers;
  for (int i = 0; i < options.jobs; ++i) {
    const pid_t child = fork();
    HOLDFAST_CHECK(child >= 0);
    if (child == 0) {
      Hush();
      Work(options, end, *board, board->workers[i]);
      _exit(0);
    }
    workers.push_back(child);
  }
  Report report;
  std::vector<uint64_t> failed;
  for (int i = 0; i < options.jobs; ++i) {
    Board::Worker& worker = board->workers[i];
    int status = 0;
    HOLDFAST_CHECK(waitpid(workers[static_cast<size_t>(i)], &status, 0) ==
                   workers[static_cast<size_t>(i)]);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) worker.failed = true;
    if (worker.failed) {
      failed.push_back(worker.seed);
      board->stop = true;
    }
    report.Add(worker.report);
  }
  const double seconds = SecondsNow() - begin;
  const std::string json = ToJson(report, seconds, options.jobs, options.first_seed);
  Write(options.json_file, json);
  std::printf("%s%.0f lives a second\n", json.c_str(), static_cast<double>(report.lives) / seconds);
  for (const uint64_t seed : failed) Show(seed);
  return failed.empty() ? 0 : 1;
}

}  // namespace holdfast::sim
