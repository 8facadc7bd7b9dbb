// What this room asks of the daemon.

#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"

#include "holdfast/v1/admin.pb.h"
#include "server/admin/history.h"
#include "server/mysql/pool.h"
#include "server/pipeline/pipeline.h"

namespace holdfast::admin {

// What the daemon knows of itself.
struct DaemonFacts {
  std::string version;
  std::string writer_id;
  absl::Time started_at;
  absl::Time now;  // When this was asked, by the clock that people read.
  bool draining = false;
  absl::Duration drain_timeout;
  std::string journal_folder;
  bool journal_is_volatile = false;  // The folder does not outlive the machine or pod.
  int admin_port = 0;                // 0: not open yet.
  event::Id journal_id;
  absl::Duration stats_utc_offset;
};

// Thread-safe. None of these but Diagnose waits for the database.
class DaemonView {
 public:
  virtual ~DaemonView() = default;

  virtual DaemonFacts Facts() const = 0;
  virtual pipeline::PipelineStatus Pipeline() const = 0;
  virtual mysql::DatabaseStatus Database() const = 0;
  virtual mysql::CircuitStatus Circuit() const = 0;
  virtual std::vector<Sample> History() const = 0;  // Oldest first.
  virtual void ResetCircuit() = 0;
  virtual pipeline::Tap& Tap() = 0;

  // Goes through the real gRPC listener, as a gateway does. Waits for the answer, a few seconds at
  // most.
  virtual absl::Status Probe() = 0;

  // Looks into all that the daemon depends on; `probe_only`: only for the probe that was sent. What
  // it is waiting for at `deadline` (steady clock) may take a few seconds longer.
  virtual v1::DiagnoseResponse Diagnose(bool probe_only, absl::Time deadline) = 0;

  // Starts the same orderly end as SIGTERM; returns at once.
  virtual void Drain() = 0;
};

}  // namespace holdfast::admin
