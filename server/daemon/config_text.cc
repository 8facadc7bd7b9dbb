// What --help and --check_config print.

#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"

#include "server/daemon/config.h"
#include "server/daemon/settings.h"

namespace holdfast::daemon {
namespace {

constexpr size_t kLineMax = 96;

absl::string_view SourceName(Source source) {
  switch (source) {
    case Source::kDefault:
      return "default";
    case Source::kEnvironment:
      return "environment";
    case Source::kFlag:
      return "flag";
  }
  return "";
}

// `text` in lines of at most kLineMax, each after `indent`.
std::string Wrapped(absl::string_view text, absl::string_view indent) {
  std::string wrapped;
  std::string line(indent);
  for (const absl::string_view word : absl::StrSplit(text, ' ')) {
    if (line.size() > indent.size() && line.size() + 1 + word.size() > kLineMax) {
      absl::StrAppend(&wrapped, line, "\n");
      line = std::string(indent);
    }
    absl::StrAppend(&line, line.size() > indent.size() ? " " : "", word);
  }
  return absl::StrCat(wrapped, line, "\n");
}

}  // namespace

std::string DescribeSettings(const Reading& reading) {
  std::string text;
  for (const Effective& effective : reading.effective) {
    const Setting& setting = *effective.setting;
    const bool masked = setting.is_secret && !effective.value.empty();
    absl::StrAppendFormat(&text, "%-34s %-40s %s\n", setting.name,
                          masked                    ? "********"
                          : effective.value.empty() ? "\"\""
                                                    : effective.value,
                          SourceName(effective.source));
  }
  return text;
}

std::string HelpText() {
  std::string text =
      "holdfastd: takes a gateway's events over gRPC, keeps them on the local disk, and brings "
      "each\n"
      "of them into MySQL exactly once.\n\n"
      "  holdfastd [--setting=value ...]   runs until it is told to stop\n"
      "  holdfastd --migrate               brings the database's schema up to date, and ends\n"
      "  holdfastd --diagnose              prints what is wrong with all that it depends on, as\n"
      "                                    JSON, and ends; `holdfast doctor` is for people\n"
      "  holdfastd --check_config          prints the effective settings, and ends\n"
      "  holdfastd --inspect_journal=ls|verify|export   looks into the journal's folder, and "
      "ends:\n"
      "                                    see `holdfast journal ls --help`\n"
      "  holdfastd --help | --version\n\n"
      "Each setting is a flag (--db_pool_size=20) or an environment variable (DB_POOL_SIZE=20); "
      "the\n"
      "flag wins. An empty variable counts as not set. Durations: 500ms, 30s, 1h, or seconds. "
      "Sizes:\n"
      "64MiB, 2GiB, or bytes. SIGTERM and SIGINT drain; a second one ends at once, still "
      "safely.\n\n"
      "Exit codes: 0 drained, 64 usage, 69 database needed and absent, 74 journal I/O, 75 stopped\n"
      "with events left in the journal, 78 configuration.\n";
  absl::string_view group;
  for (const Setting& setting : Settings()) {
    if (setting.group != group) absl::StrAppend(&text, "\n", setting.group, "\n");
    group = setting.group;
    absl::StrAppend(&text, "\n  ", setting.name);
    if (!setting.fallback.empty()) absl::StrAppend(&text, "  (", setting.fallback, ")");
    absl::StrAppend(&text, "\n", Wrapped(setting.help, "      "));
  }
  return text;
}

}  // namespace holdfast::daemon
