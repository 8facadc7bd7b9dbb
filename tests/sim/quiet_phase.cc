// The end of a simulation: the faults stop, and then everything must come to rest by itself.

#include <algorithm>

#include "tests/sim/world.h"

namespace holdfast::sim {
namespace {

// When the faults have stopped, everything is in the database within so long.
constexpr absl::Duration kQuietMax = absl::Minutes(5);

// So often a gateway that is refused tries again then.
constexpr absl::Duration kTryAgain = absl::Milliseconds(500);

}  // namespace

void World::QuietPhase() {
  if (say_) say_("the faults stop");
  faults_.Clear();
  database_.SetDown(false);
  database_.SetReadOnly(false);
  database_.set_kill_works(true);
  database_.engine().Undrop(dropped_);
  faults_.EndZombies(plan_.seed % 2 == 0);
  for (const auto& pod : pods_) {
    pod->disk().set_capacity(uint64_t{1} << 40);
    pod->disk().ForgetFailures();
    // Half of them live on: nothing that they have met may keep them from it.
    if (SeedOf(plan_.seed, 7, pod->number()) % 2 == 0) {
      pod->Crash(test::ForgetfulDisk::End::kPowerCut);
    }
  }
  faults_.EndZombies(plan_.seed % 3 == 0);
  Deliver();
  if (failure_.happened()) return;
  // A lane that nobody writes to hears of a failover only when it is opened again.
  for (const auto& pod : pods_) {
    if (!pod->Stop(kQuietMax)) failure_.Say("pod ", pod->number(), " does not drain");
    Revive(*pod);
  }
  if (!failure_.happened()) DrainAll();
}

void World::Revive(Pod& pod) {
  if (!pod.Start()) failure_.Say("pod ", pod.number(), " does not start on a good disk");
}

void World::DrainAll() {
  for (const auto& pod : pods_) {
    if (pod->pipeline().Drain(clock_.Steady() + kQuietMax, [] { return false; })) continue;
    failure_.Say("pod ", pod->number(), " does not drain after its last start");
  }
}

// The gateways send until all of it is committed.
void World::Deliver() {
  const absl::Time deadline = clock_.Steady() + kQuietMax;
  while (!failure_.happened()) {
    // A power cut that was under way strikes still; what its transactions hold, the server ends.
    NoticeAll(0);
    faults_.EndZombies(plan_.seed % 2 == 0);
    for (const auto& pod : pods_) Revive(*pod);
    SendTheRest();
    clock_.Spend(kTryAgain);
    if (AllCommitted()) return;
    if (clock_.Steady() > deadline) {
      failure_.Say("the faults have stopped, and not everything is delivered");
    }
  }
}

void World::SendTheRest() {
  for (const auto& pod : pods_) {
    if (!pod->alive()) return;
    for (const auto& gateway : pod->gateways()) {
      if (!gateway->all_committed()) gateway->SendOn(pod->pipeline());
    }
    if (!pod->all_written()) pod->Write(0, true);
  }
}

bool World::AllCommitted() const {
  return std::all_of(pods_.begin(), pods_.end(), [](const auto& pod) {
    return pod->all_written() &&
           std::all_of(pod->gateways().begin(), pod->gateways().end(),
                       [](const auto& gateway) { return gateway->all_committed(); });
  });
}

}  // namespace holdfast::sim
