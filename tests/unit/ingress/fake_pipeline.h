// A pipeline that a test plays: it takes batches, and says what the test tells it to say.

#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"

#include "server/pipeline/pipeline.h"

namespace holdfast::test {

// Thread-safe. Observers are called on the test's own thread.
class FakePipeline final : public pipeline::Pipeline {
 public:
  FakePipeline() : Pipeline(2) {}

  // What happens from now on.
  void Hold(const event::Id& producer, uint64_t last_sequence);  // Answered by Attach.
  void FailSubmits(absl::Status status);                         // OK: no longer.
  void CloseRoom();
  void OpenRoom();  // And tells those who asked.

  // Wait for it, at most half a minute; false if it did not come to pass.
  bool AwaitBatches(size_t count);
  bool AwaitStreams(size_t count);
  bool AwaitWrites(size_t count);
  bool AwaitRoomAsked();

  std::vector<std::shared_ptr<const event::Batch>> batches() const;
  size_t cancelled() const;

  // Tells the producer's stream, if it has one.
  void Progress(const event::Id& producer, uint64_t journaled, uint64_t committed);
  void Reject(const event::Id& producer, const writer::Rejection& rejection);
  void End(const event::Id& producer, const absl::Status& reason);

  // Answers the oldest Write that waits. REQUIRES: one does, if it is not `IfAny`.
  bool AnswerIfAny(pipeline::Receipt receipt);
  void Answer(pipeline::Receipt receipt);
  // Whether that one waits for the database.
  bool OldestWaitsForCommit() const;

  void Start() override {}
  uint64_t Attach(const event::Id& producer, pipeline::StreamObserver* observer) override;
  void Detach(const event::Id& producer, pipeline::StreamObserver* observer) override;
  absl::Status Submit(std::shared_ptr<const event::Batch> batch) override;
  uint64_t SubmitAndWait(std::shared_ptr<const event::Batch> batch, bool until_committed,
                         absl::AnyInvocable<void(pipeline::Receipt)> done) override;
  void Cancel(uint64_t number) override;
  bool RoomOrNotify(pipeline::StreamObserver* observer) override;
  pipeline::PipelineStatus Status() const override;
  bool Drain(absl::Time /*deadline*/, absl::AnyInvocable<bool()> /*give_up*/) override {
    return true;
  }
  void Stop() override {}

 private:
  struct Waiting {
    bool until_committed = false;
    absl::AnyInvocable<void(pipeline::Receipt)> done;
  };
  template <typename Call>
  void Tell(const event::Id& producer, Call call);

  absl::Mutex calling_;  // Held while an observer is called: Detach waits for it.
  mutable absl::Mutex mu_;
  absl::flat_hash_map<event::Id, pipeline::StreamObserver*> observers_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<event::Id, uint64_t> held_ ABSL_GUARDED_BY(mu_);
  absl::Status submit_status_ ABSL_GUARDED_BY(mu_);
  bool has_room_ ABSL_GUARDED_BY(mu_) = true;
  std::vector<pipeline::StreamObserver*> want_room_ ABSL_GUARDED_BY(mu_);
  std::vector<std::shared_ptr<const event::Batch>> batches_ ABSL_GUARDED_BY(mu_);
  std::map<uint64_t, Waiting> writes_ ABSL_GUARDED_BY(mu_);
  uint64_t last_number_ ABSL_GUARDED_BY(mu_) = 0;
  size_t cancelled_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace holdfast::test
