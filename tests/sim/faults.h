// What goes wrong with the calls of the database: each fault strikes once, some calls after it was
// planned.

#pragma once

#include <cstdint>
#include <vector>

#include "tests/sim/random.h"
#include "tests/sim/report.h"
#include "tests/sim/scheduler.h"
#include "tests/support/fake_database.h"

namespace holdfast::sim {

class Faults {
 public:
  // Takes the place of the database's faults. The rest must outlive the database's last call.
  Faults(test::FakeDatabase& database, Scheduler& clock, Report& report, uint64_t seed);

  // Another fault.
  void Plan(Random random);
  // No more faults.
  void Clear() { planned_.clear(); }

  // Ends zombies, and counts what became of their COMMITs.
  void EndZombies(bool commit);
  // A failover that loses up to so many commits.
  void FailOver(uint64_t commits);

 private:
  struct Planned {
    test::FakeCall::Kind kind;
    uint64_t calls_left;
    test::FakeFault fault;
  };
  test::FakeFault Strike(const test::FakeCall& call);

  test::FakeDatabase& database_;
  Scheduler& clock_;
  Report& report_;
  Random random_;
  std::vector<Planned> planned_;
};

}  // namespace holdfast::sim
