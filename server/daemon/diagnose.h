// holdfastd --diagnose.

#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "server/daemon/config.h"
#include "server/daemon/exit_code.h"
#include "server/diagnosis/options.h"

namespace holdfast::daemon {

// What a diagnosis has to know.
diagnosis::Options DiagnosisOptions(const Config& config);

// Whether --diagnose is among the flags, also among such as cannot be read.
bool AsksForDiagnosis(const std::vector<std::string>& flags);

// Looks into all that the daemon depends on and prints it to standard output, as JSON
// (holdfast.v1.DiagnoseResponse); settings that will not do are what is printed then. Ends with 0
// if it could be printed, whatever was found; with kExitUsage, saying why, for unknown flags.
ExitCode Diagnose(const absl::StatusOr<Reading>& reading);

}  // namespace holdfast::daemon
