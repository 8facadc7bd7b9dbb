// The journal on a disk that takes no time and keeps nothing: what is left is its own work, a group
// a hop from thread to thread.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/synchronization/mutex.h"

#include "holdfast/v1/ingest.pb.h"
#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/journal/journal.h"
#include "tests/bench/micro/allocations.h"
#include "tests/bench/workload.h"

namespace holdfast::bench {
namespace {

class NoFile final : public disk::File {
 public:
  absl::Status Write(uint64_t offset, absl::string_view data) override {
    uint64_t size = size_;
    while (size < offset + data.size() && !size_.compare_exchange_weak(size, offset + data.size()))
      ;
    return absl::OkStatus();
  }
  absl::Status Read(uint64_t /*offset*/, size_t length, std::string* data) override {
    data->assign(length, '\0');
    return absl::OkStatus();
  }
  absl::Status Sync() override { return absl::OkStatus(); }
  absl::StatusOr<uint64_t> Size() override { return size_.load(); }

 private:
  std::atomic<uint64_t> size_ = 0;
};

class NoDisk final : public disk::Disk {
 public:
  absl::StatusOr<std::unique_ptr<disk::File>> Create(absl::string_view name) override {
    absl::MutexLock lock(&mu_);
    names_.emplace(name);
    return std::make_unique<NoFile>();
  }
  absl::StatusOr<std::unique_ptr<disk::File>> Open(absl::string_view /*name*/) override {
    return std::make_unique<NoFile>();
  }
  absl::StatusOr<std::vector<std::string>> List() override {
    absl::MutexLock lock(&mu_);
    return std::vector<std::string>(names_.begin(), names_.end());
  }
  absl::Status Rename(absl::string_view from, absl::string_view to) override {
    absl::MutexLock lock(&mu_);
    names_.erase(std::string(from));
    names_.emplace(to);
    return absl::OkStatus();
  }
  absl::Status Remove(absl::string_view name) override {
    absl::MutexLock lock(&mu_);
    names_.erase(std::string(name));
    return absl::OkStatus();
  }
  absl::Status SyncFolder() override { return absl::OkStatus(); }
  absl::StatusOr<uint64_t> FreeBytes() override { return uint64_t{1} << 40; }
  disk::Persistence persistence() override { return disk::Persistence::kDurable; }
  std::string path() const override { return "nowhere"; }

 private:
  absl::Mutex mu_;
  std::set<std::string> names_ ABSL_GUARDED_BY(mu_);
};

// Counts what is durable, and remembers how far each lane is.
class Counting final : public journal::Listener {
 public:
  void OnDurable(absl::Span<const journal::Durable> group) override {
    absl::MutexLock lock(&mu_);
    durable_ += group.size();
    for (const journal::Durable& done : group) {
      for (size_t i = 0; i < done.ordinals.size(); ++i) {
        heads_[done.batch->items[i].lane] = done.ordinals[i];
      }
    }
  }
  void OnFailure(const absl::Status& /*failure*/) override { HOLDFAST_CHECK(false); }

  // Waits until `count` batches are durable since the start.
  journal::LanePositions Await(uint64_t count) {
    absl::MutexLock lock(&mu_);
    wanted_ = count;
    mu_.Await(absl::Condition(this, &Counting::Enough));
    return heads_;
  }

 private:
  bool Enough() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return durable_ >= wanted_; }

  absl::Mutex mu_;
  uint64_t durable_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t wanted_ ABSL_GUARDED_BY(mu_) = 0;
  journal::LanePositions heads_ ABSL_GUARDED_BY(mu_){};
};

void JournalAppend(benchmark::State& state) {
  NoDisk disk;
  metrics::Metrics metrics("bench");
  journal::JournalOptions options;
  options.retention = absl::ZeroDuration();
  auto journal = journal::Journal::Open(options, disk, base::SystemClock(), metrics);
  HOLDFAST_CHECK(journal.ok());
  Counting listener;
  (*journal)->Start(&listener);
  v1::EventBatch request;
  for (v1::Event& event :
       MakeEvents(event::Kind::kUsage, 0, static_cast<size_t>(state.range(0)), 1000)) {
    *request.add_events() = std::move(event);
  }
  // The nil producer's batches are always new, so that one will do.
  auto read =
      event::Batch::Read(request.SerializeAsString(), event::Id{}, 2, base::SystemClock().Now());
  HOLDFAST_CHECK(read.ok());
  const std::shared_ptr<const event::Batch> batch = *std::move(read);
  uint64_t appended = 0;
  const AllocationCount allocations;
  for (auto _ : state) {
    HOLDFAST_CHECK((*journal)->Append(batch).ok());
    (*journal)->Release(listener.Await(++appended), absl::InfiniteFuture());
  }
  allocations.Report(state, state.range(0));
  (*journal)->Stop();
}
BENCHMARK(JournalAppend)->Arg(1)->Arg(16)->Arg(1024)->UseRealTime();

}  // namespace
}  // namespace holdfast::bench
