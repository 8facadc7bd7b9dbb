#include "client/cli/completion_command.h"

#include <algorithm>
#include <iostream>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"

namespace holdfast::client {
namespace {

// The first words of all commands, each once, in order.
std::vector<std::string> FirstWords() {
  std::vector<std::string> words;
  for (const Command* command : Commands()) {
    const std::string word(command->name.substr(0, command->name.find(' ')));
    if (words.empty() || words.back() != word) {
      if (std::find(words.begin(), words.end(), word) == words.end()) words.push_back(word);
    }
  }
  return words;
}

std::vector<std::string> SecondWords(absl::string_view first) {
  std::vector<std::string> words;
  for (const Command* command : Commands()) {
    const std::vector<std::string> name = absl::StrSplit(command->name, ' ');
    if (name.size() == 2 && name[0] == first) words.push_back(name[1]);
  }
  return words;
}

// The flags as they are typed; one that takes a value ends with "=".
std::vector<std::string> FlagWords(const Command& command) {
  std::vector<std::string> words;
  for (const Flag& flag : FlagsOf(command)) {
    words.push_back(absl::StrCat("--", flag.name, flag.value.empty() ? "" : "="));
  }
  return words;
}

// One line of bash that fills `words` with what may follow `--flag=`.
std::string BashValues(const Flag& flag) {
  if (!flag.choices.empty()) {
    return absl::StrCat("words=\"", absl::StrJoin(flag.choices, " "), "\"");
  }
  if (flag.kind == WordKind::kFile) return "files=-f";
  if (flag.kind == WordKind::kFolder) return "files=-d";
  return ":";
}

std::string BashCase(const Command& command) {
  std::string text = absl::StrCat("    \"", command.name, "\")\n      flags=\"",
                                  absl::StrJoin(FlagWords(command), " "), "\"\n");
  std::string values;
  for (const Flag& flag : FlagsOf(command)) {
    if (flag.value.empty()) continue;
    absl::StrAppend(&values, "        --", flag.name, ") ", BashValues(flag), " ;;\n");
  }
  if (!values.empty()) absl::StrAppend(&text, "      case \"$flag\" in\n", values, "      esac\n");
  if (!command.operand_choices.empty()) {
    absl::StrAppend(&text, "      operands=\"", absl::StrJoin(command.operand_choices, " "),
                    "\"\n");
  }
  if (command.operand_kind == WordKind::kFile) absl::StrAppend(&text, "      operand_files=-f\n");
  if (command.operand_kind == WordKind::kFolder) {
    absl::StrAppend(&text, "      operand_files=-d\n");
  }
  return text + "      ;;\n";
}

constexpr char kBashHead[] = R"(# Completion of holdfast in bash; from `holdfast completion bash`.
# bash takes "=" for the end of a word, so "--flag=val" arrives as three of them.
_holdfast() {
  local current="${COMP_WORDS[COMP_CWORD]}" flag="" words="" files="" flags="" operands=""
  local operand_files=""
  if [ "$current" = "=" ]; then
    flag="${COMP_WORDS[COMP_CWORD-1]}" current=""
  elif [ "$COMP_CWORD" -ge 2 ] && [ "${COMP_WORDS[COMP_CWORD-1]}" = "=" ]; then
    flag="${COMP_WORDS[COMP_CWORD-2]}"
  fi
  COMPREPLY=()
)";

constexpr char kBashTail[] = R"(  if [ -n "$flag" ]; then
    :
  elif [ "${current:0:1}" = "-" ]; then
    words="$flags"
  else
    words="$operands" files="$operand_files"
  fi
  [ -n "$words" ] && COMPREPLY=($(compgen -W "$words" -- "$current"))
  [ -n "$files" ] && COMPREPLY+=($(compgen $files -- "$current"))
  if [ "${#COMPREPLY[@]}" -eq 1 ] && [ "${COMPREPLY[0]: -1}" = "=" ]; then
    compopt -o nospace 2>/dev/null
  fi
  return 0
}
complete -o default -F _holdfast holdfast
)";

