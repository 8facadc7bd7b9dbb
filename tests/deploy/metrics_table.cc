// Makes deploy/METRICS.md out of what the daemon exports, so that the page cannot drift from it.
//
//   metrics_table --check FILE     ends with 1, and says where, if FILE is not what it would write
//   metrics_table --rewrite FILE   writes FILE
//
// The names that server/metrics spells are looked for in its sources as well: a family without a
// series yet would otherwise be missing from the page without a word.

#include <fstream>
#include <iostream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

#include "server/metrics/metrics.h"

namespace holdfast {
namespace {

struct Family {
  std::string type;
  std::string meaning;
  std::string worrying;
  std::map<std::string, std::set<std::string>> labels;
};

constexpr char kIntroduction[] =
    R"(# Every metric of Holdfast

`/metrics` on the admin port (9464) in Prometheus' text format. Every series with fixed labels
exists from the start, at 0. Labels are bounded: never a tenant, a key or an id. Histograms have
`_bucket`, `_sum` and `_count`. Counters start again at 0 with the process; the balance that
outlives it is in `holdfast_lanes` and on `/api/v1/status`.

`deploy/prometheus/alerts.yaml` has the rules that wake somebody up, `deploy/RUNBOOK.md` what to do
then, `deploy/grafana/holdfast.json` the dashboard. This page is made from `server/metrics` by
`tests/deploy/metrics_table.cc`; a test compares it.

| metric | type | labels | unit | meaning | what to look for |
|---|---|---|---|---|---|
)";

std::string ReadFile(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

// One scrape, with a series in each family whose labels are not known from the start.
std::string Scrape() {
  metrics::Metrics metrics("0.1.0");
  metrics.LaneStopped("usage-0");
  metrics.Requests("Stream", "OK");
  metrics.Requests("Write", "OK");
  for (const char* outcome : {"ok", "retry", "reject", "outage", "lost"}) {
    metrics.StatementSeconds("transaction", outcome);
  }
  return metrics.Scrape();
}

// The family that a sample belongs to.
std::string FamilyOf(const std::string& sample, const std::map<std::string, Family>& families) {
  for (const absl::string_view suffix : {"", "_bucket", "_sum", "_count"}) {
    absl::string_view name = sample;
    if (absl::ConsumeSuffix(&name, suffix) && families.count(std::string(name)) > 0) {
      return std::string(name);
    }
  }
  return "";
}

void ReadLabels(absl::string_view text, Family* family) {
  for (const absl::string_view label : absl::StrSplit(text, "\",", absl::SkipEmpty())) {
    const std::vector<std::string> parts = absl::StrSplit(label, absl::MaxSplits("=\"", 1));
    if (parts.size() != 2 || parts[0] == "le") continue;
    family->labels[parts[0]].insert(std::string(absl::StripSuffix(parts[1], "\"")));
  }
}

std::map<std::string, Family> Parse(const std::string& scrape) {
  std::map<std::string, Family> families;
  for (const absl::string_view line : absl::StrSplit(scrape, '\n', absl::SkipEmpty())) {
    const std::vector<std::string> words = absl::StrSplit(line, absl::MaxSplits(' ', 3));
    if (words[0] == "#" && words[1] == "HELP") {
      const std::vector<std::string> halves = absl::StrSplit(words[3], " Worrying: ");
      families[words[2]].meaning = halves[0];
      if (halves.size() > 1) families[words[2]].worrying = halves[1];
    } else if (words[0] == "#" && words[1] == "TYPE") {
      families[words[2]].type = words[3];
    } else {
      const std::vector<std::string> sides =
          absl::StrSplit(line.substr(0, line.rfind(' ')), absl::MaxSplits('{', 1));
      const std::string name = FamilyOf(sides[0], families);
      if (sides.size() > 1) ReadLabels(absl::StripSuffix(sides[1], "}"), &families[name]);
    }
  }
  return families;
}

std::string UnitOf(absl::string_view name, const Family& family) {
  if (absl::StartsWith(family.meaning, "1 ") || absl::StartsWith(family.meaning, "Always 1")) {
    return "0 or 1";
  }
  absl::ConsumeSuffix(&name, "_total");
  if (absl::EndsWith(name, "_seconds")) return "seconds";
  if (absl::EndsWith(name, "_bytes")) return "bytes";
  if (name == "holdfast_breaker_state") return "0, 1 or 2";
  if (absl::EndsWith(name, "_rows")) return "events";
  if (absl::StartsWith(name, "holdfast_events_") || absl::EndsWith(name, "_events")) {
    return "events";
  }
  return "count";
}

// Labels whose values are few and known are written out.
std::string LabelsOf(const Family& family) {
  static const auto& open = *new std::set<std::string>{"errno", "lane", "code", "version", "table"};
  std::vector<std::string> texts;
  for (const auto& [label, values] : family.labels) {
    texts.push_back(open.count(label) > 0
                        ? absl::StrCat("`", label, "`")
                        : absl::StrCat("`", label, "`: ", absl::StrJoin(values, ", ")));
  }
  return absl::StrJoin(texts, "; ");
}

std::string Page(const std::map<std::string, Family>& families) {
  std::string page = kIntroduction;
  for (const auto& [name, family] : families) {
    const std::string cells =
        absl::StrJoin({absl::StrCat("`", name, "`"), family.type, LabelsOf(family),
                       UnitOf(name, family), family.meaning, family.worrying},
                      " | ");
    absl::StrAppend(&page, "| ", cells, " |\n");
  }
  return page;
}

// Names that the sources spell and the page does not have, and families without a word on either
// question.
std::vector<std::string> Gaps(const std::map<std::string, Family>& families) {
  // Tables of ours are called holdfast_ as well; they are values of labels.
  std::set<std::string> known;
  for (const auto& [name, family] : families) {
    known.insert(name);
    for (const auto& [label, values] : family.labels) known.insert(values.begin(), values.end());
  }
  std::vector<std::string> gaps;
  for (const char* source : {"/metrics.cc", "/process.cc"}) {
    const std::string text = ReadFile(absl::StrCat(HOLDFAST_METRICS_ROOM, source));
    const std::vector<std::string> quoted = absl::StrSplit(text, '"');
    for (size_t i = 1; i < quoted.size(); i += 2) {
      const bool is_name =
          absl::StartsWith(quoted[i], "holdfast_") || absl::StartsWith(quoted[i], "process_");
      if (is_name && !absl::StrContains(quoted[i], ' ') && known.count(quoted[i]) == 0) {
        gaps.push_back(quoted[i]);
      }
    }
  }
  for (const auto& [name, family] : families) {
    if (family.meaning.empty() || family.worrying.empty()) gaps.push_back(name);
  }
  return gaps;
}

int Run(const std::string& command, const std::string& path) {
  const std::map<std::string, Family> families = Parse(Scrape());
  const std::vector<std::string> gaps = Gaps(families);
  if (!gaps.empty()) {
    std::cerr << "not to be found in a scrape, or without help: " << absl::StrJoin(gaps, ", ")
              << "\n";
    return 1;
  }
  const std::string page = Page(families);
  if (command == "--rewrite") {
    std::ofstream(path) << page;
    return 0;
  }
  const std::string found = ReadFile(path);
  if (found == page) {
    std::cout << families.size() << " metrics\n";
    return 0;
  }
  const std::vector<std::string> is = absl::StrSplit(found, '\n');
  const std::vector<std::string> should = absl::StrSplit(page, '\n');
  size_t line = 0;
  while (line < is.size() && line < should.size() && is[line] == should[line]) ++line;
  std::cerr << path << " differs from line " << line + 1 << " on, where there should be\n  "
            << (line < should.size() ? should[line] : "the end")
            << "\nto mend it: metrics_table --rewrite " << path << "\n";
  return 1;
}

}  // namespace
}  // namespace holdfast

int main(int argc, char** argv) {
  const std::string command = argc == 3 ? argv[1] : "";
  if (command != "--check" && command != "--rewrite") {
    std::cerr << "usage: metrics_table --check|--rewrite FILE\n";
    return 64;
  }
  return holdfast::Run(command, argv[2]);
}
