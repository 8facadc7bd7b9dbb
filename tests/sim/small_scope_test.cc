// Everything that can happen to a journal of a few frames: the power goes in each of its calls that
// change the disk, each subset of what was not synced stays, the recovery is cut in each of its own
// calls, and again each subset stays. HOLDFAST_SIM_FRAMES sets how many frames (3 takes ten times as
// long as 2).

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

#include "server/base/log.h"
#include "server/event/event_id.h"
#include "server/journal/journal.h"
#include "tests/sim/events.h"
#include "tests/sim/scheduler.h"
#include "tests/support/accepted_events.h"
#include "tests/support/forgetful_disk.h"

namespace holdfast::sim {
namespace {

using test::ForgetfulDisk;

constexpr event::Lane kLane = event::MakeLane(event::Kind::kMessage, 0);
// Above this many undecided things all kept, none kept, and each alone kept or lost are tried.
constexpr size_t kAllSubsetsMax = 8;

event::Id Producer() { return event::EventKey("producer"); }

// As long as two sectors, so that a frame can be torn.
v1::Event EventOf(uint64_t sequence) {
  return test::MessageOf(absl::StrCat("mid-", sequence),
                         std::string(900, static_cast<char>('a' + sequence)));
}

std::vector<uint64_t> Subsets(size_t undecided) {
  std::vector<uint64_t> subsets;
  if (undecided <= kAllSubsetsMax) {
    for (uint64_t keeps = 0; keeps < uint64_t{1} << undecided; ++keeps) subsets.push_back(keeps);
    return subsets;
  }
  subsets = {0, UINT64_MAX};
  for (size_t i = 0; i < undecided; ++i) {
    subsets.push_back(uint64_t{1} << i);
    subsets.push_back(~(uint64_t{1} << i));
  }
  return subsets;
}

class SmallScopeTest : public ::testing::Test, private journal::Listener {
 protected:
  SmallScopeTest() {
    base::SetLogLevel(base::LogLevel::kError);
    options_.segment_bytes = uint64_t{64} << 10;
    options_.bytes_max = 8 * options_.segment_bytes;
    options_.producers_max = 4;
  }
  ~SmallScopeTest() override { base::SetLogLevel(base::LogLevel::kInfo); }

  // A life that appends `frames` groups and is cut in the `calls`-th changing call, if it comes so
  // far. Returns whether it was cut.
  bool Live(ForgetfulDisk& disk, uint64_t frames, int calls, uint64_t schedule) {
    Scheduler clock(schedule);
    disk.PowerOffAfter(calls);
    acknowledged_ = 0;
    auto journal = journal::Journal::Open(options_, disk, clock, metrics_);
    if (journal.ok()) {
      (*journal)->Start(this);
      for (uint64_t frame = 1; frame <= frames && disk.is_on(); ++frame) {
        v1::EventBatch message;
        message.set_first_sequence(frame);
        *message.add_events() = EventOf(frame);
        EXPECT_TRUE((*journal)->Append(ToBatch(message, Producer(), 1, clock.Now())).ok());
        // With a marker behind it, or without.
        clock.Spend(frame % 2 == 0 ? absl::Milliseconds(50) : absl::Milliseconds(5));
      }
      (*journal)->Stop();
    }
    const bool was_cut = !disk.is_on();
    disk.PowerOff();
    return was_cut;
  }

