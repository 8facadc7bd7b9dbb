// holdfastd.

#include <unistd.h>

#include <cstdio>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"

#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/daemon/config.h"
#include "server/daemon/daemon.h"
#include "server/daemon/diagnose.h"
#include "server/daemon/exit_code.h"
#include "server/daemon/inspect.h"
#include "server/daemon/migrate.h"
#include "server/daemon/process.h"

namespace holdfast::daemon {
namespace {

constexpr char kVersion[] = HOLDFAST_VERSION;

void Print(const std::string& text) { std::fputs(text.c_str(), stdout); }

ExitCode Run(const Config& config) {
  if (!config.allow_core_dumps) ForbidInspection();
  Daemon daemon(config, kVersion, base::SystemClock());
  // From here on a signal ends the daemon in order, also while it starts.
  const Signals signals([&daemon](int count) { count == 1 ? daemon.Drain() : daemon.Stop(); });
  ExitCode code = daemon.Start();
  if (code == kExitDrained) code = daemon.Serve();
  base::SayWhatWasHeldBack(/*all=*/true);
  return code;
}

ExitCode Main(const std::vector<std::string>& flags) {
  const Environment environment = ProcessEnvironment();
  const absl::StatusOr<Reading> reading = ReadConfig(flags, environment);
  if (AsksForDiagnosis(flags)) return Diagnose(reading);
  if (!reading.ok()) {
    std::fputs(absl::StrCat(std::string(reading.status().message()), "\n").c_str(), stderr);
    return absl::IsNotFound(reading.status()) ? kExitUsage : kExitConfiguration;
  }
  if (reading->command == Command::kHelp) return Print(HelpText()), kExitDrained;
  if (reading->command == Command::kVersion) {
    return Print(absl::StrCat("holdfastd ", kVersion, "\n")), kExitDrained;
  }
  base::SetLogLevel(reading->config.log_level);
  const bool in_pod = environment.count("KUBERNETES_SERVICE_HOST") > 0;
  base::SetLogFormat(reading->config.log_format.value_or(
      base::ChooseLogFormat(isatty(STDERR_FILENO) == 1, in_pod)));
  for (const std::string& warning : reading->warnings) base::LogWarning(warning);
  if (reading->command == Command::kMigrate) return Migrate(reading->config);
  if (reading->command == Command::kInspectJournal) return InspectJournal(*reading);
  // Before the journal is opened, and also without starting: files that are named and will not do.
  if (const absl::Status found = reading->config.server.gate.Check(); !found.ok()) {
    std::fputs(absl::StrCat(std::string(found.message()), "\n").c_str(), stderr);
    return kExitConfiguration;
  }
  if (reading->command == Command::kCheckConfig) {
    return Print(DescribeSettings(*reading)), kExitDrained;
  }
  return Run(reading->config);
}

}  // namespace
}  // namespace holdfast::daemon

int main(int argc, char** argv) {
  holdfast::daemon::PrepareProcess();
  return holdfast::daemon::Main(std::vector<std::string>(argv + 1, argv + argc));
}
