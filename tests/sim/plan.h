// What a simulation will do: a list of actions made from a seed before anything runs, so that a
// failing one can be made shorter.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace holdfast::sim {

struct Action {
  enum class Kind : uint8_t {
    // Gateways.
    kSend,      // A batch of new events, some of which may have been sent before.
    kWrite,     // A unary batch without a producer.
    kReattach,  // A gateway's stream ends and another one begins.
    kTakeOver,  // Another stream of the same gateway begins before the first has ended.
    kPass,      // Time passes.
    // The daemon and its disk.
    kPowerCut,
    kKill,
    kStop,            // In order: drain for a while, then stop.
    kPowerCutAtCall,  // In the middle of one of the next calls of the disk.
    kFailDisk,        // One of the next calls fails.
    kFillDisk,        // No room for more files; or room again.
    kDamage,          // Bytes at rest change. The process is killed before.
    // The database.
    kFailDatabase,  // One of the next calls fails, or its answer is lost.
    kDown,          // Nothing can connect; or it is back.
    kReadOnly,      // Takes no writes; or it does again.
    kFailOver,      // Another server, without the last commits.
    kEndZombies,
    kKillWorks,  // Whether one connection can end another; or the opposite.
    kDropTable,  // A table is missing; or it is back.
    kJumpWall,   // The wall clock jumps.
  };
  Kind kind = Kind::kPass;
  uint64_t pod = 0;     // Which daemon.
  uint64_t number = 0;  // How many, how long, how far: each kind has its own meaning.
  uint64_t choice = 0;  // A seed of its own.
  std::string Text() const;
};

// The world in which it happens.
struct Profile {
  uint64_t pods = 1;
  uint64_t gateways = 2;   // Of each pod.
  bool failovers = false;  // Then the journals keep everything.
  bool media = false;      // Bytes at rest change.
  bool small_journal = false;
  bool outages = false;  // The database is away for long, read-only, without a table.
  uint64_t lanes_per_kind = 1;
  std::string Text() const;
};

struct Plan {
  uint64_t seed = 0;
  Profile profile;
  std::vector<Action> actions;
};

// `lives`: about how many times the journals are opened.
Plan MakePlan(uint64_t seed, uint64_t lives);

}  // namespace holdfast::sim
