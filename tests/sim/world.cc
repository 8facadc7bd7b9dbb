#include "tests/sim/world.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "server/event/event_id.h"
#include "tests/sim/audit.h"
#include "tests/sim/events.h"
#include "tests/sim/random_bytes.h"

namespace holdfast::sim {
namespace {

using Kind = Action::Kind;
using test::ForgetfulDisk;

// One for all: it has hundreds of series, and nothing here is read from it.
metrics::Metrics& TheMetrics() {
  static auto* const metrics = new metrics::Metrics("simulation");
  return *metrics;
}

}  // namespace

Outcome RunPlan(const Plan& plan, const std::function<void(const std::string&)>& say) {
  return World(plan, say).Run();
}

World::World(const Plan& plan, const std::function<void(const std::string&)>& say)
    : plan_(plan),
      say_(say),
      clock_(SeedOf(plan.seed, 2)),
      faults_(database_, clock_, report_, SeedOf(plan.seed, 3)) {
  test::FakeTable& usage = database_.engine().table("usage_records");
  usage.column(usage.Index("model")).length_max = kModelBytesMax;
  GatewayWorld world;
  world.seed = plan.seed;
  world.clock = &clock_;
  world.failure = &failure_;
  world.report = &report_;
  // A failover takes back what was committed, and damage takes away what was acknowledged.
  if (!plan.profile.failovers && !plan.profile.media) {
    world.is_settled = [this](const v1::Event& event) { return IsSettled(event); };
  }
  for (uint64_t pod = 0; pod < plan.profile.pods; ++pod) {
    pods_.push_back(
        std::make_unique<Pod>(world, plan.profile, pod, clock_, database_, TheMetrics()));
  }
}

Outcome World::Run() {
  SeedRandomBytes(SeedOf(plan_.seed, 6));
  const double resent = TheMetrics().events_resent->Value();
  for (const Action& action : plan_.actions) {
    if (failure_.happened()) break;
    clock_.Reseed(SeedOf(plan_.seed, 4, action.choice));
    if (say_)
      say_(absl::StrFormat("%12.6f  %s", absl::ToDoubleSeconds(clock_.Steady() - absl::UnixEpoch()),
                           action.Text()));
    NoticeAll(action.choice);
    Do(action);
  }
  if (!failure_.happened()) QuietPhase();
  if (!failure_.happened()) Audit(plan_.seed, database_, pods_, failure_, report_).Run();
  pods_.clear();
  ++report_.seeds;
  report_.commits = database_.commits();
  report_.duplicates_suppressed +=
      static_cast<uint64_t>(TheMetrics().events_resent->Value() - resent);
  return {failure_.text(), report_, clock_.trace()};
}

void World::NoticeAll(uint64_t choice) {
  for (const auto& pod : pods_) pod->Notice(Random(SeedOf(plan_.seed, 5, choice)));
}

void World::Do(const Action& action) {
  Random random(action.choice);
  Pod& pod = *pods_[action.pod % pods_.size()];
  switch (action.kind) {
    case Kind::kPass:
      clock_.Spend(action.number > 30 ? absl::Seconds(action.number)
                                      : absl::Milliseconds(action.number * action.number));
      return;
    case Kind::kJumpWall:
      clock_.JumpWall(absl::Minutes(random.OneIn(2) ? action.number : -action.number));
      return;
    case Kind::kFailDatabase:
    case Kind::kDown:
    case Kind::kReadOnly:
    case Kind::kFailOver:
    case Kind::kEndZombies:
    case Kind::kKillWorks:
    case Kind::kDropTable:
      DoToDatabase(action);
      break;
    default:
      DoToPod(action, pod);
      break;
  }
  // Sometimes the next action comes before anybody has done anything.
  if (!random.OneIn(4)) clock_.Spend(random.ShortDuration(absl::Milliseconds(40)));
}

void World::DoToPod(const Action& action, Pod& pod) {
  Random random(action.choice);
  switch (action.kind) {
    case Kind::kPowerCut:
      pod.Crash(ForgetfulDisk::End::kPowerCut);
      return;
    case Kind::kKill:
      pod.Crash(ForgetfulDisk::End::kKill);
      return;
    case Kind::kStop:
      pod.Stop(absl::Milliseconds(100 * action.number));
      return;
    case Kind::kDamage:
      pod.Crash(ForgetfulDisk::End::kKill);
      pod.DamageDisk(random);
      return;
    case Kind::kPowerCutAtCall:
      pod.disk().PowerOffAfter(1 + static_cast<int>(action.number));
      return;
    case Kind::kFailDisk:
      // Without room, what is kept for a failover may go; that is not what is looked for there.
      pod.disk().FailNth(random.OneIn(2) ? ForgetfulDisk::Call::kSync : ForgetfulDisk::Call::kWrite,
                         1 + static_cast<int>(action.number % 16),
                         random.OneIn(4) && !plan_.profile.failovers
                             ? absl::ResourceExhaustedError("ENOSPC")
                             : absl::UnavailableError("EIO"));
      return;
    case Kind::kFillDisk:
      pod.disk().set_capacity(random.OneIn(2) ? uint64_t{1} << 40 : action.number << 13);
      return;
    default:
      break;
  }
  if (!pod.alive() && !pod.Start()) return;
  Gateway& gateway = *pod.gateways()[action.choice % pod.gateways().size()];
  switch (action.kind) {
    case Kind::kSend:
      gateway.Send(pod.pipeline(), 1 + action.number % 7, random.OneIn(4) ? random.Below(5) : 0);
      return;
    case Kind::kWrite:
      pod.Write(1 + action.number % 4, random.OneIn(2));
      return;
    case Kind::kReattach:
      gateway.Attach(pod.pipeline());
      return;
    case Kind::kTakeOver:
      gateway.TakeOver();
      return;
    default:
      return;
  }
}

void World::DoToDatabase(const Action& action) {
  Random random(action.choice);
  switch (action.kind) {
    case Kind::kFailDatabase:
      faults_.Plan(random);
      return;
    case Kind::kDown:
      is_down_ = !is_down_;
      database_.SetDown(is_down_);
      return;
    case Kind::kReadOnly:
      is_read_only_ = !is_read_only_;
      database_.SetReadOnly(is_read_only_);
      return;
    case Kind::kFailOver:
      faults_.FailOver(action.number % 12);
      return;
    case Kind::kEndZombies:
      faults_.EndZombies(random.OneIn(2));
      return;
    case Kind::kKillWorks:
      kill_works_ = !kill_works_;
      database_.set_kill_works(kill_works_);
      return;
    case Kind::kDropTable:
      if (dropped_.empty()) {
        dropped_ = random.OneIn(2) ? "usage_stats" : "usage_records";
        database_.engine().Drop(dropped_);
      } else {
        database_.engine().Undrop(dropped_);
        dropped_.clear();
      }
      return;
    default:
      return;
  }
}

bool World::IsSettled(const v1::Event& event) const {
  if (event.has_usage()) {
    return IsPoison(event) ||
           database_.Has("usage_records", event::EventKey(event.usage().event_id()).view());
  }
  if (event.has_message()) return database_.Has("message", event.message().ig_message_id());
  const std::string& id = event.rate_limit().event_id();
  return id.empty() || database_.Has("holdfast_rate_limit_hits", event::EventKey(id).view());
}

}  // namespace holdfast::sim
