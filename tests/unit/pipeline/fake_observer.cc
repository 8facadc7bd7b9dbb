#include "tests/unit/pipeline/fake_observer.h"

#include <algorithm>
#include <utility>

namespace holdfast::test {
namespace {
constexpr absl::Duration kTooLong = absl::Seconds(60);
}  // namespace

void FakeObserver::OnProgress(uint64_t journaled_through, uint64_t committed_through) {
  Note({What::kProgress, journaled_through, committed_through, 0, absl::OkStatus()});
}

void FakeObserver::OnRejected(const writer::Rejection& rejection) {
  Note({What::kRejected, 0, 0, rejection.sequence, absl::OkStatus()});
}

void FakeObserver::OnRoom() { Note({What::kRoom, 0, 0, 0, absl::OkStatus()}); }

void FakeObserver::OnEnd(const absl::Status& reason) { Note({What::kEnd, 0, 0, 0, reason}); }

void FakeObserver::Note(Call call) {
  absl::MutexLock lock(&mu_);
  if (Has(What::kEnd)) broke_a_promise_ = true;
  if (call.what == What::kProgress) {
    if (call.journaled < journaled_ || call.committed < committed_) broke_a_promise_ = true;
    if (call.committed > call.journaled) broke_a_promise_ = true;
    journaled_ = call.journaled;
    committed_ = call.committed;
  }
  if (call.what == What::kRejected && call.sequence <= committed_) broke_a_promise_ = true;
  calls_.push_back(std::move(call));
}

bool FakeObserver::Has(What what) const {
  return std::any_of(calls_.begin(), calls_.end(),
                     [what](const Call& call) { return call.what == what; });
}

bool FakeObserver::AwaitJournaled(uint64_t sequence) const {
  absl::MutexLock lock(&mu_);
  const auto there = [this, sequence]()
                         ABSL_NO_THREAD_SAFETY_ANALYSIS { return journaled_ >= sequence; };
  return mu_.AwaitWithTimeout(absl::Condition(&there), kTooLong);
}

bool FakeObserver::AwaitJournaledOrEnd(uint64_t sequence, absl::Duration at_most) const {
  absl::MutexLock lock(&mu_);
  const auto there = [this, sequence]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return journaled_ >= sequence || Has(What::kEnd);
  };
  return mu_.AwaitWithTimeout(absl::Condition(&there), at_most);
}

bool FakeObserver::AwaitCommitted(uint64_t sequence) const {
  absl::MutexLock lock(&mu_);
  const auto there = [this, sequence]()
                         ABSL_NO_THREAD_SAFETY_ANALYSIS { return committed_ >= sequence; };
  return mu_.AwaitWithTimeout(absl::Condition(&there), kTooLong);
}

bool FakeObserver::AwaitEnd() const {
  absl::MutexLock lock(&mu_);
  const auto there = [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return Has(What::kEnd); };
  return mu_.AwaitWithTimeout(absl::Condition(&there), kTooLong);
}

bool FakeObserver::AwaitRoom() const {
  absl::MutexLock lock(&mu_);
  const auto there = [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return Has(What::kRoom); };
  return mu_.AwaitWithTimeout(absl::Condition(&there), kTooLong);
}

std::vector<FakeObserver::Call> FakeObserver::calls() const {
  absl::MutexLock lock(&mu_);
  return calls_;
}

uint64_t FakeObserver::journaled() const {
  absl::MutexLock lock(&mu_);
  return journaled_;
}

uint64_t FakeObserver::committed() const {
  absl::MutexLock lock(&mu_);
  return committed_;
}

absl::Status FakeObserver::end() const {
  absl::MutexLock lock(&mu_);
  for (const Call& call : calls_) {
    if (call.what == What::kEnd) return call.end;
  }
  return absl::OkStatus();
}

bool FakeObserver::broke_a_promise() const {
  absl::MutexLock lock(&mu_);
  return broke_a_promise_;
}

absl::AnyInvocable<void(pipeline::Receipt)> FakeCaller::done() {
  return [this](pipeline::Receipt receipt) {
    absl::MutexLock lock(&mu_);
    receipts_.push_back(std::move(receipt));
  };
}

bool FakeCaller::AwaitAnswer() const {
  absl::MutexLock lock(&mu_);
  const auto there = [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return !receipts_.empty(); };
  return mu_.AwaitWithTimeout(absl::Condition(&there), kTooLong);
}

int FakeCaller::answers() const {
  absl::MutexLock lock(&mu_);
  return static_cast<int>(receipts_.size());
}

pipeline::Receipt FakeCaller::receipt() const {
  absl::MutexLock lock(&mu_);
  return receipts_.at(0);
}

}  // namespace holdfast::test
