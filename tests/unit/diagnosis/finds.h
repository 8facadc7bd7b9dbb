// How a test names what it expects of findings.

#pragma once

#include <algorithm>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"

#include "server/diagnosis/findings.h"

namespace holdfast::diagnosis {

inline constexpr auto kOk = v1::FINDING_LEVEL_OK;
inline constexpr auto kSkipped = v1::FINDING_LEVEL_SKIPPED;
inline constexpr auto kWarning = v1::FINDING_LEVEL_WARNING;
inline constexpr auto kProblem = v1::FINDING_LEVEL_PROBLEM;

// There is a finding of that check and level which has `text` in one of its texts; and what is wrong
// has a meaning and a remedy.
MATCHER_P3(Finds, check, level, text, "") {
  bool found = false;
  for (const v1::Finding& finding : arg.response().findings()) {
    *result_listener << "\n" << finding.ShortDebugString();
    found =
        found || (finding.check() == std::string(check) && finding.level() == level &&
                  absl::StrContains(
                      absl::StrCat(finding.found(), finding.meaning(), finding.remedy()), text));
    if (finding.level() >= kWarning && (finding.meaning().empty() || finding.remedy().empty())) {
      return false;
    }
  }
  return found;
}

inline v1::FindingLevel WorstOf(const Findings& findings) {
  v1::FindingLevel worst = v1::FINDING_LEVEL_UNSPECIFIED;
  for (const v1::Finding& finding : findings.response().findings()) {
    worst = std::max(worst, finding.level());
  }
  return worst;
}

}  // namespace holdfast::diagnosis
