// A daemon that a test describes.

#pragma once

#include <atomic>
#include <vector>

#include "server/admin/daemon_view.h"

namespace holdfast::test {

// What it says is set before it is asked; the counters are thread-safe.
class FakeDaemonView final : public admin::DaemonView {
 public:
  FakeDaemonView() {
    facts.version = "1.2.3";
    facts.writer_id = "writer-7";
    facts.started_at = absl::FromUnixSeconds(1767225600);
    facts.now = facts.started_at + absl::Hours(1);
    facts.drain_timeout = absl::Seconds(25);
    circuit.name = "mysql";
    circuit.last_state_change = absl::InfinitePast();
  }

  admin::DaemonFacts Facts() const override {
    admin::DaemonFacts now = facts;
    now.draining |= draining;
    return now;
  }
  void SetDraining() { draining = true; }
  pipeline::PipelineStatus Pipeline() const override { return pipeline; }
  mysql::DatabaseStatus Database() const override { return database; }
  mysql::CircuitStatus Circuit() const override { return circuit; }
  std::vector<admin::Sample> History() const override { return history; }
  void ResetCircuit() override { ++resets; }
  pipeline::Tap& Tap() override { return tap; }
  absl::Status Probe() override {
    ++probes;
    return probe;
  }
  v1::DiagnoseResponse Diagnose(bool probe_only, absl::Time /*deadline*/) override {
    ++(probe_only ? probes_sought : diagnoses);
    return diagnosis;
  }
  void Drain() override { ++drains; }

  admin::DaemonFacts facts;
  pipeline::PipelineStatus pipeline;
  mysql::DatabaseStatus database;
  mysql::CircuitStatus circuit;
  std::vector<admin::Sample> history;
  pipeline::Tap tap;
  absl::Status probe;
  v1::DiagnoseResponse diagnosis;
  std::atomic<bool> draining = false;
  std::atomic<int> resets = 0;
  std::atomic<int> probes = 0;
  std::atomic<int> drains = 0;
  std::atomic<int> diagnoses = 0;
  std::atomic<int> probes_sought = 0;
};

}  // namespace holdfast::test
