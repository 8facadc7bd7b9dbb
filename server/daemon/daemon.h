// The rooms, put together: started upwards, drained downwards.

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

#include "server/admin/admin_service.h"
#include "server/admin/daemon_view.h"
#include "server/admin/history.h"
#include "server/admin/http_server.h"
#include "server/admin/pages.h"
#include "server/base/clock.h"
#include "server/daemon/config.h"
#include "server/daemon/exit_code.h"
#include "server/daemon/housekeeper.h"
#include "server/disk/disk.h"
#include "server/ingress/server.h"
#include "server/journal/journal.h"
#include "server/metrics/metrics.h"
#include "server/mysql/pool.h"
#include "server/pipeline/pipeline.h"

namespace holdfast::daemon {

// Thread-safe.
class Daemon final : private admin::DaemonView {
 public:
  Daemon(Config config, std::string version, base::Clock& clock);
  ~Daemon() override;

  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  // Builds and starts everything; the database is not waited for. On failure logs why and returns
  // how the process should end; on success kExitDrained. REQUIRES: called once.
  ExitCode Start();

  // Serves until it is told to stop or the journal fails, then drains; returns how the process
  // should end. REQUIRES: Start succeeded.
  ExitCode Serve();

  // Ends Serve in order. What is not delivered within the drain timeout stays in the journal.
  void Drain() override;
  // Ends Serve at once. Everything that was acknowledged is in the journal or the database already.
  void Stop();

 private:
  admin::DaemonFacts Facts() const override;
  pipeline::PipelineStatus Pipeline() const override { return pipeline_->Status(); }
  mysql::DatabaseStatus Database() const override { return pool_->Status(); }
  mysql::CircuitStatus Circuit() const override { return pool_->Circuit(); }
  std::vector<admin::Sample> History() const override { return history_.Samples(); }
  void ResetCircuit() override { pool_->ResetCircuit(); }
  pipeline::Tap& Tap() override { return pipeline_->tap(); }
  absl::Status Probe() override;
  v1::DiagnoseResponse Diagnose(bool probe_only, absl::Time deadline) override;

  absl::Status OpenJournal();
  absl::Status StartPipeline();
  absl::Status StartDoors();
  void SayServing() const;
  void ServeUntilTold();
  void Remember(const pipeline::PipelineStatus& status);
  // Tells it, once, in the metrics and to the next start.
  void NoteJournalFailure(const absl::Status& failure);
  ExitCode DrainRooms();
  bool IsTold() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return draining_; }

  Config config_;
  const std::string version_;
  base::Clock& clock_;
  const absl::Time started_at_;

  // Upwards: each uses those before it, and goes before them.
  metrics::Metrics metrics_;
  std::unique_ptr<disk::Disk> disk_;
  std::unique_ptr<journal::Journal> journal_;
  std::unique_ptr<mysql::Pool> pool_;
  std::unique_ptr<pipeline::Pipeline> pipeline_;
  std::unique_ptr<Housekeeper> housekeeper_;
  admin::History history_;
  std::unique_ptr<admin::Pages> pages_;
  std::unique_ptr<admin::HttpServer> http_;
  std::unique_ptr<admin::AdminService> admin_service_;
  std::unique_ptr<ingress::Server> server_;

  bool failure_noted_ = false;  // Serve's thread alone.

  mutable absl::Mutex mu_;
  bool draining_ ABSL_GUARDED_BY(mu_) = false;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  int admin_port_ ABSL_GUARDED_BY(mu_) = 0;                 // Once it listens.
  ingress::Server* probed_ ABSL_GUARDED_BY(mu_) = nullptr;  // Once it listens.
};

}  // namespace holdfast::daemon
