#include "tests/sim/pod.h"

#include <map>
#include <utility>

#include "absl/strings/str_cat.h"

#include "server/event/event_id.h"
#include "server/event/kind.h"
#include "tests/sim/events.h"

namespace holdfast::sim {
namespace {

journal::JournalOptions JournalOptionsOf(const Profile& profile) {
  journal::JournalOptions options;
  options.segment_bytes = uint64_t{64} << 10;
  options.bytes_max = (profile.small_journal ? 6 : 4096) * options.segment_bytes;
  options.group_bytes_max = uint64_t{4} << 10;
  options.queue_bytes_max = uint64_t{16} << 10;
  options.producers_max = 64;
  options.retention = profile.failovers ? absl::Hours(24) : absl::Seconds(1);
  options.retention_bytes = profile.failovers ? uint64_t{1} << 40 : uint64_t{256} << 10;
  return options;
}

}  // namespace

Pod::Pod(const GatewayWorld& world, const Profile& profile, uint64_t number, Scheduler& clock,
         test::FakeDatabase& database, metrics::Metrics& metrics)
    : world_(world),
      profile_(profile),
      number_(number),
      clock_(clock),
      database_(database),
      metrics_(metrics),
      disk_(SeedOf(world.seed, 10, number)),
      slow_disk_(disk_, clock, SeedOf(world.seed, 11, number)),
      journal_options_(JournalOptionsOf(profile)) {
  for (uint64_t i = 0; i < profile.gateways; ++i) {
    gateways_.push_back(std::make_unique<Gateway>(world, number * 10 + i));
  }
}

Pod::~Pod() {
  if (alive()) Crash(test::ForgetfulDisk::End::kKill);
}

bool Pod::Start() {
  if (alive()) return true;
  ++life_;
  ++world_.report->lives;
  auto journal = journal::Journal::Open(journal_options_, slow_disk_, clock_, metrics_);
  if (!journal.ok()) {
    ++world_.report->crashes_in_recovery;
    if (disk_.is_on() && !absl::IsUnavailable(journal.status()) &&
        !absl::IsResourceExhausted(journal.status())) {
      world_.failure->Say("pod ", number_,
                          " cannot open its journal: ", journal.status().ToString());
    }
    // It may have reported the damage, proven by what only the page cache had; that goes now.
    if (damage_.has_value()) {
      damage_->undecidable = true;
      for (const auto& gateway : gateways_) gateway->Excuse();
    }
    End(test::ForgetfulDisk::End::kPowerCut);
    return false;
  }
  journal_ = *std::move(journal);
  CheckCorruptions();
  pipeline::PipelineOptions options;
  options.lanes_per_kind = static_cast<int>(profile_.lanes_per_kind);
  options.memory_bytes_max = size_t{1} << 20;
  options.writer.writer_id = absl::StrCat("writer-", number_);
  options.writer.journal_id = journal_->journal_id();
  options.writer.rows_max = 16;
  sessions_ = std::make_unique<Sessions>(database_, clock_, *world_.report,
                                         SeedOf(world_.seed, 12 + number_, life_), 3);
  pipeline_ = pipeline::Pipeline::Make(options, *journal_, *sessions_, clock_, metrics_);
  pipeline_->Start();
  return true;
}

// Nothing that happens from now on is heard by anybody.
void Pod::Silence() {
  ++*writing_life_;
  for (const auto& gateway : gateways_) gateway->Forget();
}

void Pod::End(test::ForgetfulDisk::End end) {
  pipeline_ = nullptr;
  sessions_ = nullptr;
  journal_ = nullptr;
  disk_.PowerOff();
  disk_.PowerOn(end);
  if (end == test::ForgetfulDisk::End::kPowerCut) ++world_.report->power_cuts;
}

void Pod::Crash(test::ForgetfulDisk::End end) {
  if (alive()) ++world_.report->crashes;
  Silence();
  disk_.PowerOff();
  if (alive()) {
    sessions_->Crash();
    pipeline_->Stop();
    CheckCorruptions();
  }
  End(end);
}

bool Pod::Stop(absl::Duration patience) {
  if (!alive()) return false;
  ++world_.report->orderly_stops;
  const bool drained = pipeline_->Drain(clock_.Steady() + patience, [] { return false; });
  pipeline_->Stop();
  CheckCorruptions();
  if (drained) CheckDrained();
  Silence();
  // An orderly end is one to the server, too.
  End(test::ForgetfulDisk::End::kKill);
  database_.ForgetIdle();
  return drained;
}

// What says that it has drained has left nothing. A failover may take it back.
void Pod::CheckDrained() {
  if (profile_.failovers || damage_.has_value()) return;
  const journal::LanePositions heads = journal_->Status().lane_heads;
  std::map<std::string, std::string> positions;
  for (const mysql::ResultRow& row :
       database_.Read("holdfast_lanes", {"writer_id", "lane", "position"})) {
    if (*row[0] == absl::StrCat("writer-", number_)) positions[*row[1]] = *row[2];
  }
  for (event::Lane lane = 0; lane < event::kLaneCount; ++lane) {
    if (heads[lane] == 0 || positions[event::LaneName(lane)] == absl::StrCat(heads[lane])) continue;
    world_.failure->Say("pod ", number_, " says that it has drained, and lane ",
                        event::LaneName(lane), " has not");
  }
}

void Pod::Notice(Random random) {
  if (!alive()) return;
  CheckCorruptions();
  if (!disk_.is_on()) {
    Crash(test::ForgetfulDisk::End::kPowerCut);
    return;
  }
  if (journal_->Status().failure.ok()) return;
  ++world_.report->journal_failures;
  if (random.OneIn(3)) {
    Crash(random.OneIn(2) ? test::ForgetfulDisk::End::kPowerCut : test::ForgetfulDisk::End::kKill);
  } else {
    Stop(random.ShortDuration(absl::Seconds(20)));
  }
}

void Pod::Send(uint64_t gateway, uint64_t count, uint64_t again) {
  gateways_[gateway % gateways_.size()]->Send(*pipeline_, count, again);
}

void Pod::Write(uint64_t count, bool until_committed) {
  v1::EventBatch message;
  std::vector<uint64_t> numbers(unconfirmed_.begin(), unconfirmed_.end());
  world_.report->duplicates_sent += numbers.size();
  for (uint64_t i = 0; i < count; ++i) numbers.push_back(++written_);
  if (numbers.empty()) return;
  for (const uint64_t number : numbers) {
    *message.add_events() = MakeEventWithId(world_.seed, number_, number);
    unconfirmed_.insert(number);
  }
  pipeline_->SubmitAndWait(
      ToBatch(std::move(message), event::Id(), pipeline_->lanes_per_kind(), clock_.Now()),
      until_committed,
      [this, numbers, until_committed, life = *writing_life_](const pipeline::Receipt& receipt) {
        if (life != *writing_life_ || !receipt.status.ok()) return;
        for (const uint64_t number : numbers) {
          unconfirmed_.erase(number);
          confirmed_.insert(number);
          const v1::Event event = MakeEventWithId(world_.seed, number_, number);
          if (until_committed && world_.is_settled && !world_.is_settled(event)) {
            world_.failure->Say("pod ", number_, " says that a written event ", number,
                                " is committed, and the database does not have it");
          }
        }
      });
}

void Pod::DamageDisk(Random random) {
  // One at a time, so that each can be judged.
  if (damage_.has_value()) return;
  Damage damage = DamageSomething(disk_, random);
  if (damage.file.empty()) return;
  ++world_.report->media_injected;
  if (damage.undecidable) {
    for (const auto& gateway : gateways_) gateway->Excuse();
  }
  damage_ = std::move(damage);
}

void Pod::CheckCorruptions() {
  const std::vector<journal::Corruption> found = journal_->Status().corruptions;
  if (found.empty() || reported_) return;
  if (!damage_.has_value()) {
    world_.failure->Say("pod ", number_, " reports damage that is not there: ", found[0].segment,
                        " [", found[0].first_byte, ", ", found[0].end_byte, "): ", found[0].reason);
    return;
  }
  reported_ = true;
  for (const auto& gateway : gateways_) gateway->Excuse();
}

}  // namespace holdfast::sim
