#include "client/cli/audit_command.h"

#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "google/protobuf/util/json_util.h"
#include "google/protobuf/util/time_util.h"

#include "client/cli/admin_call.h"
#include "holdfast/v1/admin.pb.h"

namespace holdfast::client {
namespace {

using google::protobuf::util::TimeUtil;

uint64_t DifferencesOf(const v1::AuditResponse& audit) {
  uint64_t differences = 0;
  for (const v1::AuditCheck& check : audit.checks()) differences += check.differences();
  return differences;
}

int Print(const v1::AuditResponse& audit, bool json) {
  if (json) {
    google::protobuf::util::JsonPrintOptions options;
    options.add_whitespace = true;
    options.always_print_primitive_fields = true;
    std::string text;
    if (!google::protobuf::util::MessageToJsonString(audit, &text, options).ok()) {
      std::cerr << "holdfast audit: the answer cannot be shown as JSON\n";
      return kExitUnavailable;
    }
    std::cout << text;
  } else {
    std::cout << FormatAudit(audit);
  }
  if (DifferencesOf(audit) > 0) return kExitRejected;
  return audit.incomplete().empty() ? kExitOk : kExitTemporary;
}

absl::StatusOr<int> RunAudit(const Arguments& arguments) {
  absl::StatusOr<AdminCaller> caller = AdminCaller::Make("audit", arguments, absl::Minutes(5));
  if (!caller.ok()) return caller.status();
  const absl::StatusOr<absl::Time> since = ParseSince(arguments.Get("since", "24h"), absl::Now());
  if (!since.ok()) return since.status();
  const auto shown = arguments.GetNumber("differences", 100, 1);
  if (!shown.ok()) return shown.status();
  if (*shown > 1000) return absl::InvalidArgumentError("--differences: at most 1000 are shown");
  v1::AuditRequest request;
  request.set_differences_max(static_cast<uint32_t>(*shown));
  if (*since > absl::InfinitePast()) {
    *request.mutable_since() = TimeUtil::SecondsToTimestamp(absl::ToUnixSeconds(*since));
  }
  const absl::StatusOr<v1::AuditResponse> audit = caller->Call(&AdminCaller::Stub::Audit, request);
  if (!audit.ok()) return caller->Failed(audit.status());
  return Print(*audit, arguments.Has("json"));
}

}  // namespace

absl::StatusOr<absl::Time> ParseSince(absl::string_view text, absl::Time now) {
  if (text == "all") return absl::InfinitePast();
  absl::Duration ago;
  if (absl::ParseDuration(std::string(text), &ago) && ago > absl::ZeroDuration()) return now - ago;
  absl::Time time;
  std::string error;
  if (absl::ParseTime(absl::RFC3339_full, std::string(text), &time, &error)) return time;
  return absl::InvalidArgumentError(absl::StrCat(
      "--since=", text, ": must be a duration (24h), a time (2026-01-15T10:00:00Z) or all"));
}

std::string FormatAudit(const v1::AuditResponse& audit) {
  std::string report =
      absl::StrFormat("%-12s %10s %12s %10s\n", "Check", "compared", "differences", "in flight");
  for (const v1::AuditCheck& check : audit.checks()) {
    absl::StrAppendFormat(&report, "%-12s %10d %12d %10d\n    %s\n", check.name(), check.compared(),
                          check.differences(), check.in_flight(), check.about());
    if (!check.note().empty()) absl::StrAppend(&report, "    (", check.note(), ")\n");
  }
  for (const v1::AuditDifference& one : audit.differences()) {
    absl::StrAppend(&report, "\nDIFFERS  ", one.place(), "\n         ", one.what(), ": ",
                    one.found(), ", must be ", one.expected());
  }
  const uint64_t all = DifferencesOf(audit);
  const auto shown = static_cast<uint64_t>(audit.differences_size());
  if (shown > 0) absl::StrAppend(&report, "\n");
  if (all > shown) absl::StrAppend(&report, "and ", all - shown, " more\n");
  absl::StrAppend(&report, "\n");
  if (!audit.incomplete().empty()) {
    absl::StrAppend(&report, "INCOMPLETE: ", audit.incomplete(), "\n");
  }
  absl::StrAppendFormat(&report, "%s, in %.1f s\n",
                        all == 0 ? "The balance holds"
                                 : absl::StrCat("The balance does not hold: ", all, " differences"),
                        static_cast<double>(TimeUtil::DurationToMilliseconds(audit.took())) / 1000);
  return report;
}

const Command& AuditCommand() {
  static const auto& command = *new Command{
      .name = "audit",
      .group = CommandGroup::kLooking,
      .summary = "Compares the daemon's books with what the database holds.",
      .description =
          R"(Compares what the daemon has settled with holdfast_lanes, every row of usage_stats with
the sum of its usage_records, and, with --since=all, the numbers of rows with what all lanes have
committed. Says where they differ and by how much. It changes nothing, takes no lock and keeps no
writer waiting: one connection of the daemon's pool, one short consistent read after the other.

While events flow, two reads are not of one moment, and what is in flight can look like a
difference. So what differs is looked at again before it is told; what was settled meanwhile is
counted under "in flight".

Not compared, because nothing in the database says what it should be: columns of usage_records and
message that no counter adds up, and rate_limit_records.
)",
      .flags = {ToFlag(),
                {.name = "since",
                 .value = "TIME",
                 .help = "Only usage from this time on: a duration back from now (24h), a time "
                         "(2026-01-15T10:00:00Z), or all, which also counts the tables' rows and "
                         "takes as long as reading them. Default: 24h"},
                {.name = "differences",
                 .value = "N",
                 .help = "Tells at most so many one by one. Default: 100"},
                {.name = "json",
                 .help = "The same as JSON (holdfast.v1.AuditResponse), for programs."},
                TimeoutFlag("It ends after so long, and says how far it came. Default: 5m")},
      .endings = {{kExitOk, "all is equal"},
                  {kExitRejected, "something differs"},
                  {kExitUnavailable, kUnreachableEnding},
                  {kExitTemporary,
                   "the database could not be reached, or its time was over before its end and "
                   "nothing differs so far"}},
      .run = RunAudit};
  return command;
}

}  // namespace holdfast::client
