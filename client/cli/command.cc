#include "client/cli/command.h"

#include <algorithm>
#include <iostream>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/types/span.h"

#include "client/cli/connection.h"

namespace holdfast::client {
namespace {

// The command that the words begin with, or nullptr.
const Command* Find(const std::vector<std::string>& words) {
  const auto begins = [&words](const Command* command, size_t count) {
    return words.size() >= count &&
           command->name == absl::StrJoin(absl::MakeConstSpan(words).first(count), " ");
  };
  for (const Command* command : Commands()) {
    if (begins(command, 1) || begins(command, 2)) return command;
  }
  return nullptr;
}

bool IsFamily(absl::string_view word) {
  for (const Command* command : Commands()) {
    if (absl::StartsWith(command->name, absl::StrCat(word, " "))) return true;
  }
  return false;
}

bool AsksForHelp(absl::string_view word) {
  return word == "--help" || word == "-h" || word == "help";
}

absl::Status CheckOperands(const Command& command, const Arguments& arguments) {
  const std::vector<std::string>& given = arguments.positional();
  if (given.size() < command.operands_min) {
    return absl::InvalidArgumentError(absl::StrCat(command.operands, " is missing"));
  }
  if (given.size() > command.operands_max) {
    return absl::InvalidArgumentError(
        absl::StrCat("unexpected argument ", given[command.operands_max]));
  }
  return absl::OkStatus();
}

int Run(const Command& command, const std::vector<std::string>& words) {
  std::vector<FlagSpec> known;
  for (const Flag& flag : FlagsOf(command)) known.push_back({flag.name, !flag.value.empty()});
  const absl::StatusOr<Arguments> arguments = Arguments::Parse(words, known);
  if (arguments.ok() && arguments->Has("help")) {
    std::cout << HelpOf(command);
    return kExitOk;
  }
  absl::Status fault = arguments.status();
  if (fault.ok()) fault = CheckOperands(command, *arguments);
  const absl::StatusOr<int> code =
      fault.ok() ? command.run(*arguments) : absl::StatusOr<int>(fault);
  if (code.ok()) return *code;
  std::cerr << "holdfast " << command.name << ": " << code.status().message() << "\n`holdfast "
            << command.name << " --help` explains all flags.\n";
  return kExitUsage;
}

// No command: what the words ask for, or what is wrong with them.
int Explain(const std::vector<std::string>& words) {
  const std::string first = words.empty() ? "" : words[0];
  const bool is_family = !first.empty() && IsFamily(first);
  if (is_family && (words.size() == 1 || AsksForHelp(words[1]))) {
    std::ostream& out = words.size() == 1 ? std::cerr : std::cout;
    out << Overview(first);
    return words.size() == 1 ? kExitUsage : kExitOk;
  }
  if (AsksForHelp(first) && words.size() == 1) {
    std::cout << Overview("");
    return kExitOk;
  }
  if (!first.empty()) {
    std::cerr << "holdfast: there is no command " << first
              << (is_family ? absl::StrCat(" ", words[1]) : "") << "\n";
  }
  std::cerr << Overview(is_family ? first : "");
  return kExitUsage;
}

}  // namespace

Flag ToFlag() {
  return {.name = "to",
          .value = "ADDRESS",
          .help =
              "Where the daemon listens: unix:/path or host:port. Default: $HOLDFAST_LISTEN, "
              "else unix:/run/holdfast/holdfast.sock"};
}

std::vector<Flag> FlagsOf(const Command& command) {
  std::vector<Flag> flags = command.flags;
  const bool calls =
      std::any_of(flags.begin(), flags.end(), [](const Flag& flag) { return flag.name == "to"; });
  if (calls) flags.insert(flags.end(), TlsFlags().begin(), TlsFlags().end());
  flags.push_back({.name = "help", .help = "Shows this."});
  return flags;
}

Flag TimeoutFlag(absl::string_view help) {
  return {.name = "timeout", .value = "TIME", .help = help};
}

int RunTool(const std::vector<std::string>& words) {
  // `holdfast help COMMAND` asks what `holdfast COMMAND --help` does.
  if (words.size() > 1 && words[0] == "help") {
    std::vector<std::string> asked(words.begin() + 1, words.end());
    asked.push_back("--help");
    return RunTool(asked);
  }
  const Command* command = Find(words);
  if (command == nullptr) return Explain(words);
  const ptrdiff_t taken = absl::StrContains(command->name, ' ') ? 2 : 1;
  return Run(*command, {words.begin() + taken, words.end()});
}

}  // namespace holdfast::client
