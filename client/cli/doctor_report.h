// A diagnosis for people.

#pragma once

#include <string>

#include "holdfast/v1/admin.pb.h"

namespace holdfast::client {

// The worst level among the findings.
v1::FindingLevel WorstOf(const v1::DiagnoseResponse& response);

// A line for each finding, what it means and what to do below it, and a last line with the worst.
// Bytes that could steer a terminal are not printed.
std::string FormatDiagnosis(const v1::DiagnoseResponse& response, bool color);

}  // namespace holdfast::client