// For a description between quotes of zsh or fish.
std::string Quotable(absl::string_view text) {
  return absl::StrReplaceAll(text, {{"'", "’"}, {"[", "("}, {"]", ")"}, {":", " -"}, {"\\", ""}});
}

std::string ZshFlag(const Flag& flag) {
  std::string text = absl::StrCat("      '--", flag.name, flag.value.empty() ? "" : "=-", "[",
                                  Quotable(flag.help), "]");
  if (flag.value.empty()) return text + "'";
  std::string action = " ";
  if (!flag.choices.empty()) action = absl::StrCat("(", absl::StrJoin(flag.choices, " "), ")");
  if (flag.kind == WordKind::kFile) action = "_files";
  if (flag.kind == WordKind::kFolder) action = "_files -/";
  return absl::StrCat(text, ":", flag.value, ":", action, "'");
}

std::string ZshCase(const Command& command) {
  std::string text = absl::StrCat("    '", command.name, "') _arguments \\\n");
  const std::vector<Flag> flags = FlagsOf(command);
  for (size_t i = 0; i < flags.size(); ++i) {
    absl::StrAppend(&text, i == 0 ? "" : " \\\n", ZshFlag(flags[i]));
  }
  if (command.operands_max > 0) {
    std::string action = " ";
    if (!command.operand_choices.empty()) {
      action = absl::StrCat("(", absl::StrJoin(command.operand_choices, " "), ")");
    } else if (command.operand_kind != WordKind::kAny) {
      action = command.operand_kind == WordKind::kFile ? "_files" : "_files -/";
    }
    absl::StrAppend(&text, " \\\n      '*:", Quotable(command.operands), ":", action, "'");
  }
  return text + " ;;\n";
}

// The condition under which fish offers what belongs to a command.
std::string FishCondition(const Command& command) {
  std::string condition;
  for (const absl::string_view word : absl::StrSplit(command.name, ' ')) {
    absl::StrAppend(&condition, condition.empty() ? "" : "; and ", "__fish_seen_subcommand_from ",
                    word);
  }
  return condition;
}

absl::StatusOr<int> RunCompletion(const Arguments& arguments) {
  const std::string& shell = arguments.positional()[0];
  if (shell == "bash") {
    std::cout << BashCompletion();
  } else if (shell == "zsh") {
    std::cout << ZshCompletion();
  } else if (shell == "fish") {
    std::cout << FishCompletion();
  } else {
    return absl::InvalidArgumentError(
        absl::StrCat(shell, " is no shell that is known here: bash, zsh or fish is needed"));
  }
  return kExitOk;
}

}  // namespace

std::string BashCompletion() {
  std::string text = kBashHead;
  absl::StrAppend(&text, "  if [ \"$COMP_CWORD\" -eq 1 ]; then\n    COMPREPLY=($(compgen -W \"",
                  absl::StrJoin(FirstWords(), " "),
                  " help --help\" -- \"$current\"))\n    return 0\n  fi\n"
                  "  local command=\"${COMP_WORDS[1]}\"\n  case \"$command\" in\n");
  for (const std::string& first : FirstWords()) {
    const std::vector<std::string> seconds = SecondWords(first);
    if (seconds.empty()) continue;
    absl::StrAppend(&text, "    ", first, ")\n      if [ \"$COMP_CWORD\" -eq 2 ]; then\n",
                    "        COMPREPLY=($(compgen -W \"", absl::StrJoin(seconds, " "),
                    " --help\" -- \"$current\"))\n        return 0\n      fi\n",
                    "      command=\"$command ${COMP_WORDS[2]}\"\n      ;;\n");
  }
  absl::StrAppend(&text, "  esac\n  case \"$command\" in\n");
  for (const Command* command : Commands()) text += BashCase(*command);
  return absl::StrCat(text, "  esac\n", kBashTail);
}

