// `holdfast journal ls|verify|export`: looks into a journal's folder, with or without its daemon.

#pragma once

#include <string>
#include <vector>

#include "client/cli/command.h"

namespace holdfast::client {

const Command& JournalListCommand();
const Command& JournalVerifyCommand();
const Command& JournalExportCommand();

// What is run for it: holdfastd, which alone knows the format. `what` is ls, verify or export.
std::vector<std::string> InspectionWords(absl::string_view what, const Arguments& arguments);

}  // namespace holdfast::client
