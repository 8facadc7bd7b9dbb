// A daemon that a test describes.

#pragma once

#include <atomic>

#include "server/admin/daemon_view.h"

namespace holdfast::test {

// What it says is set before it is asked; the counters are thread-safe.
class FakeDaemonView final : public admin::DaemonView {
 public:
  FakeDaemonView() {
    facts.version = "1.2.3";
    facts.writer_id = "writer-7";
    facts.started_at = absl::FromUnixSeconds(1767225600);
    facts.drain_timeout = absl::Seconds(25);
    circuit.name = "mysql";
    circuit.last_state_change = absl::InfinitePast();
  }

  admin::DaemonFacts Facts() const override { return facts; }
  pipeline::PipelineStatus Pipeline() const override { return pipeline; }
  mysql::DatabaseStatus Database() const override { return database; }
  mysql::CircuitStatus Circuit() const override { return circuit; }
  void ResetCircuit() override { ++resets; }
  absl::Status Probe() override {
    ++probes;
    return probe;
  }
  void Drain() override { ++drains; }

  admin::DaemonFacts facts;
  pipeline::PipelineStatus pipeline;
  mysql::DatabaseStatus database;
  mysql::CircuitStatus circuit;
  absl::Status probe;
  std::atomic<int> resets = 0;
  std::atomic<int> probes = 0;
  std::atomic<int> drains = 0;
};

}  // namespace holdfast::test
