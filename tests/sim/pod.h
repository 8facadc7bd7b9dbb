// One daemon with its disk and its gateways, through all of its lives.

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "server/journal/journal.h"
#include "server/metrics/metrics.h"
#include "server/pipeline/pipeline.h"
#include "tests/sim/gateway.h"
#include "tests/sim/media.h"
#include "tests/sim/plan.h"
#include "tests/sim/scheduler.h"
#include "tests/sim/sessions.h"
#include "tests/sim/slow_disk.h"
#include "tests/support/fake_database.h"
#include "tests/support/forgetful_disk.h"

namespace holdfast::sim {

class Pod {
 public:
  // The rest must outlive it.
  Pod(const GatewayWorld& world, const Profile& profile, uint64_t number, Scheduler& clock,
      test::FakeDatabase& database, metrics::Metrics& metrics);
  ~Pod();

  // A new life, if it is not alive. False if the disk would not have it: end that life too.
  bool Start();
  bool alive() const { return pipeline_ != nullptr; }

  // Ends in order: drains until `patience` has passed. Returns whether nothing was left.
  bool Stop(absl::Duration patience);
  // Ends at once.
  void Crash(test::ForgetfulDisk::End end);
  // What happened to it by itself: the power went off in a call, or the journal failed.
  void Notice(Random random);

  void Send(uint64_t gateway, uint64_t count, uint64_t again);
  // A unary batch of what was not confirmed yet and `count` new events.
  void Write(uint64_t count, bool until_committed);
  bool all_written() const { return unconfirmed_.empty(); }

  // Damages bytes at rest, once. REQUIRES: !alive().
  void DamageDisk(Random random);
  const std::optional<Damage>& damage() const { return damage_; }
  // The daemon said so.
  bool reported() const { return reported_; }

  test::ForgetfulDisk& disk() { return disk_; }
  pipeline::Pipeline& pipeline() { return *pipeline_; }
  journal::Journal& journal() { return *journal_; }
  std::vector<std::unique_ptr<Gateway>>& gateways() { return gateways_; }
  // Numbers of the events that were written without a producer and confirmed.
  const std::set<uint64_t>& confirmed() const { return confirmed_; }
  uint64_t written() const { return written_; }
  uint64_t number() const { return number_; }

 private:
  void Silence();
  void End(test::ForgetfulDisk::End end);
  void CheckCorruptions();
  void CheckDrained();

  const GatewayWorld world_;
  const Profile profile_;
  const uint64_t number_;
  Scheduler& clock_;
  test::FakeDatabase& database_;
  metrics::Metrics& metrics_;
  test::ForgetfulDisk disk_;
  SlowDisk slow_disk_;
  journal::JournalOptions journal_options_;
  uint64_t life_ = 0;

  std::unique_ptr<journal::Journal> journal_;
  std::unique_ptr<Sessions> sessions_;
  std::unique_ptr<pipeline::Pipeline> pipeline_;
  std::vector<std::unique_ptr<Gateway>> gateways_;

  // Unary writes: by number of the event.
  std::shared_ptr<uint64_t> writing_life_ = std::make_shared<uint64_t>(0);
  std::set<uint64_t> unconfirmed_;
  std::set<uint64_t> confirmed_;
  uint64_t written_ = 0;

  std::optional<Damage> damage_;
  bool reported_ = false;
};

}  // namespace holdfast::sim
