// `holdfast tail`: a sample of the events as they arrive.

#pragma once

#include <string>

#include "client/cli/command.h"
#include "holdfast/v1/admin.pb.h"

namespace holdfast::client {

const Command& TailCommand();

// One event on one line.
std::string FormatTailed(const v1::TailedEvent& event);

// How many were not shown, and why; empty if all were.
std::string FormatNotShown(uint64_t not_sampled, uint64_t dropped, uint64_t rate_max);

}  // namespace holdfast::client
