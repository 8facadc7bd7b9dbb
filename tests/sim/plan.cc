#include "tests/sim/plan.h"

#include <array>

#include "absl/strings/str_cat.h"

#include "tests/sim/random.h"

namespace holdfast::sim {
namespace {

using Kind = Action::Kind;

struct Name {
  Kind kind;
  const char* text;
};

constexpr Name kNames[] = {
    {Kind::kSend, "send"},
    {Kind::kWrite, "write"},
    {Kind::kReattach, "reattach"},
    {Kind::kTakeOver, "take over"},
    {Kind::kPass, "pass"},
    {Kind::kPowerCut, "power cut"},
    {Kind::kKill, "kill"},
    {Kind::kStop, "stop"},
    {Kind::kPowerCutAtCall, "power cut at disk call"},
    {Kind::kFailDisk, "fail disk call"},
    {Kind::kFillDisk, "fill disk"},
    {Kind::kDamage, "damage"},
    {Kind::kFailDatabase, "fail database call"},
    {Kind::kDown, "database down"},
    {Kind::kReadOnly, "database read-only"},
    {Kind::kFailOver, "fail over"},
    {Kind::kEndZombies, "end zombies"},
    {Kind::kKillWorks, "kill works"},
    {Kind::kDropTable, "drop table"},
    {Kind::kJumpWall, "jump wall clock"},
};

// One of what happens between two crashes.
Kind AnyKind(const Profile& profile, Random& random) {
  const uint64_t at = random.Below(100);
  if (at < 42) return Kind::kSend;
  if (at < 47) return Kind::kWrite;
  if (at < 58) return Kind::kPass;
  if (at < 61) return Kind::kReattach;
  if (at < 62) return Kind::kTakeOver;
  if (at < 80) return Kind::kFailDatabase;
  if (at < 85) return Kind::kEndZombies;
  if (at < 87) return Kind::kKillWorks;
  if (at < 91) return Kind::kFailDisk;
  if (at < 92) return Kind::kJumpWall;
  if (at < 94 && profile.small_journal) return Kind::kFillDisk;
  if (at < 97 && profile.failovers) return Kind::kFailOver;
  if (!profile.outages) return Kind::kSend;
  constexpr std::array kOutages = {Kind::kDown, Kind::kReadOnly, Kind::kDropTable};
  return kOutages[random.Below(kOutages.size())];
}

Kind AnyEnd(const Profile& profile, Random& random) {
  const uint64_t at = random.Below(20);
  if (profile.media && at < 4) return Kind::kDamage;
  if (at < 9) return Kind::kPowerCut;
  if (at < 14) return Kind::kPowerCutAtCall;
  if (at < 18) return Kind::kKill;
  return Kind::kStop;
}

}  // namespace

std::string Action::Text() const {
  for (const Name& name : kNames) {
    if (name.kind == kind) return absl::StrCat("pod ", pod, ": ", name.text, " ", number);
  }
  return "?";
}

std::string Profile::Text() const {
  return absl::StrCat(pods, " pods, ", gateways, " gateways each, ", lanes_per_kind,
                      " lanes per kind", failovers ? ", failovers" : "",
                      media ? ", media faults" : "", small_journal ? ", small journals" : "",
                      outages ? ", outages" : "");
}

Plan MakePlan(uint64_t seed, uint64_t lives) {
  Random random(SeedOf(seed, 1));
  Plan plan;
  plan.seed = seed;
  Profile& profile = plan.profile;
  profile.pods = random.OneIn(4) ? 2 : 1;
  profile.gateways = random.Between(1, 3);
  profile.failovers = random.OneIn(4);
  profile.media = !profile.failovers && random.OneIn(6);
  profile.small_journal = !profile.failovers && random.OneIn(3);
  profile.outages = random.OneIn(3);
  profile.lanes_per_kind = random.Between(1, 2);
  const auto add = [&](Kind kind) {
    Action action;
    action.kind = kind;
    action.pod = random.Below(profile.pods);
    action.number = random.Next() % 64 >> random.Below(6);
    action.choice = random.Next();
    plan.actions.push_back(action);
  };
  for (uint64_t life = 0; life < lives; ++life) {
    for (uint64_t left = random.Between(1, 9); left > 0; --left) add(AnyKind(profile, random));
    add(AnyEnd(profile, random));
  }
  return plan;
}

}  // namespace holdfast::sim
