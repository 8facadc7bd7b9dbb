#include "tests/sim/scheduler.h"

#include <algorithm>
#include <utility>

#include "server/base/check.h"

namespace holdfast::sim {
namespace {

// One choice in so many holds up a thread that could go on, for at most so long.
constexpr uint64_t kHoldUpOneIn = 48;
constexpr absl::Duration kHoldUpMax = absl::Milliseconds(20);

// A simulation that makes more choices than this does not come to an end.
constexpr uint64_t kChoicesMax = 50'000'000;

}  // namespace

struct Scheduler::Strand {
  std::unique_ptr<Fiber> fiber;
  const absl::Condition* condition = nullptr;
  absl::Time wake_at = absl::InfiniteFuture();
  absl::Time held_until = absl::InfinitePast();
  bool done = false;
};

Scheduler::Scheduler(uint64_t seed)
    : start_(absl::FromUnixSeconds(1767225600)),  // 2026-01-01T00:00:00Z.
      steady_(absl::UnixEpoch() + absl::Hours(1)),
      random_(seed) {
  strands_.push_back(std::make_unique<Strand>());
  running_ = strands_.front().get();
  running_->fiber = std::make_unique<Fiber>();
  // It goes by threads of the system, of which there is only one.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
}

Scheduler::~Scheduler() { HOLDFAST_CHECK(strands_.size() == 1); }

bool Scheduler::AwaitWithTimeout(absl::Mutex& mu, const absl::Condition& condition,
                                 absl::Duration timeout) {
  if (condition.Eval()) return true;
  if (timeout <= absl::ZeroDuration()) return false;
  mu.Unlock();
  Suspend(&condition, steady_ + timeout);
  mu.Lock();
  return condition.Eval();
}

void Scheduler::Await(absl::Mutex& mu, const absl::Condition& condition) {
  AwaitWithTimeout(mu, condition, absl::InfiniteDuration());
}

void Scheduler::Spend(absl::Duration duration) { Suspend(nullptr, steady_ + duration); }

base::Thread Scheduler::StartThread(absl::AnyInvocable<void()> body) {
  strands_.push_back(std::make_unique<Strand>());
  Strand* const strand = strands_.back().get();
  strand->wake_at = steady_;
  strand->fiber = std::make_unique<Fiber>([this, strand, run = std::move(body)]() mutable {
    run();
    // What it holds goes now: its stack is never unwound.
    run = nullptr;
    strand->done = true;
    strand->wake_at = absl::InfiniteFuture();
    Strand* const next = Choose();
    running_ = next;
    strand->fiber->Leave(*next->fiber);
  });
  return base::Thread([this, strand] { Join(strand); });
}

void Scheduler::Join(Strand* strand) {
  const absl::Condition done(&strand->done);
  if (!strand->done) Suspend(&done, absl::InfiniteFuture());
  strands_.erase(std::find_if(strands_.begin(), strands_.end(),
                              [strand](const auto& kept) { return kept.get() == strand; }));
}

void Scheduler::Suspend(const absl::Condition* condition, absl::Time wake_at) {
  Strand* const self = running_;
  self->condition = condition;
  self->wake_at = wake_at;
  Strand* const next = Choose();
  if (next == self) return;
  running_ = next;
  self->fiber->HandOver(*next->fiber);
}

Scheduler::Strand* Scheduler::Choose() {
  HOLDFAST_CHECK(++choices_ < kChoicesMax);
  while (true) {
    ready_.clear();
    for (const auto& strand : strands_) {
      if (strand->done || strand->held_until > steady_) continue;
      if (strand->wake_at <= steady_ ||
          (strand->condition != nullptr && strand->condition->Eval())) {
        ready_.push_back(strand.get());
      }
    }
    if (ready_.empty()) {
      PassTime();
      continue;
    }
    const uint64_t place = random_.Below(ready_.size());
    if (random_.OneIn(kHoldUpOneIn)) {
      ready_[place]->held_until = steady_ + random_.ShortDuration(kHoldUpMax);
      continue;
    }
    trace_ = trace_ * 0x100000001b3 + place + ready_.size() * 64;
    return ready_[place];
  }
}

// To the first moment at which something may go on.
void Scheduler::PassTime() {
  absl::Time next = absl::InfiniteFuture();
  for (const auto& strand : strands_) {
    if (strand->done) continue;
    next = std::min(next, strand->held_until > steady_ ? strand->held_until : strand->wake_at);
  }
  // Otherwise every thread waits for another one, for ever.
  HOLDFAST_CHECK(next < absl::InfiniteFuture() && next > steady_);
  steady_ = next;
}

}  // namespace holdfast::sim
