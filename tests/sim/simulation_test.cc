// The bounded share of the simulation that every build runs, and the claims about the simulation
// itself. HOLDFAST_SIM_SEEDS sets how many seeds are run.

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "server/base/log.h"
#include "tests/sim/runner.h"
#include "tests/sim/world.h"

namespace holdfast::sim {
namespace {

class SimulationTest : public ::testing::Test {
 protected:
  SimulationTest() { base::SetLogLevel(base::LogLevel::kError); }
  ~SimulationTest() override { base::SetLogLevel(base::LogLevel::kInfo); }
};

std::vector<uint64_t> KeptSeeds() {
  std::ifstream file(HOLDFAST_SIM_SEEDS_FILE);
  std::vector<uint64_t> seeds;
  for (std::string line; std::getline(file, line);) {
    uint64_t seed = 0;
    if (std::istringstream(line) >> seed) seeds.push_back(seed);
  }
  return seeds;
}

TEST_F(SimulationTest, SeedsThatFailedOnceFailNoMore) {
  const std::vector<uint64_t> seeds = KeptSeeds();
  ASSERT_FALSE(seeds.empty()) << HOLDFAST_SIM_SEEDS_FILE;
  for (const uint64_t seed : seeds) {
    EXPECT_EQ(RunPlan(MakePlan(seed, kLivesOfASeed)).failure, "") << "seed " << seed;
  }
}

TEST_F(SimulationTest, EqualSeedsMakeEqualChoices) {
  for (const uint64_t seed : {3, 14, 17}) {
    const Plan plan = MakePlan(seed, kLivesOfASeed);
    const Outcome first = RunPlan(plan);
    RunPlan(MakePlan(seed + 100, 5));
    EXPECT_EQ(RunPlan(plan).trace, first.trace) << "seed " << seed;
    EXPECT_NE(RunPlan(MakePlan(seed + 1, kLivesOfASeed)).trace, first.trace);
  }
}

TEST_F(SimulationTest, EverySeedHoldsEveryClaimAndEveryFaultStrikes) {
  const char* const wanted = std::getenv("HOLDFAST_SIM_SEEDS");
  const uint64_t seeds = wanted == nullptr ? 60 : std::strtoull(wanted, nullptr, 10);
  Report report;
  for (uint64_t seed = 1; seed <= seeds && !HasFailure(); ++seed) {
    const Outcome outcome = RunPlan(MakePlan(seed, kLivesOfASeed));
    EXPECT_EQ(outcome.failure, "") << "replay: tests/sim/run --seed " << seed;
    report.Add(outcome.report);
  }
  // Otherwise little was shown.
  EXPECT_GT(report.power_cuts, 0u);
  EXPECT_GT(report.crashes_in_recovery, 0u);
  EXPECT_GT(report.journal_failures, 0u);
  EXPECT_GT(report.journals_full, 0u);
  EXPECT_GT(report.duplicates_suppressed, 0u);
  EXPECT_GT(report.commit_cuts_done, 0u);
  EXPECT_GT(report.commit_cuts_undone, 0u);
  EXPECT_GT(report.deadlocks, 0u);
  EXPECT_GT(report.lock_waits, 0u);
  EXPECT_GT(report.zombies, 0u);
  EXPECT_GT(report.commits_rolled_back, 0u);
  EXPECT_GT(report.media_injected, 0u);
}

}  // namespace
}  // namespace holdfast::sim
