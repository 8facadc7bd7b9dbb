#include "client/cli/loglevel_command.h"

#include <algorithm>
#include <iostream>

#include "absl/strings/str_cat.h"

#include "client/cli/admin_call.h"

namespace holdfast::client {
namespace {

constexpr absl::Duration kTimeout = absl::Seconds(5);

absl::StatusOr<int> RunLogLevel(const Arguments& arguments) {
  const std::vector<absl::string_view>& levels = LogLevelCommand().operand_choices;
  const std::vector<std::string>& given = arguments.positional();
  if (!given.empty() && std::find(levels.begin(), levels.end(), given[0]) == levels.end()) {
    return absl::InvalidArgumentError(
        absl::StrCat(given[0], " is no level: debug, info, warning or error is needed"));
  }
  absl::StatusOr<AdminCaller> caller = AdminCaller::Make("loglevel", arguments, kTimeout);
  if (!caller.ok()) return caller.status();
  if (given.empty()) {
    const auto found = caller->Call(&AdminCaller::Stub::GetLogLevel, v1::GetLogLevelRequest());
    if (!found.ok()) return caller->Failed(found.status());
    std::cout << found->level() << "\n";
    return kExitOk;
  }
  v1::SetLogLevelRequest request;
  request.set_level(given[0]);
  const auto set = caller->Call(&AdminCaller::Stub::SetLogLevel, request);
  if (!set.ok()) return caller->Failed(set.status());
  std::cout << given[0] << " (was " << set->previous() << ")\n";
  return kExitOk;
}

}  // namespace

const Command& LogLevelCommand() {
  static const auto& command = *new Command{
      .name = "loglevel",
      .group = CommandGroup::kMending,
      .summary = "Shows or changes from which level on the daemon logs.",
      .description =
          R"(Shows from which level on the daemon logs; with LEVEL, changes it until the daemon
ends. Its next start goes by LOG_LEVEL again. The change itself is logged.
)",
      .operands = "[LEVEL]",
      .operands_max = 1,
      .operand_choices = {"debug", "info", "warning", "error"},
      .flags = {ToFlag(), TimeoutFlag("How long to wait for the answer. Default: 5s")},
      .endings = {{kExitOk, "it was shown or changed"}, {kExitUnavailable, kUnreachableEnding}},
      .run = RunLogLevel};
  return command;
}

}  // namespace holdfast::client
