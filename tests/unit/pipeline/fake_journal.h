// A journal in memory, with the order of things of the real one: what is appended is readable
// before the listener is told, and the listener is told on a thread of the journal's own.

#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/synchronization/mutex.h"

#include "server/journal/journal.h"

namespace holdfast::test {

class FakeJournal final : public journal::Journal {
 public:
  FakeJournal();
  ~FakeJournal() override;

  // What a test does to it.
  void HoldBack(bool hold);                // Nothing is numbered while held back.
  void HoldSync(bool hold);                // What is numbered does not become durable.
  void Fail(const absl::Status& failure);  // As after a failed sync.
  void SetRoom(bool room);
  void RefuseReads(bool refuse);                   // The disk cannot be read just now.
  void Lose(event::Lane lane, uint64_t ordinal);   // As damaged: readers pass over it.
  void Spoil(event::Lane lane, uint64_t ordinal);  // Its bytes are no event.
  void Forget(const event::Id& producer);          // As one silent for too long. REQUIRES: quiet.
  void Reopen();                                   // As by a new process. REQUIRES: stopped.

  journal::LanePositions released() const;
  // The positions of lanes that were lower than what was released of them before.
  std::vector<uint64_t> kept_again() const;
  uint64_t records_read() const;

  event::Id journal_id() const override { return event::Id{{1}}; }
  const journal::LanePositions& recovered_heads() const override { return recovered_heads_; }
  std::vector<journal::ProducerState> producers() const override;
  void Start(journal::Listener* listener) override;
  absl::Status Append(std::shared_ptr<const event::Batch> batch) override;
  bool HasRoom() const override;
  uint64_t LastSequence(const event::Id& producer) const override;
  void Release(const journal::LanePositions& settled, absl::Time seen_at) override;
  std::unique_ptr<journal::Reader> Read(event::Lane lane, uint64_t after_ordinal) override;
  journal::JournalStatus Status() const override;
  void Stop() override;

 private:
  friend class FakeReader;
  struct Record {
    journal::Reader::Record record;
    std::string bytes;
  };

  void Run();
  journal::Durable MakeDurable(const std::shared_ptr<const event::Batch>& batch)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool HasWork() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool MaySync() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return !hold_sync_ || !failure_.ok(); }

  journal::LanePositions recovered_heads_{};
  journal::Listener* listener_ = nullptr;
  std::thread thread_;

  mutable absl::Mutex mu_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  bool held_back_ ABSL_GUARDED_BY(mu_) = false;
  bool hold_sync_ ABSL_GUARDED_BY(mu_) = false;
  bool room_ ABSL_GUARDED_BY(mu_) = true;
  bool refuse_reads_ ABSL_GUARDED_BY(mu_) = false;
  bool failure_told_ ABSL_GUARDED_BY(mu_) = false;
  absl::Status failure_ ABSL_GUARDED_BY(mu_);
  uint64_t last_offset_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t records_read_ ABSL_GUARDED_BY(mu_) = 0;
  std::deque<std::shared_ptr<const event::Batch>> queue_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<event::Id, uint64_t> handed_in_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<event::Id, journal::ProducerState> durable_ ABSL_GUARDED_BY(mu_);
  std::array<std::deque<Record>, event::kLaneCount> lanes_ ABSL_GUARDED_BY(mu_);
  std::array<absl::flat_hash_set<uint64_t>, event::kLaneCount> lost_ ABSL_GUARDED_BY(mu_);
  journal::LanePositions released_ ABSL_GUARDED_BY(mu_){};
  std::vector<uint64_t> kept_again_ ABSL_GUARDED_BY(mu_);
};

}  // namespace holdfast::test
