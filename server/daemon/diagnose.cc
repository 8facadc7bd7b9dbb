#include "server/daemon/diagnose.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "absl/strings/str_cat.h"

#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/daemon/process.h"
#include "server/diagnosis/diagnosis.h"
#include "server/diagnosis/findings.h"
#include "server/event/kind.h"

namespace holdfast::daemon {
namespace {

// No step takes longer than a few seconds; this is for many servers of which none answers.
constexpr absl::Duration kTimeout = absl::Seconds(60);

v1::DiagnoseResponse ResponseTo(const absl::StatusOr<Reading>& reading) {
  if (!reading.ok()) return diagnosis::DiagnoseNothing(reading.status());
  const Config& config = reading->config;
  if (const absl::Status found = config.server.gate.Check(); !found.ok()) {
    return diagnosis::DiagnoseNothing(found);
  }
  if (!config.allow_core_dumps) ForbidInspection();
  base::Clock& clock = base::SystemClock();
  diagnosis::Findings warnings;
  for (const std::string& warning : reading->warnings) {
    warnings.Warn("configuration", warning, "the daemon goes on without it", "correct it");
  }
  v1::DiagnoseResponse response = std::move(warnings.response());
  response.MergeFrom(
      diagnosis::Diagnose(DiagnosisOptions(config), clock.Steady() + kTimeout, clock));
  return response;
}

}  // namespace

diagnosis::Options DiagnosisOptions(const Config& config) {
  diagnosis::Options options;
  options.database = config.database;
  options.stats_utc_offset = config.pipeline.writer.stats_utc_offset;
  options.hash_api_keys = config.pipeline.writer.hash_api_keys;
  options.take_rate_limits = config.server.ingest.take_rate_limits;
  options.ack_when_journaled = config.ack_when_journaled;
  options.lanes = config.pipeline.lanes_per_kind * event::kKindCount;
  options.listen = config.server.gate.listen.ToString();
  options.journal_folder = config.journal_dir;
  options.journal_bytes_max = config.journal.bytes_max;
  options.journal_segment_bytes = config.journal.segment_bytes;
  return options;
}

bool AsksForDiagnosis(const std::vector<std::string>& flags) {
  return std::find(flags.begin(), flags.end(), "--diagnose") != flags.end();
}

ExitCode Diagnose(const absl::StatusOr<Reading>& reading) {
  if (absl::IsNotFound(reading.status())) {
    std::fputs(absl::StrCat(std::string(reading.status().message()), "\n").c_str(), stderr);
    return kExitUsage;
  }
  // What the rooms would log is what the findings say.
  base::SetLogLevel(base::LogLevel::kError);
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.always_print_primitive_fields = true;
  std::string text;
  const auto printed =
      google::protobuf::util::MessageToJsonString(ResponseTo(reading), &text, options);
  if (!printed.ok())
    base::LogError("the findings cannot be printed", {{"reason", printed.ToString()}});
  std::fputs(text.c_str(), stdout);
  std::fflush(stdout);
  // A name or a disk that does not answer may still keep a thread; it is not waited for.
  std::_Exit(printed.ok() ? kExitDrained : kExitConfiguration);
}

}  // namespace holdfast::daemon
