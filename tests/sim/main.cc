// tests/sim/run, the program behind it: see there.

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/string_view.h"

#include "server/base/log.h"
#include "tests/sim/runner.h"

namespace {

[[noreturn]] void Usage() {
  std::fprintf(stderr,
               "usage: simulate [--seed N] [--first N] [--lives N] [--minutes M] [--jobs J]\n"
               "                [--json FILE]\n");
  std::exit(64);
}

uint64_t Number(const char* text) {
  uint64_t number = 0;
  if (text == nullptr || !absl::SimpleAtoi(text, &number)) Usage();
  return number;
}

}  // namespace

int main(int argc, char** argv) {
  holdfast::sim::RunOptions options;
  holdfast::base::SetLogLevel(holdfast::base::LogLevel::kError);
  for (int i = 1; i < argc; i += 2) {
    const absl::string_view flag = argv[i];
    const char* const value = i + 1 < argc ? argv[i + 1] : nullptr;
    if (flag == "--seed") {
      options.only_seed = Number(value);
    } else if (flag == "--first") {
      options.first_seed = Number(value);
    } else if (flag == "--lives") {
      options.lives = Number(value);
    } else if (flag == "--minutes") {
      options.minutes = static_cast<double>(Number(value));
      options.lives = UINT64_MAX;
    } else if (flag == "--jobs") {
      options.jobs = static_cast<int>(Number(value));
    } else if (flag == "--json" && value != nullptr) {
      options.json_file = value;
    } else {
      Usage();
    }
  }
  return holdfast::sim::Run(options);
}
