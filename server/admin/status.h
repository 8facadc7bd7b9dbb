// One moment of the daemon in words: for the status page, the RPC and the probes.

#pragma once

#include <string>
#include <vector>

#include "holdfast/v1/admin.pb.h"
#include "server/admin/daemon_view.h"

namespace holdfast::admin {

// Why the daemon is not as it should be, a sentence each, with its remedy.
struct Readiness {
  // Events are refused: do not send any here.
  std::vector<std::string> refusing;
  // Events are taken and kept; something keeps them from moving on.
  std::vector<std::string> degraded;

  // Events are taken. A database that is away does not change that: it is what the journal is for.
  bool ready() const { return refusing.empty(); }
};

Readiness Assess(const DaemonFacts& facts, const pipeline::PipelineStatus& pipeline,
                 const mysql::DatabaseStatus& database);
Readiness Assess(const DaemonView& daemon);

v1::GetStatusResponse StatusOf(const DaemonFacts& facts, const pipeline::PipelineStatus& pipeline,
                               const mysql::DatabaseStatus& database,
                               const mysql::CircuitStatus& circuit);
v1::GetStatusResponse StatusOf(const DaemonView& daemon);

v1::GetHistoryResponse HistoryOf(const std::vector<Sample>& samples);

v1::Circuit CircuitOf(const mysql::CircuitStatus& circuit);
v1::ListCircuitsResponse CircuitsOf(const DaemonView& daemon);

}  // namespace holdfast::admin
