// The command-line tool `holdfast`; its commands are listed in client/cli/commands.cc.

#include <string>
#include <vector>

#include "client/cli/command.h"

int main(int argc, char** argv) {
  return holdfast::client::RunTool(std::vector<std::string>(argv + 1, argv + argc));
}
