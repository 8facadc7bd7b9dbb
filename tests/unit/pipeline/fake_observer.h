// A gateway's stream that writes down what it is told.

#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"

#include "server/pipeline/pipeline.h"

namespace holdfast::test {

class FakeObserver final : public pipeline::StreamObserver {
 public:
  enum class What { kProgress, kRejected, kRoom, kEnd };
  struct Call {
    What what;
    uint64_t journaled = 0;
    uint64_t committed = 0;
    uint64_t sequence = 0;  // Of what was rejected.
    absl::Status end;
  };

  void OnProgress(uint64_t journaled_through, uint64_t committed_through) override;
  void OnRejected(const writer::Rejection& rejection) override;
  void OnRoom() override;
  void OnEnd(const absl::Status& reason) override;

  // These wait; false if it takes too long.
  bool AwaitJournaled(uint64_t sequence) const;
  bool AwaitJournaledOrEnd(uint64_t sequence, absl::Duration at_most) const;
  bool AwaitCommitted(uint64_t sequence) const;
  bool AwaitEnd() const;
  bool AwaitRoom() const;

  std::vector<Call> calls() const;
  uint64_t journaled() const;
  uint64_t committed() const;
  absl::Status end() const;
  // A value went down, two calls ran at once, or one came after OnEnd.
  bool broke_a_promise() const;

 private:
  void Note(Call call);
  bool Has(What what) const ABSL_SHARED_LOCKS_REQUIRED(mu_);

  mutable absl::Mutex mu_;
  std::vector<Call> calls_ ABSL_GUARDED_BY(mu_);
  uint64_t journaled_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t committed_ ABSL_GUARDED_BY(mu_) = 0;
  bool broke_a_promise_ ABSL_GUARDED_BY(mu_) = false;
};

// A caller of SubmitAndWait.
class FakeCaller final {
 public:
  absl::AnyInvocable<void(pipeline::Receipt)> done();
  bool AwaitAnswer() const;
  int answers() const;
  pipeline::Receipt receipt() const;

 private:
  mutable absl::Mutex mu_;
  std::vector<pipeline::Receipt> receipts_ ABSL_GUARDED_BY(mu_);
};

}  // namespace holdfast::test
