#include "client/cli/doctor_report.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"

namespace holdfast::client {
namespace {

constexpr size_t kColumns = 100;

struct Mark {
  const char* word;
  const char* color;
};

Mark MarkOf(v1::FindingLevel level) {
  switch (level) {
    case v1::FINDING_LEVEL_OK:
      return {"ok", "\x1b[32m"};
    case v1::FINDING_LEVEL_SKIPPED:
      return {"skipped", "\x1b[2m"};
    case v1::FINDING_LEVEL_WARNING:
      return {"warning", "\x1b[33m"};
    default:
      return {"problem", "\x1b[31m"};
  }
}

// What a server calls itself could steer the terminal.
std::string Printable(absl::string_view text) {
  std::string printable(text);
  std::replace_if(
      printable.begin(), printable.end(),
      [](char byte) { return static_cast<unsigned char>(byte) < ' ' || byte == '\x7f'; }, '?');
  return printable;
}

// `text` after `label`, in lines that fit; those after the first are indented by its length.
std::string Wrapped(const std::string& label, absl::string_view text) {
  std::string wrapped;
  std::string line = label;
  const std::string indent(label.size(), ' ');
  bool is_first = true;
  for (const absl::string_view word : absl::StrSplit(text, ' ', absl::SkipEmpty())) {
    if (!is_first && line.size() + 1 + word.size() > kColumns) {
      absl::StrAppend(&wrapped, line, "\n");
      line = indent;
      is_first = true;
    }
    absl::StrAppend(&line, is_first ? "" : " ", word);
    is_first = false;
  }
  return absl::StrCat(wrapped, line, "\n");
}

size_t Count(const v1::DiagnoseResponse& response, v1::FindingLevel level) {
  return static_cast<size_t>(
      std::count_if(response.findings().begin(), response.findings().end(),
                    [level](const v1::Finding& finding) { return finding.level() == level; }));
}

std::string Summary(const v1::DiagnoseResponse& response) {
  const size_t problems = Count(response, v1::FINDING_LEVEL_PROBLEM);
  const size_t warnings = Count(response, v1::FINDING_LEVEL_WARNING);
  if (problems + warnings == 0) return "All well.";
  const v1::FindingLevel worst = WorstOf(response);
  const auto first =
      std::find_if(response.findings().begin(), response.findings().end(),
                   [worst](const v1::Finding& finding) { return finding.level() == worst; });
  std::string summary;
  if (problems > 0) absl::StrAppend(&summary, problems, problems == 1 ? " problem" : " problems");
  if (problems > 0 && warnings > 0) absl::StrAppend(&summary, ", ");
  if (warnings > 0) absl::StrAppend(&summary, warnings, warnings == 1 ? " warning" : " warnings");
  return absl::StrCat(summary, "; begin with ", first->check(), ": ", Printable(first->found()));
}

}  // namespace

v1::FindingLevel WorstOf(const v1::DiagnoseResponse& response) {
  v1::FindingLevel worst = v1::FINDING_LEVEL_OK;
  for (const v1::Finding& finding : response.findings()) worst = std::max(worst, finding.level());
  return worst;
}

std::string FormatDiagnosis(const v1::DiagnoseResponse& response, bool color) {
  std::string report;
  for (const v1::Finding& finding : response.findings()) {
    const Mark mark = MarkOf(finding.level());
    const std::string label = absl::StrFormat("%-8s %-15s ", mark.word, Printable(finding.check()));
    std::string line = Wrapped(label, Printable(finding.found()));
    if (color) line = absl::StrCat(mark.color, line.substr(0, 8), "\x1b[0m", line.substr(8));
    absl::StrAppend(&report, line);
    if (!finding.meaning().empty()) {
      absl::StrAppend(&report, Wrapped("           means: ", Printable(finding.meaning())));
    }
    if (!finding.remedy().empty()) {
      absl::StrAppend(&report, Wrapped("           do:    ", Printable(finding.remedy())));
    }
  }
  return absl::StrCat(report, "\n", Wrapped("", Summary(response)));
}

}  // namespace holdfast::client
