// The command-line tool `holdfast`.

#include <iostream>
#include <string>
#include <vector>

#include "client/cli/flags.h"
#include "client/cli/health_command.h"
#include "client/cli/send_command.h"
#include "client/cli/status_command.h"

namespace {

constexpr char kHelp[] =
    R"(holdfast talks to holdfastd, the daemon that brings a gateway's events into MySQL.

  holdfast send FILE|-   Sends the events of a file, one JSON object on each line.
  holdfast status        Shows what the daemon is doing.
  holdfast health        Asks whether the daemon answers, or takes events: for probes.

  holdfast COMMAND --help explains a command.
)";

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  const std::string command = arguments.empty() ? "" : arguments[0];
  const std::vector<std::string> rest(arguments.begin() + (arguments.empty() ? 0 : 1),
                                      arguments.end());
  if (command == "send") return holdfast::client::RunSend(rest);
  if (command == "status") return holdfast::client::RunStatus(rest);
  if (command == "health") return holdfast::client::RunHealth(rest);
  if (command == "--help" || command == "-h" || command == "help") {
    std::cout << kHelp;
    return holdfast::client::kExitOk;
  }
  if (!command.empty()) std::cerr << "holdfast: there is no command " << command << "\n";
  std::cerr << kHelp;
  return holdfast::client::kExitUsage;
}