  // Opens what the disk has and checks it. Returns how many events it found; nullopt if the disk
  // was cut meanwhile.
  std::optional<uint64_t> Recover(ForgetfulDisk& disk, uint64_t least, uint64_t most) {
    Scheduler clock(1);
    ++recoveries_;
    auto journal = journal::Journal::Open(options_, disk, clock, metrics_);
    if (!disk.is_on()) return std::nullopt;
    EXPECT_TRUE(journal.ok()) << journal.status();
    if (!journal.ok()) return std::nullopt;
    EXPECT_TRUE((*journal)->Status().corruptions.empty());
    uint64_t found = 0;
    const std::unique_ptr<journal::Reader> reader = (*journal)->Read(kLane, 0);
    while (true) {
      const auto records = reader->Next(1 << 20);
      EXPECT_TRUE(records.ok());
      if (!records.ok() || records->empty()) break;
      for (const journal::Reader::Record& record : *records) {
        ++found;
        EXPECT_EQ(record.ordinal, found);
        EXPECT_EQ(record.sequence, found);
        EXPECT_EQ(record.bytes, EventOf(found).SerializeAsString());
      }
    }
    EXPECT_GE(found, least) << "acknowledged, and lost";
    EXPECT_LE(found, most) << "never sent";
    EXPECT_EQ((*journal)->LastSequence(Producer()), found);
    return found;
  }

  // The recovery itself is cut in each of its calls.
  void CutRecovery(const ForgetfulDisk& left, uint64_t least, uint64_t most) {
    for (int calls = 1;; ++calls) {
      const std::unique_ptr<ForgetfulDisk> disk = left.Clone();
      disk->PowerOnKeeping(0);
      disk->PowerOffAfter(calls);
      if (Recover(*disk, least, most).has_value()) return;
      for (const uint64_t keeps : Subsets(disk->undecided())) {
        const std::unique_ptr<ForgetfulDisk> again = disk->Clone();
        again->PowerOnKeeping(keeps);
        Recover(*again, least, most);
        if (HasFailure()) return;
      }
    }
  }

  void TryEverything(uint64_t frames, uint64_t schedule) {
    for (int calls = 1;; ++calls) {
      SCOPED_TRACE(absl::StrCat(frames, " frames, schedule ", schedule, ", cut in call ", calls));
      ForgetfulDisk disk;
      if (!Live(disk, frames, calls, schedule)) return;
      ++cuts_;
      for (const uint64_t keeps : Subsets(disk.undecided())) {
        SCOPED_TRACE(absl::StrCat("kept ", keeps));
        const std::unique_ptr<ForgetfulDisk> left = disk.Clone();
        left->PowerOnKeeping(keeps);
        const std::optional<uint64_t> found = Recover(*left, acknowledged_, frames);
        const std::unique_ptr<ForgetfulDisk> before = disk.Clone();
        before->PowerOnKeeping(keeps);
        before->PowerOff();
        CutRecovery(*before, acknowledged_, frames);
        // What was found once stays.
        left->PowerOff();
        left->PowerOnKeeping(0);
        if (found.has_value()) Recover(*left, *found, *found);
        if (HasFailure()) return;
      }
    }
  }

  uint64_t cuts_ = 0;
  uint64_t recoveries_ = 0;

 private:
  void OnDurable(absl::Span<const journal::Durable> group) override {
    for (const journal::Durable& durable : group) acknowledged_ = durable.batch->last_sequence;
  }
  void OnFailure(const absl::Status&) override {}

  journal::JournalOptions options_;
  metrics::Metrics metrics_{"test"};
  uint64_t acknowledged_ = 0;
};

TEST_F(SmallScopeTest, WhateverAPowerCutLeavesOfAFewFramesIsRecovered) {
  const char* const wanted = std::getenv("HOLDFAST_SIM_FRAMES");
  const uint64_t frames_max = wanted == nullptr ? 2 : std::strtoull(wanted, nullptr, 10);
  for (uint64_t frames = 0; frames <= frames_max && !HasFailure(); ++frames) {
    for (uint64_t schedule = 1; schedule <= 2 && !HasFailure(); ++schedule) {
      TryEverything(frames, schedule);
    }
  }
  RecordProperty("cuts", static_cast<int>(cuts_));
  RecordProperty("recoveries", static_cast<int>(recoveries_));
  std::printf("%d cuts, %d recoveries\n", static_cast<int>(cuts_), static_cast<int>(recoveries_));
  EXPECT_GT(cuts_, 20u);
}

}  // namespace
}  // namespace holdfast::sim
