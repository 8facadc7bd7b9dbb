#include "server/gate/conduct.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/support/status_matchers.h"
#include "tests/unit/gate/frames.h"

namespace holdfast::gate {
namespace {

using test::StatusIs;
using testing::_;
using testing::HasSubstr;

class ConductTest : public testing::Test {
 protected:
  ConductTest() {
    limits_.connection_points = 20000;
    limits_.connection_points_per_second = 10000;
    limits_.peer_points = 40000;
    limits_.peer_points_per_second = 20000;
    limits_.held_back_max = absl::Seconds(10);
    of_peer_ = std::make_shared<Allowance>(limits_.peer_points, limits_.peer_points_per_second);
  }

  std::unique_ptr<Conduct> Connect() {
    auto conduct = std::make_unique<Conduct>(limits_, of_peer_, &streams_, now_);
    EXPECT_OK(conduct->LookAtRequest(HelloFrames(), now_));
    return conduct;
  }

  std::string Call(uint32_t stream) {
    return Frame(FrameType::kHeaders, kEndHeaders, stream, std::string(50, 'h'));
  }
  std::string Reset(uint32_t stream) { return Frame(FrameType::kReset, 0, stream, "abcd"); }

  absl::Duration WaitOf(Conduct& conduct) {
    const absl::StatusOr<absl::Duration> wait = conduct.HoldBack(now_);
    EXPECT_OK(wait);
    return wait.value_or(absl::InfiniteDuration());
  }

