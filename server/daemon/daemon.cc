#include "server/daemon/daemon.h"

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "server/admin/status.h"
#include "server/base/log.h"
#include "server/base/status_macros.h"
#include "server/daemon/deadline_guard.h"
#include "server/daemon/diagnose.h"
#include "server/daemon/failure_note.h"
#include "server/diagnosis/diagnosis.h"

namespace holdfast::daemon {
namespace {

// How often the daemon looks after itself while it serves.
constexpr absl::Duration kTick = absl::Seconds(1);

// How long the probe of /livez may take; the kubelet waits a second by default, and asks again.
constexpr absl::Duration kProbeTimeout = absl::Seconds(2);

// The most of the drain timeout that goes to calls that are still open. Streams need milliseconds;
// what may take long are Write calls that wait for the database, and those can be repeated.
constexpr absl::Duration kCallsTimeout = absl::Seconds(2);

// How long threads may take to end after the drain. One that hangs in the database is left behind.
constexpr absl::Duration kEndTimeout = absl::Seconds(3);

}  // namespace

Daemon::Daemon(Config config, std::string version, base::Clock& clock)
    : config_(std::move(config)),
      version_(std::move(version)),
      clock_(clock),
      started_at_(clock.Now()),
      metrics_(version_) {}

Daemon::~Daemon() {
  // Doors first, the probing one before the probed; then the threads that rent connections.
  http_.reset();
  server_.reset();
  admin_service_.reset();
  if (pool_ != nullptr) pool_->Close();
  housekeeper_.reset();
  if (pipeline_ != nullptr) pipeline_->Stop();
}

ExitCode Daemon::Start() {
  if (const absl::Status opened = OpenJournal(); !opened.ok()) {
    base::LogError("the journal cannot be opened",
                   {{"folder", config_.journal_dir},
                    {"reason", opened},
                    {"remedy",
                     "give HOLDFAST_JOURNAL_DIR a folder that this user may write to and no other "
                     "process uses; delete nothing in it"}});
    return kExitJournal;
  }
  absl::Status started = StartPipeline();
  if (started.ok()) started = StartDoors();
  if (!started.ok()) {
    base::LogError("the daemon cannot start", {{"reason", started}});
    return kExitConfiguration;
  }
  SayServing();
  return kExitDrained;
}

absl::Status Daemon::OpenJournal() {
  HOLDFAST_ASSIGN_OR_RETURN(disk_, disk::OpenPosixDisk(config_.journal_dir));
  HOLDFAST_ASSIGN_OR_RETURN(journal_,
                            journal::Journal::Open(config_.journal, *disk_, clock_, metrics_));
  if (disk_->persistence() == disk::Persistence::kVolatile) {
    base::LogWarning(
        "the journal's folder does not outlive this machine or pod; mount a volume there, or let "
        "gateways wait for COMMITTED",
        {{"folder", config_.journal_dir}});
  }
  if (const std::optional<absl::Time> failed = LastFailureNoted(config_.journal_dir)) {
    metrics_.journal_failed_at->Set(absl::ToDoubleSeconds(*failed - absl::UnixEpoch()));
  }
  return absl::OkStatus();
}

absl::Status Daemon::StartPipeline() {
  writer::WriterOptions& writer = config_.pipeline.writer;
  writer.journal_id = journal_->journal_id();
  if (writer.writer_id.empty()) writer.writer_id = event::FormatUuid(writer.journal_id);
  HOLDFAST_RETURN_IF_ERROR(config_.pipeline.Validate());
  pool_ = std::make_unique<mysql::Pool>(config_.database, clock_, metrics_);
  pipeline_ = pipeline::Pipeline::Make(config_.pipeline, *journal_, *pool_, clock_, metrics_);
  pipeline_->Start();

  writer::HousekeepingOptions housekeeping;
  housekeeping.writer_id = writer.writer_id;
  housekeeping.rent_timeout = config_.database.pool_timeout;
  HOLDFAST_RETURN_IF_ERROR(housekeeping.Validate());
  housekeeper_ = std::make_unique<Housekeeper>(housekeeping, *pool_, clock_);
  return absl::OkStatus();
}

// The pages come last: what they say about the listener is true from the first answer on.
absl::Status Daemon::StartDoors() {
  admin::DaemonView& view = *this;
  admin_service_ =
      std::make_unique<admin::AdminService>(view, *pool_, clock_, config_.pipeline.writer);
  HOLDFAST_ASSIGN_OR_RETURN(
      server_,
      ingress::Server::Start(config_.server, *pipeline_, {admin_service_.get()}, clock_, metrics_));
  {
    absl::MutexLock lock(&mu_);
    probed_ = server_.get();
  }
  pages_ = std::make_unique<admin::Pages>(view, *pool_, metrics_, clock_);
  HOLDFAST_ASSIGN_OR_RETURN(http_, admin::HttpServer::Start(config_.http, *pages_));
  absl::MutexLock lock(&mu_);
  admin_port_ = http_->address().port;
  return absl::OkStatus();
}

void Daemon::SayServing() const {
  std::vector<std::string> endpoints;
  for (const mysql::Endpoint& endpoint : config_.database.endpoints) {
    endpoints.push_back(endpoint.ToString());
  }
  base::LogInfo("taking events", {{"version", version_},
                                  {"listen", server_->address()},
                                  {"admin", http_->address().ToString()},
                                  {"journal", config_.journal_dir},
                                  {"database", absl::StrJoin(endpoints, ",")},
                                  {"writer_id", config_.pipeline.writer.writer_id}});
}

ExitCode Daemon::Serve() {
  ServeUntilTold();
  return DrainRooms();
}

void Daemon::ServeUntilTold() {
  // The first at once: rates can be told from the second on.
  Remember(pipeline_->Status());
  while (true) {
    {
      absl::MutexLock lock(&mu_);
      if (clock_.AwaitWithTimeout(mu_, absl::Condition(this, &Daemon::IsTold), kTick)) return;
    }
    const pipeline::PipelineStatus status = pipeline_->Status();
    Remember(status);
    base::SayWhatWasHeldBack(/*all=*/false);
    server_->SetTakingEvents(admin::Assess(Facts(), status, pool_->Status()).ready());
    if (!status.journal.failure.ok()) {
      base::LogError("the journal has failed: delivering what is durable, then ending",
                     {{"folder", config_.journal_dir}, {"reason", status.journal.failure}});
      NoteJournalFailure(status.journal.failure);
      Drain();
    }
  }
}

void Daemon::NoteJournalFailure(const absl::Status& failure) {
  if (std::exchange(failure_noted_, true)) return;
  metrics_.journal_failed_at->Set(absl::ToDoubleSeconds(clock_.Now() - absl::UnixEpoch()));
  const absl::Status noted = LeaveFailureNote(config_.journal_dir, failure);
  if (!noted.ok()) {
    base::LogWarning("the next start will not know that the journal failed", {{"reason", noted}});
  }
}

void Daemon::Remember(const pipeline::PipelineStatus& status) {
  const absl::Time steady = clock_.Steady();
  if (!history_.IsDue(steady)) return;
  history_.Add(steady, admin::SampleOf(clock_.Now(), status, metrics_));
}

ExitCode Daemon::DrainRooms() {
  const absl::Time deadline = clock_.Steady() + config_.drain_timeout;
  server_->Shutdown(std::min(kCallsTimeout, config_.drain_timeout / 4));
  const bool drained = pipeline_->Drain(deadline, [this] {
    absl::MutexLock lock(&mu_);
    return stopping_;
  });
  ExitCode code = drained ? kExitDrained : kExitEventsLeft;
  const auto look_at_journal = [this, &code] {
    const absl::Status failure = pipeline_->Status().journal.failure;
    if (failure.ok()) return;
    NoteJournalFailure(failure);
    code = kExitJournal;
  };
  look_at_journal();
  if (drained) {
    base::LogInfo("drained: every event is in the database");
  } else {
    base::LogWarning("stopped with events left in the journal; start again to deliver them",
                     {{"folder", config_.journal_dir}});
  }
  // The journal has what is left: nothing is lost by leaving a thread behind that waits for the
  // database longer than we may.
  const DeadlineGuard guard(kEndTimeout, clock_, [code] {
    base::LogWarning("a thread still waits for the database; ending without it");
    std::_Exit(code);
  });
  pool_->Close();  // First: a page that waits for a connection gives up.
  http_.reset();
  server_.reset();
  admin_service_.reset();
  pipeline_->Stop();
  look_at_journal();  // Its last writes may have failed.
  housekeeper_.reset();
  return code;
}

void Daemon::Drain() {
  absl::MutexLock lock(&mu_);
  draining_ = true;
}

void Daemon::Stop() {
  absl::MutexLock lock(&mu_);
  draining_ = true;
  stopping_ = true;
}

admin::DaemonFacts Daemon::Facts() const {
  admin::DaemonFacts facts;
  facts.version = version_;
  facts.writer_id = config_.pipeline.writer.writer_id;
  facts.started_at = started_at_;
  facts.now = clock_.Now();
  facts.drain_timeout = config_.drain_timeout;
  facts.journal_folder = config_.journal_dir;
  facts.journal_is_volatile = disk_->persistence() == disk::Persistence::kVolatile;
  facts.journal_id = config_.pipeline.writer.journal_id;
  facts.stats_utc_offset = config_.pipeline.writer.stats_utc_offset;
  absl::MutexLock lock(&mu_);
  facts.draining = draining_;
  facts.admin_port = admin_port_;
  return facts;
}

absl::Status Daemon::Probe() {
  const ingress::Server* server = nullptr;
  {
    absl::MutexLock lock(&mu_);
    server = probed_;
  }
  if (server == nullptr) return absl::UnavailableError("the daemon is starting");
  return server->Probe(kProbeTimeout);
}

v1::DiagnoseResponse Daemon::Diagnose(bool probe_only, absl::Time deadline) {
  diagnosis::Options options = DiagnosisOptions(config_);
  options.is_daemon = true;
  return probe_only ? diagnosis::DiagnoseProbe(options, deadline, clock_)
                    : diagnosis::Diagnose(options, deadline, clock_);
}

}  // namespace holdfast::daemon
