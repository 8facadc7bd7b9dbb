#include "server/daemon/migrate.h"

#include <cstdio>
#include <string>

#include "absl/strings/str_format.h"

#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/metrics/metrics.h"
#include "server/mysql/migrate.h"

namespace holdfast::daemon {
namespace {

// "+08:00".
std::string OffsetText(absl::Duration offset) {
  const int64_t minutes = absl::ToInt64Minutes(absl::AbsDuration(offset));
  return absl::StrFormat("%c%02d:%02d", offset < absl::ZeroDuration() ? '-' : '+', minutes / 60,
                         minutes % 60);
}

}  // namespace

ExitCode Migrate(const Config& config) {
  metrics::Metrics metrics("migrate");  // For the pool; nobody scrapes it.
  const absl::Status migrated =
      mysql::Migrate(config.database, OffsetText(config.pipeline.writer.stats_utc_offset),
                     base::SystemClock(), metrics, [](absl::string_view step) {
                       std::fputs(std::string(step).c_str(), stdout);
                       std::fputc('\n', stdout);
                       std::fflush(stdout);
                     });
  if (migrated.ok()) return kExitDrained;
  base::LogError("the database was not migrated", {{"reason", migrated}});
  // A schema that is newer, or statistics at another offset: not a matter of trying again.
  return absl::IsFailedPrecondition(migrated) ? kExitConfiguration : kExitNoDatabase;
}

}  // namespace holdfast::daemon
