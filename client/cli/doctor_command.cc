#include "client/cli/doctor_command.h"

#include <stdlib.h>
#include <unistd.h>

#include <iostream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/util/json_util.h"

#include "client/cli/doctor.h"
#include "client/cli/doctor_report.h"
#include "client/cli/flags.h"

namespace holdfast::client {
namespace {

// holdfastd says itself when it is too many.
constexpr size_t kDaemonWordsMax = 1000;

// https://no-color.org
bool WantsColor() {
  const char* no_color = getenv("NO_COLOR");
  const char* terminal = getenv("TERM");
  return isatty(STDOUT_FILENO) == 1 && (no_color == nullptr || *no_color == '\0') &&
         (terminal == nullptr || absl::string_view(terminal) != "dumb");
}

bool PrintJson(const v1::DiagnoseResponse& response) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.always_print_primitive_fields = true;
  std::string text;
  const auto printed = google::protobuf::util::MessageToJsonString(response, &text, options);
  if (!printed.ok()) {
    std::cerr << "holdfast doctor: the findings cannot be shown as JSON: " << printed.ToString()
              << "\n";
  }
  std::cout << text;
  return printed.ok();
}

int ExitCodeOf(v1::FindingLevel worst) {
  if (worst == v1::FINDING_LEVEL_PROBLEM) return kExitProblems;
  return worst == v1::FINDING_LEVEL_WARNING ? kExitWarnings : kExitOk;
}

absl::StatusOr<int> RunDoctor(const Arguments& arguments) {
  DoctorOptions options;
  const absl::StatusOr<absl::Duration> timeout = arguments.GetDuration("timeout", options.timeout);
  if (!timeout.ok()) return timeout.status();
  options.timeout = *timeout;
  absl::StatusOr<Connection> connection = ConnectionOf(arguments);
  if (!connection.ok()) return connection.status();
  options.connection = *std::move(connection);
  options.write = !arguments.Has("no_write");
  options.daemon_flags = arguments.positional();
  if (!options.daemon_flags.empty() && !absl::StartsWith(options.daemon_flags[0], "--")) {
    return absl::InvalidArgumentError(
        absl::StrCat("unexpected argument ", options.daemon_flags[0]));
  }
  const v1::DiagnoseResponse response = RunDiagnosis(options);
  if (arguments.Has("json")) {
    if (!PrintJson(response)) return kExitProblems;
  } else {
    std::cout << FormatDiagnosis(response, WantsColor());
  }
  return ExitCodeOf(WorstOf(response));
}

}  // namespace

const Command& DoctorCommand() {
  static const auto& command = *new Command{
      .name = "doctor",
      .group = CommandGroup::kLooking,
      .summary = "Finds out what is wrong, and says what to do.",
      .description =
          R"(Finds out what keeps events from getting into the database, and says what to do:
settings, the way to the database (name, connection, TLS, login), the server's durability, the
account's grants, the tables and their known weaknesses, locks, the journal's folder, the daemon.
Sends one event the whole way, as a gateway would, and looks for it in its table.

The checks are made by the daemon, with its own settings. If it does not answer, `holdfastd
--diagnose` is run instead, from this program's folder or from PATH, with this environment and the
flags that stand after --:

  holdfast doctor -- --mysql_host=db1 --mysql_user=holdfast

The event is a rate-limit count of 1 for "holdfast:doctor" on 2000-01-01 (a message of that id where
rate limits are off). It is removed again if the daemon's account may delete there; otherwise that
one row stays, and no second one comes.

What was skipped makes nothing worse: what it needed has been counted.
)",
      .operands_max = kDaemonWordsMax,
      .flags = {ToFlag(),
                {.name = "no_write", .help = "Sends no event."},
                {.name = "json",
                 .help = "The findings as JSON (holdfast.v1.DiagnoseResponse), for programs."},
                TimeoutFlag("How long it may take. Default: 30s")},
      .endings = {{kExitOk, "all is well"},
                  {kExitWarnings, "there are warnings: it works, and something may go wrong"},
                  {kExitProblems, "there are problems"}},
      .run = RunDoctor};
  return command;
}

}  // namespace holdfast::client
