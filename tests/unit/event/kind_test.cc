#include "server/event/kind.h"

#include <google/protobuf/descriptor.h>

#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

#include "tests/unit/event/sample_events.h"

namespace holdfast::event {
namespace {

TEST(KindTest, AKindIsCalledAsInTheContract) {
  const google::protobuf::OneofDescriptor* kinds = v1::Event::descriptor()->oneof_decl(0);
  ASSERT_EQ(kinds->field_count(), kKindCount);
  for (int i = 0; i < kKindCount; ++i) {
    EXPECT_EQ(KindName(kKinds[static_cast<size_t>(i)]), kinds->field(i)->name());
  }
  EXPECT_EQ(KindOf(RateLimitSample()), Kind::kRateLimit);
  EXPECT_EQ(KindOf(UsageSample()), Kind::kUsage);
  EXPECT_EQ(KindOf(MessageSample()), Kind::kMessage);
}

TEST(LaneTest, NumbersAndNamesGoTogether) {
  EXPECT_EQ(MakeLane(Kind::kUsage, 2), 18);
  EXPECT_EQ(LaneName(18), "usage-2");
  EXPECT_EQ(LaneName(0), "rate_limit-0");
  EXPECT_EQ(LaneName(kLaneCount - 1), "message-15");
  std::set<std::string> names;
  for (Lane lane = 0; lane < kLaneCount; ++lane) {
    EXPECT_EQ(MakeLane(KindOfLane(lane), lane % kLanesPerKindMax), lane);
    names.insert(LaneName(lane));
  }
  EXPECT_EQ(names.size(), static_cast<size_t>(kLaneCount));
}

TEST(LaneTest, AnEventGoesToALaneOfItsKindWhateverTheNumberOfLanes) {
  for (int lanes = 1; lanes <= kLanesPerKindMax; ++lanes) {
    for (const v1::Event& event : AllSamples()) {
      const Lane lane = LaneOf(event, lanes);
      EXPECT_EQ(KindOfLane(lane), KindOf(event));
      EXPECT_LT(lane % kLanesPerKindMax, lanes);
    }
  }
}

// One pair could share a lane by chance; so many do not.
constexpr int kManyKeys = 30;

TEST(LaneTest, UsageOfOneKeyStaysInOneLane) {
  for (int i = 0; i < kManyKeys; ++i) {
    v1::Event one = UsageSample();
    one.mutable_usage()->set_api_key_id(absl::StrCat("key-", i));
    v1::Event other = one;
    for (const auto* field : {"usage.event_id", "usage.account_id", "usage.model"}) {
      SetString(&other, field, "other");
    }
    other.mutable_usage()->set_cost_micros(1);
    other.mutable_occurred_at()->set_seconds(5);
    EXPECT_EQ(LaneOf(other, 16), LaneOf(one, 16));
  }
}

TEST(LaneTest, RateLimitsOfOneRowStayInOneLaneHoweverTheWindowIsSaid) {
  for (int i = 0; i < kManyKeys; ++i) {
    v1::Event given = RateLimitSample();
    given.mutable_rate_limit()->set_identifier(absl::StrCat("user:", i));
    v1::Event implied = given;
    implied.mutable_rate_limit()->clear_window_start();
    implied.mutable_rate_limit()->clear_window_end();
    implied.mutable_rate_limit()->set_observed(7);
    implied.mutable_rate_limit()->clear_event_id();
    EXPECT_EQ(LaneOf(implied, 16), LaneOf(given, 16));
  }
}

TEST(LaneTest, RowsOfDifferentWindowsAreDifferentKeys) {
  std::set<Lane> lanes;
  for (int i = 0; i < kManyKeys; ++i) {
    v1::Event event = RateLimitSample();
    event.mutable_rate_limit()->mutable_window_start()->set_seconds(60 * i);
    lanes.insert(LaneOf(event, 16));
  }
  EXPECT_GT(lanes.size(), 5u);
}

TEST(LaneTest, BothSidesOfAConversationShareALane) {
  for (int i = 0; i < kManyKeys; ++i) {
    v1::Event there = MessageSample();
    there.mutable_message()->clear_conversation_id();
    there.mutable_message()->set_ig_sender_id(absl::StrCat("sender-", i));
    v1::Event back = there;
    back.mutable_message()->set_ig_sender_id(there.message().ig_recipient_id());
    back.mutable_message()->set_ig_recipient_id(there.message().ig_sender_id());
    EXPECT_EQ(LaneOf(there, 16), LaneOf(back, 16));
  }
}

TEST(LaneTest, AKnownConversationStaysInOneLaneWhoeverWrites) {
  for (int i = 0; i < kManyKeys; ++i) {
    v1::Event one = MessageSample();
    one.mutable_message()->set_conversation_id(1 + i);
    v1::Event other = one;
    other.mutable_message()->set_ig_sender_id("somebody else");
    EXPECT_EQ(LaneOf(one, 16), LaneOf(other, 16));
  }
}

TEST(LaneTest, TheOrderOfFieldsOnTheWireDoesNotMatter) {
  const v1::Event sample = RateLimitSample();
  // Fields backwards, and some twice: the last one counts.
  const v1::RateLimitEvent& sent = sample.rate_limit();
  const std::string inner = LengthDelimited(1, "wrong") + LengthDelimited(8, sent.event_id()) +
                            Varint(7, 3) + LengthDelimited(3, sent.route_path()) + Varint(2, 2) +
                            LengthDelimited(1, sent.identifier());
  v1::Event reordered;
  ASSERT_TRUE(reordered.ParseFromString(
      LengthDelimited(2, inner) + LengthDelimited(1, sample.occurred_at().SerializeAsString())));
  EXPECT_EQ(LaneOf(reordered, 16), LaneOf(sample, 16));
}

TEST(LaneTest, KeysSpreadOverAllLanes) {
  std::map<Lane, int> counts;
  for (int i = 0; i < 1600; ++i) {
    v1::Event event = UsageSample();
    event.mutable_usage()->set_api_key_id(absl::StrCat("key-", i));
    ++counts[LaneOf(event, 16)];
  }
  ASSERT_EQ(counts.size(), 16u);
  for (const auto& [lane, count] : counts) EXPECT_GT(count, 50) << LaneName(lane);
}

// Lanes are stored: an event that was taken before an update must find the same lane after it.
TEST(LaneTest, LanesAreThoseOfEveryEarlierVersion) {
  EXPECT_EQ(LaneName(LaneOf(RateLimitSample(), 16)), "rate_limit-1");
  EXPECT_EQ(LaneName(LaneOf(UsageSample(), 16)), "usage-7");
  EXPECT_EQ(LaneName(LaneOf(MessageSample(), 16)), "message-0");
}

TEST(LaneDeathTest, AnEventWithoutAKindHasNoLane) {
  EXPECT_DEATH(LaneOf(v1::Event(), 2), "broken invariant");
  EXPECT_DEATH(LaneOf(UsageSample(), 17), "broken invariant");
}

}  // namespace
}  // namespace holdfast::event
