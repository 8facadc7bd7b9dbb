// The commands of the tool, each described in one place: dispatch, help and completion all come
// from here, so that none of them can say what the others do not.

#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "client/cli/flags.h"

namespace holdfast::client {

// What a word may be, as far as a shell can complete it.
enum class WordKind { kAny, kFile, kFolder };

// A flag that a command knows. Texts point to static storage, here and below.
struct Flag {
  absl::string_view name = {};   // Without the dashes.
  absl::string_view value = {};  // What stands for its value in the help; empty: it takes none.
  absl::string_view help = {};   // A sentence or more; wrapped when shown.
  std::vector<absl::string_view> choices = {};  // Its values, where they are few and fixed.
  WordKind kind = WordKind::kAny;               // Of its value, where there are no choices.
};

// Under which heading the overview lists a command.
enum class CommandGroup { kEvents, kLooking, kMending, kTool };

// How a command may end, and when.
struct Ending {
  int code = kExitOk;
  absl::string_view when = {};
};

struct Command {
  absl::string_view name = {};  // One word, or two for one of a family: "quarantine ls".
  CommandGroup group = CommandGroup::kLooking;
  absl::string_view summary = {};      // One short sentence, for the overview.
  absl::string_view description = {};  // Paragraphs and examples, as they are shown.

  // What follows that is no flag: as shown in the help, how many words, and what they may be.
  absl::string_view operands = {};
  size_t operands_min = 0;
  size_t operands_max = 0;
  std::vector<absl::string_view> operand_choices = {};
  WordKind operand_kind = WordKind::kAny;

  // Its own. FlagsOf has those that come with them.
  std::vector<Flag> flags = {};
  // Without 64, which every command has, and 66 for a certificate, which goes with 69.
  std::vector<Ending> endings = {};

  // The exit code. An error says what is wrong with the arguments; every other failure has been
  // told to the user already.
  absl::StatusOr<int> (*run)(const Arguments& arguments) = nullptr;
};

// What may be typed: its flags, those for TLS with --to, and --help.
std::vector<Flag> FlagsOf(const Command& command);

// All of them, in the order of the overview.
const std::vector<const Command*>& Commands();

// Flags that several commands have.
Flag ToFlag();                             // --to, and with it those for TLS: see ConnectionOf.
Flag TimeoutFlag(absl::string_view help);  // --timeout
inline constexpr absl::string_view kUnreachableEnding = "the daemon could not be reached";

// The overview of all commands; with `family` ("quarantine"), of those that begin with that word.
std::string Overview(absl::string_view family);

// What `holdfast COMMAND --help` shows.
std::string HelpOf(const Command& command);

// Runs what the words after the program's name ask for; returns the exit code.
int RunTool(const std::vector<std::string>& words);

}  // namespace holdfast::client