  ConductLimits limits_;
  std::shared_ptr<Allowance> of_peer_;
  size_t streams_ = 0;
  absl::Time now_ = absl::UnixEpoch();
};

TEST_F(ConductTest, AGatewayThatSendsEventsIsNeverHeldBack) {
  auto conduct = Connect();
  for (uint32_t stream = 1; stream < 20000; stream += 2) {
    ASSERT_OK(conduct->LookAtRequest(
        Call(stream) + Frame(FrameType::kData, kEndStream, stream, std::string(500, 'e')), now_));
    ASSERT_OK(conduct->LookAtResponse(Frame(FrameType::kHeaders, kEndStream, stream), now_));
    ASSERT_EQ(WaitOf(*conduct), absl::ZeroDuration());
  }
  EXPECT_EQ(conduct->open_streams(), 0);
  EXPECT_EQ(streams_, 0);
}

TEST_F(ConductTest, AFloodOfResetsIsHeldBackAndAtLastClosed) {
  auto conduct = Connect();
  std::string flood;
  for (uint32_t stream = 1; stream < 10000; stream += 2) flood += Call(stream) + Reset(stream);
  ASSERT_OK(conduct->LookAtRequest(flood, now_));
  // 5,000 resets of ten points; 20,000 were there, 10,000 come in a second.
  EXPECT_GT(WaitOf(*conduct), absl::Seconds(2.9));
  now_ += absl::Seconds(3.1);
  EXPECT_EQ(WaitOf(*conduct), absl::ZeroDuration());
  absl::Status end;
  for (uint32_t stream = 10001; end.ok() && stream < 1000000; stream += 2) {
    ASSERT_OK(conduct->LookAtRequest(Call(stream) + Reset(stream), now_));
    const absl::StatusOr<absl::Duration> wait = conduct->HoldBack(now_);
    end = wait.status();
    now_ += wait.value_or(absl::ZeroDuration());
  }
  EXPECT_THAT(end, StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("flood")));
}

TEST_F(ConductTest, ResetsByTheServerCostTheClientAsMuch) {
  auto conduct = Connect();
  for (uint32_t stream = 1; stream < 10000; stream += 2) {
    ASSERT_OK(conduct->LookAtRequest(Call(stream), now_));
    ASSERT_OK(conduct->LookAtResponse(Reset(stream), now_));
  }
  EXPECT_GT(WaitOf(*conduct), absl::Seconds(2.9));
}

TEST_F(ConductTest, AStormThatEndsIsForgotten) {
  auto conduct = Connect();
  for (int storm = 0; storm < 20; ++storm) {
    ASSERT_EQ(WaitOf(*conduct), absl::ZeroDuration());  // As before each read.
    std::string resets;
    for (uint32_t i = 0; i < 4000; ++i) resets += Reset(1);
    ASSERT_OK(conduct->LookAtRequest(resets, now_));
    EXPECT_GT(WaitOf(*conduct), absl::ZeroDuration());
    now_ += absl::Seconds(10);
  }
}

TEST_F(ConductTest, TheDebtOfAPeerIsForThoseOfItsConnectionsThatHavePartInIt) {
  auto innocent = Connect();
  auto guilty = Connect();
  std::string resets;
  for (int i = 0; i < 6000; ++i) resets += Reset(1);
  ASSERT_OK(guilty->LookAtRequest(resets, now_));
  EXPECT_GT(WaitOf(*guilty), absl::ZeroDuration());
  EXPECT_EQ(WaitOf(*innocent), absl::ZeroDuration());
  // A new connection is no way out of it.
  auto next = Connect();
  EXPECT_GT(WaitOf(*next), absl::ZeroDuration());
  now_ += absl::Seconds(5);
  EXPECT_EQ(WaitOf(*next), absl::ZeroDuration());
}

TEST_F(ConductTest, ABreachCostsThePeer) {
  for (int i = 0; i < 30; ++i) {
    EXPECT_THAT(Connect()->LookAtRequest(Frame(FrameType::kPushPromise, 0, 1), now_),
                StatusIs(absl::StatusCode::kInvalidArgument, _));
  }
  EXPECT_GT(WaitOf(*Connect()), absl::ZeroDuration());
}

TEST_F(ConductTest, HeaderBlocksHaveAGreatestSizeAndAGreatestNumberOfFrames) {
  const std::string part(16000, 'h');
  auto large = Connect();
  EXPECT_OK(large->LookAtRequest(Frame(FrameType::kHeaders, 0, 1, part), now_));
  EXPECT_OK(large->LookAtRequest(Frame(FrameType::kContinuation, 0, 1, part), now_));
  EXPECT_THAT(large->LookAtRequest(Frame(FrameType::kContinuation, 0, 1, part), now_),
              StatusIs(absl::StatusCode::kOutOfRange, HasSubstr("too large")));

  auto many = Connect();
  EXPECT_OK(many->LookAtRequest(Frame(FrameType::kHeaders, 0, 1), now_));
  absl::Status end;
  int frames = 1;
  for (; end.ok(); ++frames) {
    end = many->LookAtRequest(Frame(FrameType::kContinuation, 0, 1), now_);
  }
  EXPECT_EQ(frames, limits_.header_block_frames_max + 1);
  EXPECT_THAT(end, StatusIs(absl::StatusCode::kOutOfRange, _));
}

TEST_F(ConductTest, TwoBlocksInOneReadAreTwo) {
  auto conduct = Connect();
  std::string blocks;
  for (uint32_t stream = 1; stream < 40; stream += 2) blocks += Call(stream);
  EXPECT_OK(conduct->LookAtRequest(blocks, now_));
  EXPECT_EQ(conduct->deadline(), absl::InfiniteFuture());
}

TEST_F(ConductTest, PrefaceAndHeaderBlocksHaveADeadlineAndEventsHaveNone) {
  Conduct silent(limits_, of_peer_, &streams_, now_);
  EXPECT_OK(silent.CheckDeadline(now_));
  EXPECT_THAT(silent.CheckDeadline(now_ + limits_.headers_timeout),
              StatusIs(absl::StatusCode::kDeadlineExceeded, _));
  auto conduct = Connect();
  EXPECT_EQ(conduct->deadline(), absl::InfiniteFuture());
  ASSERT_OK(conduct->LookAtRequest(Call(1), now_));
  const std::string data = Frame(FrameType::kData, 0, 1, std::string(100, 'd'));
  ASSERT_OK(conduct->LookAtRequest(data.substr(0, 50), now_));
  EXPECT_EQ(conduct->deadline(), absl::InfiniteFuture());
  ASSERT_OK(conduct->LookAtRequest(data.substr(50), now_));
  // Begun and trickling: the deadline does not move.
  const std::string block = Call(3);
  ASSERT_OK(conduct->LookAtRequest(block.substr(0, 20), now_));
  const absl::Time deadline = conduct->deadline();
  EXPECT_EQ(deadline, now_ + limits_.headers_timeout);
  now_ += absl::Seconds(5);
  ASSERT_OK(conduct->LookAtRequest(block.substr(20, 1), now_));
  EXPECT_EQ(conduct->deadline(), deadline);
  ASSERT_OK(conduct->LookAtRequest(block.substr(21), now_));
  EXPECT_EQ(conduct->deadline(), absl::InfiniteFuture());
}

TEST_F(ConductTest, StreamsAreLimitedForOneConnectionAndForAll) {
  limits_.connection_streams_max = 10;
  limits_.streams_max = 25;
  std::vector<std::unique_ptr<Conduct>> conducts;
  for (int i = 0; i < 2; ++i) {
    conducts.push_back(Connect());
    for (uint32_t stream = 1; stream < 20; stream += 2) {
      ASSERT_OK(conducts.back()->LookAtRequest(Call(stream), now_));
    }
    EXPECT_THAT(conducts.back()->LookAtRequest(Call(21), now_),
                StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("one connection")));
  }
  auto last = Connect();
  for (uint32_t stream = 1; stream < 10; stream += 2) {
    ASSERT_OK(last->LookAtRequest(Call(stream), now_));
  }
  EXPECT_THAT(last->LookAtRequest(Call(11), now_),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("all gateways")));
  conducts.clear();
  EXPECT_EQ(streams_, 5);
  EXPECT_OK(Connect()->LookAtRequest(Call(1), now_));
}

