// What the journal's tests share: small segments on a forgetful disk, batches without protobuf, a
// listener that remembers.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "gtest/gtest.h"

#include "server/journal/format.h"
#include "server/journal/journal.h"
#include "tests/support/fake_clock.h"
#include "tests/support/forgetful_disk.h"
#include "tests/support/status_matchers.h"

namespace holdfast::journal {

// Segments of 64 KiB, four of them at most.
JournalOptions SmallOptions();

event::Id ProducerId(uint8_t number);

// What the event with this sequence says; its length differs from event to event.
std::string EventText(uint8_t producer, uint64_t sequence);

// A batch of accepted events, one for each of `lanes`.
std::shared_ptr<const event::Batch> MakeBatch(uint8_t producer, uint64_t first_sequence,
                                              const std::vector<event::Lane>& lanes);
// The same, each event with `bytes` bytes.
std::shared_ptr<const event::Batch> MakeLargeBatch(uint8_t producer, uint64_t first_sequence,
                                                   event::Lane lane, size_t events, size_t bytes);

// Thread-safe.
class RecordingListener final : public Listener {
 public:
  void OnDurable(absl::Span<const Durable> group) override;
  void OnFailure(const absl::Status& failure) override;

  // Waits until so many batches are durable or the journal failed; false if neither comes to pass.
  bool WaitForBatches(size_t count);
  bool WaitForFailure();
  std::vector<Durable> durable() const;
  std::vector<size_t> groups() const;  // Batches in each.
  int failures() const;

 private:
  bool Enough() const ABSL_SHARED_LOCKS_REQUIRED(mu_) {
    return durable_.size() >= wanted_ || failures_ > 0;
  }
  bool Failed() const ABSL_SHARED_LOCKS_REQUIRED(mu_) { return failures_ > 0; }

  mutable absl::Mutex mu_;
  std::vector<Durable> durable_ ABSL_GUARDED_BY(mu_);
  std::vector<size_t> groups_ ABSL_GUARDED_BY(mu_);
  size_t wanted_ ABSL_GUARDED_BY(mu_) = 0;
  int failures_ ABSL_GUARDED_BY(mu_) = 0;
};

metrics::Metrics& TestMetrics();

// A record that owns its bytes.
struct Held {
  uint64_t offset = 0;
  uint64_t ordinal = 0;
  event::Id producer;
  uint64_t sequence = 0;
  std::string bytes;
};

// Everything of a lane after `after`, until the reader has no more.
std::vector<Held> ReadAll(Journal& journal, event::Lane lane, uint64_t after = 0,
                          size_t bytes_max = 4096);
std::vector<uint64_t> Ordinals(const std::vector<Held>& records);

// Waits, with a deadline, until `condition` holds.
bool Eventually(const std::function<bool()>& condition);

class JournalTest : public ::testing::Test {
 protected:
  ~JournalTest() override { Close(); }

  // Opens and starts; the journal before it is closed.
  void Open();
  void Close();
  // Appends a batch and waits until it is durable.
  void Hold(std::shared_ptr<const event::Batch> batch);
  std::vector<std::string> Names();     // Of all files.
  std::vector<std::string> Segments();  // Of the segments, the oldest first.
  // The frames of a segment up to the first that is not whole; the first is the state frame.
  std::vector<FrameHeader> Frames(const std::string& segment);

  JournalOptions options_ = SmallOptions();
  test::ForgetfulDisk disk_;
  test::FakeClock clock_;  // Stands still, so that no marker is written unasked.
  std::unique_ptr<RecordingListener> listener_;
  std::unique_ptr<Journal> journal_;
};

}  // namespace holdfast::journal
