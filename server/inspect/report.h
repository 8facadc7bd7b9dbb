// What `holdfast journal ls` and `verify` print.

#pragma once

#include <optional>
#include <string>

#include "server/inspect/positions.h"
#include "server/inspect/survey.h"

namespace holdfast::inspect {

// Segments, lanes, producers, and what is undelivered: with `positions` exactly, else as far as the
// folder can tell.
std::string ListReport(const std::string& folder, const Survey& survey,
                       const std::optional<Positions>& positions);

// Every byte, by what it is; every place that is not whole.
std::string VerifyReport(const std::string& folder, const Survey& survey);

}  // namespace holdfast::inspect
