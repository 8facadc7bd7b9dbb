#include "server/diagnosis/findings.h"

#include <algorithm>

namespace holdfast::diagnosis {

void Findings::Ok(absl::string_view check, absl::string_view found) {
  Add(v1::FINDING_LEVEL_OK, check, found, "", "");
}

void Findings::Skip(absl::string_view check, absl::string_view why) {
  Add(v1::FINDING_LEVEL_SKIPPED, check, why, "", "");
}

void Findings::Warn(absl::string_view check, absl::string_view found, absl::string_view meaning,
                    absl::string_view remedy) {
  Add(v1::FINDING_LEVEL_WARNING, check, found, meaning, remedy);
}

void Findings::Problem(absl::string_view check, absl::string_view found, absl::string_view meaning,
                       absl::string_view remedy) {
  Add(v1::FINDING_LEVEL_PROBLEM, check, found, meaning, remedy);
}

void Findings::Add(v1::FindingLevel level, absl::string_view check, absl::string_view found,
                   absl::string_view meaning, absl::string_view remedy) {
  v1::Finding* finding = response_.add_findings();
  finding->set_check(std::string(check));
  finding->set_level(level);
  finding->set_found(std::string(found));
  finding->set_meaning(std::string(meaning));
  finding->set_remedy(std::string(remedy));
}

v1::FindingLevel Findings::Worst(absl::string_view check) const {
  v1::FindingLevel worst = v1::FINDING_LEVEL_UNSPECIFIED;
  for (const v1::Finding& finding : response_.findings()) {
    if (finding.check() == check) worst = std::max(worst, finding.level());
  }
  return worst;
}

}  // namespace holdfast::diagnosis
