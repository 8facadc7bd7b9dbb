#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"

#include "client/cli/command.h"

namespace holdfast::client {
namespace {

constexpr size_t kWidth = 100;

// A name in its column, and a text beside it that is wrapped at the edge.
std::string Entry(absl::string_view name, size_t column, absl::string_view text) {
  std::string entry = absl::StrCat("  ", name);
  size_t at = entry.size();
  if (at + 2 > column) {
    absl::StrAppend(&entry, "\n");
    at = 0;
  }
  entry.append(column - at, ' ');
  at = column;
  for (const absl::string_view word : absl::StrSplit(text, ' ', absl::SkipEmpty())) {
    if (at > column && at + 1 + word.size() > kWidth) {
      absl::StrAppend(&entry, "\n", std::string(column, ' '));
      at = column;
    }
    absl::StrAppend(&entry, at > column ? " " : "", word);
    at += (at > column ? 1 : 0) + word.size();
  }
  return entry + "\n";
}

std::string Spelled(const Flag& flag) {
  return absl::StrCat("--", flag.name, flag.value.empty() ? "" : "=", flag.value);
}

absl::string_view TitleOf(CommandGroup group) {
  switch (group) {
    case CommandGroup::kEvents:
      return "Events";
    case CommandGroup::kLooking:
      return "What the daemon is doing";
    case CommandGroup::kMending:
      return "Mending and stopping";
    case CommandGroup::kTool:
      return "This tool";
  }
  return "";
}

std::string Usage(const Command& command) {
  return absl::StrCat("holdfast ", command.name, command.operands.empty() ? "" : " ",
                      command.operands, command.flags.empty() ? "" : " [flags]");
}

}  // namespace

std::string Overview(absl::string_view family) {
  const std::string prefix = family.empty() ? "" : absl::StrCat(family, " ");
  std::vector<std::pair<const Command*, std::string>> shown;
  size_t column = 0;
  for (const Command* command : Commands()) {
    if (!absl::StartsWith(command->name, prefix)) continue;
    shown.emplace_back(command, absl::StrCat(command->name, command->operands.empty() ? "" : " ",
                                             command->operands));
    column = std::max(column, shown.back().second.size() + 4);
  }
  std::string text =
      "holdfast talks to holdfastd, the daemon that brings a gateway's events into MySQL.\n";
  if (!family.empty()) text = absl::StrCat("holdfast ", family, " has these commands:\n\n");
  for (size_t i = 0; i < shown.size(); ++i) {
    const CommandGroup group = shown[i].first->group;
    if (family.empty() && (i == 0 || shown[i - 1].first->group != group)) {
      absl::StrAppend(&text, "\n", TitleOf(group), "\n");
    }
    text += Entry(shown[i].second, column, shown[i].first->summary);
  }
  absl::StrAppend(&text, "\n`holdfast ",
                  family.empty() ? "COMMAND" : absl::StrCat(prefix, "COMMAND"),
                  " --help` explains a command.");
  if (family.empty()) {
    absl::StrAppend(&text,
                    " The daemon is sought where --to=ADDRESS or\n$HOLDFAST_LISTEN says, else at "
                    "unix:/run/holdfast/holdfast.sock.");
  }
  return text + "\n";
}

std::string HelpOf(const Command& command) {
  std::string text = absl::StrCat(command.description, "\n  ", Usage(command), "\n\nFlags:\n");
  const std::vector<Flag> flags = FlagsOf(command);
  size_t column = 0;
  for (const Flag& flag : flags) column = std::max(column, Spelled(flag).size() + 4);
  for (const Flag& flag : flags) text += Entry(Spelled(flag), column, flag.help);
  std::vector<Ending> endings = command.endings;
  endings.push_back({kExitUsage, "the arguments are wrong"});
  const bool calls = flags.size() > command.flags.size() + 1;
  if (calls && std::any_of(endings.begin(), endings.end(),
                           [](const Ending& ending) { return ending.code == kExitUnavailable; })) {
    endings.push_back({kExitNoInput, "a file of a --tls_ flag cannot be used"});
  }
  std::stable_sort(endings.begin(), endings.end(),
                   [](const Ending& a, const Ending& b) { return a.code < b.code; });
  absl::StrAppend(&text, "\nEnds with:\n");
  for (const Ending& ending : endings) {
    text += Entry(absl::StrFormat("%2d", ending.code), 6, ending.when);
  }
  return text;
}

}  // namespace holdfast::client