TEST_F(ConductTest, PingsAfterAnswersAreFreeAndOthersAreFew) {
  const std::string ping = Frame(FrameType::kPing, 0, 0, "12345678");
  auto asking = Connect();
  for (int i = 0; i < 1000; ++i) {
    ASSERT_OK(asking->LookAtRequest(ping, now_));
    ASSERT_OK(asking->LookAtResponse(Frame(FrameType::kData, 0, 1, "ack"), now_));
  }
  auto quiet = Connect();
  for (int i = 0; i < 1000; ++i) {
    ASSERT_OK(quiet->LookAtRequest(ping, now_));
    now_ += absl::Seconds(10);
  }
  auto flooding = Connect();
  absl::Status end;
  int pings = 0;
  for (; end.ok(); ++pings) end = flooding->LookAtRequest(ping, now_);
  EXPECT_EQ(pings, 17);
  EXPECT_THAT(end, StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("pings")));
}

TEST_F(ConductTest, WhatIsNoHttp2Ends) {
  const std::string payload(8, 'x');
  for (const std::string& wrong :
       {Frame(FrameType::kPushPromise, kEndHeaders, 1, payload), Frame(FrameType::kHeaders, 4, 2),
        Frame(FrameType::kHeaders, 4, 0), Frame(FrameType::kContinuation, 4, 1),
        Frame(FrameType::kHeaders, 0, 1) + Frame(FrameType::kPing, 0, 0, payload),
        Frame(FrameType::kHeaders, 0, 1) + Frame(FrameType::kContinuation, 4, 3),
        Frame(FrameType::kReset, 0, 1, payload), Frame(FrameType::kPing, 0, 0, "x"),
        Frame(FrameType::kSettings, 0, 0, std::string(600, 'x'))}) {
    EXPECT_THAT(Connect()->LookAtRequest(wrong, now_),
                StatusIs(absl::StatusCode::kInvalidArgument, _));
  }
  Conduct unsettled(limits_, of_peer_, &streams_, now_);
  EXPECT_THAT(unsettled.LookAtRequest(Preface() + Frame(FrameType::kPing, 0, 0, payload), now_),
              StatusIs(absl::StatusCode::kInvalidArgument, _));
}

}  // namespace
}  // namespace holdfast::gate
