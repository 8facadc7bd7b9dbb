#include "server/daemon/housekeeper.h"

#include "server/base/log.h"
#include "server/mysql/errors.h"

namespace holdfast::daemon {
namespace {

// Between rounds that have left nothing; and between those that have, so that they never take a
// connection for long.
constexpr absl::Duration kIdle = absl::Minutes(1);
constexpr absl::Duration kBusy = absl::Milliseconds(200);

}  // namespace

Housekeeper::Housekeeper(const writer::HousekeepingOptions& options, mysql::SessionSource& sessions,
                         base::Clock& clock)
    : clock_(clock), housekeeping_(options, sessions, clock), thread_([this] { Run(); }) {}

Housekeeper::~Housekeeper() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
  }
  thread_.join();
}

void Housekeeper::Run() {
  absl::Duration wait = kIdle;  // At the start there is more urgent work for the database.
  while (true) {
    {
      absl::MutexLock lock(&mu_);
      if (clock_.AwaitWithTimeout(mu_, absl::Condition(this, &Housekeeper::IsStopping), wait)) {
        return;
      }
    }
    wait = StepAndTell() ? kBusy : kIdle;
  }
}

bool Housekeeper::StepAndTell() {
  const absl::Status done = housekeeping_.Step();
  if (done.ok()) return housekeeping_.more();
  // That the database is away is said by those who need it more.
  const flow::Verdict verdict = mysql::VerdictOf(done);
  if (verdict == flow::Verdict::kOutage || verdict == flow::Verdict::kReject) {
    base::LogWarning("housekeeping failed; it is tried again in a minute", {{"reason", done}});
  } else {
    base::LogDebug("housekeeping was put off", {{"reason", done}});
  }
  return false;
}

}  // namespace holdfast::daemon
