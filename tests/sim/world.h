// Runs one plan: daemons, their disks, the database they share, and what goes wrong.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/sim/failure.h"
#include "tests/sim/faults.h"
#include "tests/sim/plan.h"
#include "tests/sim/pod.h"
#include "tests/sim/report.h"
#include "tests/sim/scheduler.h"
#include "tests/support/fake_database.h"

namespace holdfast::sim {

struct Outcome {
  std::string failure;  // Empty: every claim held.
  Report report;
  uint64_t trace = 0;  // Equal for equal runs.
};

// `say`, if given, is told of every action before it is done.
Outcome RunPlan(const Plan& plan, const std::function<void(const std::string&)>& say = nullptr);

class World {
 public:
  World(const Plan& plan, const std::function<void(const std::string&)>& say);
  Outcome Run();

 private:
  void Do(const Action& action);
  void DoToPod(const Action& action, Pod& pod);
  void DoToDatabase(const Action& action);
  void Revive(Pod& pod);
  void NoticeAll(uint64_t choice);
  void QuietPhase();
  void DrainAll();
  void Deliver();
  void SendTheRest();
  bool AllCommitted() const;
  bool IsSettled(const v1::Event& event) const;

  const Plan& plan_;
  const std::function<void(const std::string&)> say_;
  Failure failure_;
  Report report_;
  Scheduler clock_;
  test::FakeDatabase database_;
  Faults faults_;
  std::vector<std::unique_ptr<Pod>> pods_;
  bool is_down_ = false;
  bool is_read_only_ = false;
  bool kill_works_ = true;
  std::string dropped_;  // A table that is missing.
};

}  // namespace holdfast::sim
