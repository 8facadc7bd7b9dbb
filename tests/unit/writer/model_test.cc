// Random steps and random faults, compared with what the tables ought to hold.

#include <map>
#include <random>
#include <set>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

#include "server/event/event_id.h"
#include "tests/unit/writer/writer_fixture.h"

namespace holdfast::writer {
namespace {

using test::FakeCall;
using test::FakeFault;
using test::UuidOf;

constexpr int kSteps = 60;
constexpr int kSeeds = 20;
constexpr int kAttemptsMax = 2000;
constexpr absl::string_view kPoison = "poisoned";  // A byte too long for the column as it is here.

// What the tables ought to hold, worked out the simple way.
struct Model {
  std::map<std::string, std::string> keys;   // Event id to the api key it was first sent with.
  std::map<std::string, uint64_t> requests;  // By api key.
  std::set<std::string> refused;             // Bytes of what is in quarantine.
  uint64_t committed = 0;
  uint64_t duplicate = 0;
  uint64_t quarantined = 0;

  void Apply(const event::Accepted& accepted) {
    const v1::UsageEvent usage = test::Parsed(accepted.bytes).usage();
    if (usage.model() == kPoison) {
      ++quarantined;
      refused.insert(std::string(accepted.bytes));
      return;
    }
    const auto [known, is_new] = keys.try_emplace(usage.event_id(), usage.api_key_id());
    if (is_new) {
      ++committed;
      ++requests[usage.api_key_id()];
    } else if (known->second == usage.api_key_id()) {
      ++duplicate;
    } else {
      ++quarantined;
      refused.insert(std::string(accepted.bytes));
    }
  }
};

class ModelTest : public WriterTest, public ::testing::WithParamInterface<int> {
 protected:
  uint64_t Random(uint64_t below) { return random_() % below; }

  void AddEvents() {
    for (uint64_t count = 1 + Random(30); count > 0; --count) {
      if (Random(12) == 0) {
        v1::Event poison = test::UsageOf(UuidOf(100000 + Random(50)));
        poison.mutable_usage()->set_model(std::string(kPoison));
        events_.Add(poison);
      } else {
        // Few ids, so that many repeat; now and then with other content.
        events_.Add(test::UsageOf(UuidOf(1 + Random(300)), absl::StrCat("key-", Random(8) / 7)));
      }
    }
    if (Random(10) == 0) events_.Skip(Random(4));
  }

  void PlanFaults() {
    const uint64_t rate = Random(3) == 0 ? 0 : 8 + Random(30);
    database_.set_kill_works(Random(2) == 0);
    database_.set_statement_bytes_max(Random(2) == 0 ? 4096 : 1 << 20);
    database_.SetFaults([this, rate](const FakeCall& call) -> FakeFault {
      if (rate == 0 || Random(rate) != 0) return {};
      static constexpr unsigned kNumbers[] = {2013, 2013, 2013, 1213, 1205, 1290, 1053, 1040};
      const bool can_be_lost = call.kind != FakeCall::Kind::kRent;
      return {kNumbers[Random(8)], Random(2) == 0, can_be_lost && Random(3) == 0};
    });
  }

  void Disturb() {
    switch (Random(8)) {
      case 0:
        database_.FailOver(Random(4));
        break;
      case 1:
        database_.SetDown(true);
        database_.SetDown(false);
        break;
      case 2:
        // A new process; its predecessor had settled what it had settled.
        writer_ = NewWriter(kUsageLane);
        break;
      default:
        break;
    }
  }

  // Drives the lane as the pipeline does, until nothing is left.
  void Settle() {
    for (int attempt = 0; attempt < kAttemptsMax; ++attempt) {
      // What waits for a zombie waits no longer than its session lives.
      if (Random(8) == 0) database_.EndZombies(Random(2) == 0);
      if (!writer_->is_open()) {
        writer_->Open().IgnoreError();
        continue;
      }
      const absl::Span<const event::Accepted> rest =
          events_.After(writer_->seat().position, 1 + Random(64));
      if (rest.empty()) return;
      const absl::StatusOr<Written> written = writer_->Write(rest);
      if (!written.ok()) {
        ASSERT_NE(mysql::VerdictOf(written.status()), flow::Verdict::kReject);
        continue;
      }
      ASSERT_NE(written->kind, Kind::kFenced);
      ASSERT_LE(written->done, rest.size());
      ExpectSame(writer_->seat(), Row());
    }
    FAIL() << "the lane does not come to an end";
  }

  void ExpectTablesLikeModel() {
    Model model;
    for (const event::Accepted& accepted : events_.all()) model.Apply(accepted);
    std::map<std::string, uint64_t> requests;
    for (const auto& row : database_.Read("usage_stats", {"api_key_id", "requests"})) {
      ASSERT_TRUE(absl::SimpleAtoi(*row[1], &requests[*row[0]]));
    }
    EXPECT_EQ(requests, model.requests);
    std::map<std::string, std::string> keys;
    for (const auto& row : database_.Read("usage_records", {"event_id", "api_key_id"})) {
      keys[*row[0]] = *row[1];
    }
    std::map<std::string, std::string> expected;
    for (const auto& [id, key] : model.keys) {
      expected[std::string(event::EventKey(id).view())] = key;
    }
    EXPECT_EQ(keys, expected);
    std::set<std::string> refused;
    for (const auto& row : database_.Read("holdfast_quarantine", {"event_protobuf"})) {
      refused.insert(*row[0]);
    }
    EXPECT_EQ(refused, model.refused);
    EXPECT_EQ(Row().committed, model.committed);
    EXPECT_EQ(Row().duplicate, model.duplicate);
    EXPECT_EQ(Row().quarantined, model.quarantined);
  }

  std::mt19937_64 random_;
  std::unique_ptr<LaneWriter> writer_;
};

TEST_P(ModelTest, TheTablesHoldWhatTheyOughtToAfterEveryStep) {
  random_.seed(static_cast<uint64_t>(GetParam()));
  test::FakeTable& table = database_.engine().table("usage_records");
  table.column(table.Index("model")).length_max = 7;
  writer_ = NewWriter(kUsageLane);
  for (int step = 0; step < kSteps; ++step) {
    SCOPED_TRACE(absl::StrCat("seed ", GetParam(), " step ", step));
    AddEvents();
    PlanFaults();
    Disturb();
    Settle();
    ASSERT_FALSE(HasFatalFailure());
    database_.SetFaults(nullptr);
    database_.EndZombies(/*commit=*/false);
    ExpectTablesLikeModel();
    ASSERT_FALSE(HasFailure());
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, ModelTest, ::testing::Range(0, kSeeds));

}  // namespace
}  // namespace holdfast::writer
