#include "client/cli/journal_command.h"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <deque>
#include <iostream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace holdfast::client {
namespace {

constexpr absl::string_view kOwnFlags[] = {"database",    "producer",  "kind",
                                           "from_offset", "to_offset", "pending_only"};

constexpr char kDaemonProgram[] = "holdfastd";

constexpr int kEndsCorrupt = 2;
constexpr int kEndsJournal = 74;
constexpr int kEndsConfiguration = 78;

// Of the folder of this program; empty if it cannot be told.
std::string Neighbour() {
  std::array<char, 4096> path;
  const ssize_t length = readlink("/proc/self/exe", path.data(), path.size());
  if (length <= 0) return "";
  const absl::string_view self(path.data(), static_cast<size_t>(length));
  return absl::StrCat(self.substr(0, self.rfind('/') + 1), kDaemonProgram);
}

// Becomes holdfastd: its answer is ours, and so is its end. Returns only if there is none.
int Become(std::vector<std::string> words) {
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  std::cout.flush();
  const std::string neighbour = Neighbour();
  if (!neighbour.empty()) execv(neighbour.c_str(), argv.data());
  execvp(kDaemonProgram, argv.data());
  std::cerr << "holdfast journal: cannot run " << kDaemonProgram << " (" << std::strerror(errno)
            << "), which knows the journal's format: it must stand beside holdfast or in PATH\n";
  return kExitUnavailable;
}

absl::StatusOr<int> RunInspection(absl::string_view what, const Arguments& arguments) {
  for (const std::string& word : arguments.positional()) {
    if (absl::StartsWith(word, "--")) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("unexpected argument ", word,
                     "; the folder is --dir, and settings of holdfastd stand behind \"--\""));
  }
  return Become(InspectionWords(what, arguments));
}

Flag DirFlag() {
  return {.name = "dir",
          .value = "FOLDER",
          .help =
              "The journal's folder. Default: $HOLDFAST_JOURNAL_DIR, else "
              "/var/lib/holdfast/journal",
          .kind = WordKind::kFolder};
}

constexpr absl::string_view kCommon =
    R"(
It runs beside a daemon or without one: it never takes the folder's lock, and writes and deletes
nothing in it. Beside a daemon it says so; then the last group may be in flight. The daemon's
program does the work: holdfastd must stand beside holdfast or in PATH.
)";

// Lives for the whole process, as the table of commands does.
absl::string_view Describe(absl::string_view own) {
  static auto& texts = *new std::deque<std::string>();
  return texts.emplace_back(absl::StrCat(own, kCommon));
}

std::vector<Ending> Endings(std::vector<Ending> own) {
  own.push_back({kExitUnavailable,
                 "the database was needed and could not be asked, or there is "
                 "no holdfastd"});
  own.push_back({kEndsJournal, "the folder cannot be read"});
  own.push_back({kEndsConfiguration, "a setting will not do"});
  return own;
}

}  // namespace

std::vector<std::string> InspectionWords(absl::string_view what, const Arguments& arguments) {
  std::vector<std::string> words = {kDaemonProgram, absl::StrCat("--inspect_journal=", what)};
  if (arguments.Has("dir")) {
    words.push_back(absl::StrCat("--holdfast_journal_dir=", arguments.Get("dir", "")));
  }
  words.insert(words.end(), arguments.positional().begin(), arguments.positional().end());
  words.push_back("--");
  for (const absl::string_view flag : kOwnFlags) {
    if (!arguments.Has(flag)) continue;
    const std::string value = arguments.Get(flag, "");
    words.push_back(absl::StrCat("--", flag, value.empty() ? "" : "=", value));
  }
  return words;
}

const Command& JournalListCommand() {
  static const auto& command = *new Command{
      .name = "journal ls",
      .group = CommandGroup::kLooking,
      .summary = "Lists what a journal's folder holds.",
      .description = Describe(
          R"(Lists the segments of a journal with their sizes, offsets, times and state; its lanes
and its producers; and how many events are undelivered: at most, as far as the folder can tell,
since how far each lane has come is in the database; exactly with --database.
)"),
      .operands = "[-- --SETTING=VALUE...]",
      .operands_max = SIZE_MAX,
      .flags = {DirFlag(),
                {.name = "database",
                 .help =
                     "Also asks the database how far each lane has come. Needs the daemon's own "
                     "MYSQL_* settings, in the environment or behind \"--\"."}},
      .endings = Endings({{kExitOk, "it was listed"}}),
      .run = [](const Arguments& arguments) { return RunInspection("ls", arguments); }};
  return command;
}

const Command& JournalVerifyCommand() {
  static const auto& command = *new Command{
      .name = "journal verify",
      .group = CommandGroup::kLooking,
      .summary = "Checks every byte of a journal's folder.",
      .description = Describe(
          R"(Reads all of a journal and accounts for every byte: whole, a torn tail (the last write,
cut off before it was acknowledged: nothing is lost), or corrupt, with the file, the bytes and the
events that they held. It finds what a daemon that starts on the folder finds, for it is the same
code.
)"),
      .operands = "[-- --SETTING=VALUE...]",
      .operands_max = SIZE_MAX,
      .flags = {DirFlag()},
      .endings = Endings({{kExitOk, "all is whole"},
                          {kExitRejected, "there is a torn tail, and nothing worse"},
                          {kEndsCorrupt, "something that was acknowledged is damaged"}}),
      .run = [](const Arguments& arguments) { return RunInspection("verify", arguments); }};
  return command;
}

const Command& JournalExportCommand() {
  static const auto& command = *new Command{
      .name = "journal export",
      .group = CommandGroup::kEvents,
      .summary = "Prints the events of a journal's folder, to look at or to send again.",
      .description = Describe(
          R"(Prints the events of a journal as JSON lines (holdfast.v1.JournaledEvent), with their
whole CONTENT: API key ids, costs, the text of messages. `holdfast send` reads these lines again:

  holdfast journal export --dir=FOLDER --pending_only > events.jsonl
  holdfast send --ack=committed events.jsonl

To send them again is safe, once or often, also what is in the database already. Events with ids of
their own, and observed counts, count once by their nature. Hits without an event_id count once only
by the journal they are in; a line gives them a resend_id, and `holdfast send` sends those that
--pending_only found undelivered with no daemon at work, under that id, and holds all others back.
Once they are sent, start no daemon on that folder any more: it would count those hits again. Hits
that are older than 7 days are refused with an id.
)"),
      .operands = "[-- --SETTING=VALUE...]",
      .operands_max = SIZE_MAX,
      .flags = {DirFlag(),
                {.name = "pending_only",
                 .help =
                     "Only what is not in the database, by the lanes' positions there. Needs the "
                     "daemon's own MYSQL_* settings, in the environment or behind \"--\"."},
                {.name = "producer", .value = "UUID", .help = "Only the events of this producer."},
                {.name = "kind",
                 .value = "KIND",
                 .help = "Only events of this kind.",
                 .choices = {"rate_limit", "usage", "message"}},
                {.name = "from_offset",
                 .value = "N",
                 .help = "Only events from this offset in the journal on."},
                {.name = "to_offset",
                 .value = "N",
                 .help = "Only events up to this offset, itself included."}},
      .endings = Endings({{kExitOk, "all that was asked for was printed"},
                          {kEndsCorrupt, "some of it is damaged and was not"}}),
      .run = [](const Arguments& arguments) { return RunInspection("export", arguments); }};
  return command;
}

}  // namespace holdfast::client
