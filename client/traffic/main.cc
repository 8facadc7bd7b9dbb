// The command-line tool `holdfast-traffic`: a day's realistic traffic, and what must come of it.

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

#include "client/cli/flags.h"
#include "client/traffic/generator.h"

namespace {

using ::holdfast::client::Arguments;
using ::holdfast::client::FlagSpec;
using ::holdfast::traffic::Generator;
using ::holdfast::traffic::GeneratorOptions;

constexpr char kHelp[] =
    R"(Prints a day of a gateway's traffic, one event on each line, for `holdfast send`. The same
flags print the same lines.

  holdfast-traffic --events=N [flags] | holdfast send -

Flags:
  --events=N           Lines to print. Required.
  --seed=N             Another number, another day. Default: 1
  --day=YYYY-MM-DD     The day, UTC. Default: yesterday
  --duplicates=PERCENT Of 100 lines, those that repeat an earlier one word for word. Default: 0
  --poison=K           Lines that must not reach their table: events that the daemon refuses, and
                       ids that were used before, with other content (quarantine). Default: 0
  --hits_without_ids   Leaves out the event_id of hits. Needed for a --day more than 6 days ago,
                       because a daemon refuses such ids.
  --expect=FILE        Writes what the database must hold once every line has arrived, however
                       often and through however many daemons (with --poison: through one daemon,
                       in order, first; of two contents for one id the first one counts).
  --help               Shows this.

Ends with 0; 64 if the arguments are wrong; 74 if it could not write.
)";

constexpr int kExitWrite = 74;
constexpr absl::Duration kIdAgeMax = absl::Hours(6 * 24);

absl::StatusOr<GeneratorOptions> ReadOptions(const Arguments& arguments) {
  GeneratorOptions options;
  const auto events = arguments.GetNumber("events", 0, 1);
  if (!events.ok()) return events.status();
  options.events = *events;
  if (options.events == 0 || !arguments.positional().empty()) {
    return absl::InvalidArgumentError("--events=N is needed, and nothing that is not a flag");
  }
  const auto seed = arguments.GetNumber("seed", options.seed, 0);
  if (!seed.ok()) return seed.status();
  options.seed = *seed;
  const auto poison = arguments.GetNumber("poison", 0, 0);
  if (!poison.ok()) return poison.status();
  options.poison = *poison;
  if (options.poison >= options.events) {
    return absl::InvalidArgumentError("--poison must be below --events");
  }
  const auto duplicates = arguments.GetNumber("duplicates", 0, 0);
  if (!duplicates.ok()) return duplicates.status();
  options.duplicates_percent = *duplicates;
  if (options.duplicates_percent > 90) {
    return absl::InvalidArgumentError("--duplicates must be 0 to 90");
  }
  options.hits_have_ids = !arguments.Has("hits_without_ids");

  const absl::Time now = absl::Now();
  const std::string yesterday =
      absl::FormatTime("%Y-%m-%d", now - absl::Hours(24), absl::UTCTimeZone());
  const std::string text = arguments.Get("day", yesterday);
  absl::Time day;
  std::string error;
  if (!absl::ParseTime("%Y-%m-%d", text, &day, &error) ||
      day < absl::UnixEpoch() + absl::Hours(24) || day == absl::InfiniteFuture()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--day=", text, " is not a day after 1970-01-01"));
  }
  if (options.hits_have_ids && now - day > kIdAgeMax) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--day=", text, " is more than 6 days ago: a daemon refuses hits with ids as old as that; ",
        "add --hits_without_ids"));
  }
  options.day_begin_ms = absl::ToUnixMillis(day);
  return options;
}

bool Print(Generator& generator) {
  constexpr size_t kChunkBytes = 1 << 20;
  std::string chunk;
  bool more = true;
  while (more) {
    more = generator.Next(&chunk);
    if (chunk.size() < kChunkBytes && more) continue;
    if (fwrite(chunk.data(), 1, chunk.size(), stdout) != chunk.size()) return false;
    chunk.clear();
  }
  return fflush(stdout) == 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<FlagSpec> known = {{"events", true}, {"seed", true},
                                       {"day", true},    {"duplicates", true},
                                       {"poison", true}, {"hits_without_ids", false},
                                       {"expect", true}, {"help", false}};
  const absl::StatusOr<Arguments> arguments =
      Arguments::Parse(std::vector<std::string>(argv + 1, argv + argc), known);
  if (arguments.ok() && arguments->Has("help")) {
    std::cout << kHelp;
    return holdfast::client::kExitOk;
  }
  const absl::StatusOr<GeneratorOptions> options =
      arguments.ok() ? ReadOptions(*arguments)
                     : absl::StatusOr<GeneratorOptions>(arguments.status());
  if (!options.ok()) {
    std::cerr << "holdfast-traffic: " << options.status().message()
              << "\n`holdfast-traffic --help` explains all flags.\n";
    return holdfast::client::kExitUsage;
  }
  Generator generator(*options);
  if (!Print(generator)) {
    std::cerr << "holdfast-traffic: cannot write: " << strerror(errno) << "\n";
    return kExitWrite;
  }
  if (arguments->Has("expect")) {
    std::ofstream file(arguments->Get("expect", ""));
    file << generator.ledger().ToJson();
    file.close();
    if (file.fail()) {
      std::cerr << "holdfast-traffic: cannot write " << arguments->Get("expect", "") << "\n";
      return kExitWrite;
    }
  }
  return holdfast::client::kExitOk;
}
