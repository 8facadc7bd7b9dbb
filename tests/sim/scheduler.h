// The clock of a simulation, and the only one who decides which thread runs and when time passes.
//
// One thread runs at a time, until it waits; then the seed chooses among those that could go on.
// Time passes when none can, or when a thread is held up although it could: the seed does that now
// and then, as a busy machine does. Nothing waits for real.

#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

#include "server/base/clock.h"
#include "tests/sim/fiber.h"
#include "tests/sim/random.h"

namespace holdfast::sim {

// For the thread that made it and those that it starts.
class Scheduler final : public base::Clock {
 public:
  explicit Scheduler(uint64_t seed);
  ~Scheduler() override;  // REQUIRES: every thread that was started is joined.

  absl::Time Now() override { return start_ + (steady_ - absl::UnixEpoch()) + wall_offset_; }
  absl::Time Steady() override { return steady_; }
  bool AwaitWithTimeout(absl::Mutex& mu, const absl::Condition& condition,
                        absl::Duration timeout) override;
  void Await(absl::Mutex& mu, const absl::Condition& condition) override;
  base::Thread StartThread(absl::AnyInvocable<void()> body) override;

  // The calling thread is busy for so long; others may run meanwhile, also if it is zero. REQUIRES:
  // it holds no lock.
  void Spend(absl::Duration duration);

  // Chooses by another seed from now on.
  void Reseed(uint64_t seed) { random_ = Random(seed); }
  void JumpWall(absl::Duration by) { wall_offset_ += by; }

  // Changes with every choice that was made: equal for equal runs.
  uint64_t trace() const { return trace_; }

 private:
  struct Strand;

  void Suspend(const absl::Condition* condition, absl::Time wake_at);
  Strand* Choose();
  void PassTime();
  void Join(Strand* strand);

  const absl::Time start_;
  absl::Time steady_;
  absl::Duration wall_offset_ = absl::ZeroDuration();
  Random random_;
  uint64_t trace_ = 0;
  uint64_t choices_ = 0;
  std::vector<std::unique_ptr<Strand>> strands_;  // The first is the maker's.
  std::vector<Strand*> ready_;                    // Choose's own.
  Strand* running_;
};

}  // namespace holdfast::sim