std::string ZshCompletion() {
  std::string text =
      "#compdef holdfast\n# Completion of holdfast in zsh; from `holdfast completion zsh`.\n"
      "_holdfast() {\n  local command=\"$words[2]\"\n  if (( CURRENT == 2 )); then\n"
      "    local -a commands=(\n";
  for (const std::string& first : FirstWords()) {
    std::string summary;
    for (const Command* command : Commands()) {
      if (command->name == first) summary = std::string(command->summary);
    }
    if (summary.empty()) summary = absl::StrJoin(SecondWords(first), ", ");
    absl::StrAppend(&text, "      '", first, ":", Quotable(summary), "'\n");
  }
  absl::StrAppend(&text, "    )\n    _describe command commands\n    return\n  fi\n",
                  "  case \"$command\" in\n");
  for (const std::string& first : FirstWords()) {
    const std::vector<std::string> seconds = SecondWords(first);
    if (seconds.empty()) continue;
    absl::StrAppend(&text, "    ", first, ")\n      if (( CURRENT == 3 )); then\n",
                    "        compadd -- ", absl::StrJoin(seconds, " "),
                    "\n        return\n      fi\n      command=\"$command $words[3]\"\n",
                    "      shift words; (( CURRENT-- )) ;;\n");
  }
  absl::StrAppend(&text, "  esac\n  shift words; (( CURRENT-- ))\n  case \"$command\" in\n");
  for (const Command* command : Commands()) text += ZshCase(*command);
  return absl::StrCat(text, "  esac\n}\ncompdef _holdfast holdfast\n");
}

std::string FishCompletion() {
  std::string text =
      "# Completion of holdfast in fish; from `holdfast completion fish`.\n"
      "complete -c holdfast -f\n";
  for (const std::string& first : FirstWords()) {
    absl::StrAppend(&text, "complete -c holdfast -n __fish_use_subcommand -a ", first, "\n");
    for (const std::string& second : SecondWords(first)) {
      absl::StrAppend(&text, "complete -c holdfast -n '__fish_seen_subcommand_from ", first,
                      "; and not __fish_seen_subcommand_from ",
                      absl::StrJoin(SecondWords(first), " "), "' -a ", second, "\n");
    }
  }
  for (const Command* command : Commands()) {
    const std::string begin =
        absl::StrCat("complete -c holdfast -n '", FishCondition(*command), "'");
    for (const Flag& flag : FlagsOf(*command)) {
      absl::StrAppend(&text, begin, " -l ", flag.name);
      if (!flag.value.empty()) absl::StrAppend(&text, " -r");
      if (!flag.choices.empty()) {
        absl::StrAppend(&text, " -a '", absl::StrJoin(flag.choices, " "), "'");
      }
      if (flag.kind != WordKind::kAny) absl::StrAppend(&text, " -F");
      absl::StrAppend(&text, " -d '", Quotable(flag.help), "'\n");
    }
    if (!command->operand_choices.empty()) {
      absl::StrAppend(&text, begin, " -a '", absl::StrJoin(command->operand_choices, " "), "'\n");
    }
    if (command->operand_kind != WordKind::kAny) absl::StrAppend(&text, begin, " -F\n");
  }
  return text;
}

const Command& CompletionCommand() {
  static const auto& command = *new Command{
      .name = "completion",
      .group = CommandGroup::kTool,
      .summary = "Prints what a shell needs to complete commands and flags.",
      .description =
          R"(Prints what a shell needs to complete commands and flags. For the shell that runs:

  source <(holdfast completion bash)
  source <(holdfast completion zsh)
  holdfast completion fish | source

For every one from now on, put that line into ~/.bashrc, ~/.zshrc or ~/.config/fish/config.fish.
)",
      .operands = "bash|zsh|fish",
      .operands_min = 1,
      .operands_max = 1,
      .operand_choices = {"bash", "zsh", "fish"},
      .endings = {{kExitOk, "it was printed"}},
      .run = RunCompletion};
  return command;
}

}  // namespace holdfast::client
