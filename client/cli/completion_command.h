// `holdfast completion`: what shells need to complete commands and flags, made from the table of
// commands.

#pragma once

#include <string>

#include "client/cli/command.h"

namespace holdfast::client {

const Command& CompletionCommand();

std::string BashCompletion();
std::string ZshCompletion();
std::string FishCompletion();

}  // namespace holdfast::client
