#include "server/gate/frame_scanner.h"

#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/unit/gate/frames.h"

namespace holdfast::gate {
namespace {

using Direction = FrameScanner::Direction;

std::vector<FrameHeader> HeadersIn(FrameScanner& scanner, absl::string_view bytes, size_t step) {
  std::vector<FrameHeader> headers;
  for (size_t at = 0; at < bytes.size(); at += step) {
    EXPECT_TRUE(scanner.Feed(bytes.substr(at, step), [&](const FrameHeader& header) {
      headers.push_back(header);
      return true;
    }));
  }
  return headers;
}

TEST(FrameScannerTest, FindsTheSameFramesHoweverTheBytesAreCut) {
  const std::string bytes =
      HelloFrames() + Frame(FrameType::kHeaders, kEndHeaders, 1, std::string(300, 'h')) +
      Frame(FrameType::kData, kEndStream, 0x7fffffff, std::string(70000, 'd'));
  for (const size_t step : {size_t{1}, size_t{7}, size_t{24}, size_t{9}, bytes.size()}) {
    FrameScanner scanner(Direction::kFromClient);
    const std::vector<FrameHeader> headers = HeadersIn(scanner, bytes, step);
    ASSERT_EQ(headers.size(), 3) << step;
    EXPECT_EQ(headers[0].type, FrameType::kSettings);
    EXPECT_EQ(headers[0].length, 0);
    EXPECT_EQ(headers[1].length, 300);
    EXPECT_EQ(headers[1].stream, 1);
    EXPECT_TRUE(headers[1].has(kEndHeaders));
    EXPECT_FALSE(headers[1].has(kEndStream));
    EXPECT_EQ(headers[2].length, 70000);
    EXPECT_EQ(headers[2].stream, 0x7fffffff);
    EXPECT_TRUE(scanner.between_frames());
  }
}

TEST(FrameScannerTest, TheReservedBitIsNoPartOfTheStream) {
  FrameScanner scanner(Direction::kFromServer);
  const auto headers = HeadersIn(scanner, Frame(FrameType::kPing, 0, 0x80000001), 100);
  ASSERT_EQ(headers.size(), 1);
  EXPECT_EQ(headers[0].stream, 1);
}

TEST(FrameScannerTest, AWrongPrefaceIsFoundAtItsFirstWrongByte) {
  for (size_t at = 0; at < FrameScanner::kPreface.size(); ++at) {
    std::string preface = Preface();
    preface[at] = '!';
    FrameScanner scanner(Direction::kFromClient);
    const auto never = [](const FrameHeader& /*header*/) { return true; };
    EXPECT_TRUE(scanner.Feed(preface.substr(0, at), never)) << at;
    EXPECT_FALSE(scanner.past_preface());
    EXPECT_FALSE(scanner.Feed(preface.substr(at, 1), never)) << at;
  }
}

TEST(FrameScannerTest, KnowsWhetherItIsBetweenFrames) {
  FrameScanner scanner(Direction::kFromServer);
  const std::string frame = Frame(FrameType::kData, 0, 1, "payload");
  EXPECT_TRUE(scanner.between_frames());
  for (size_t at = 0; at < frame.size(); ++at) {
    HeadersIn(scanner, absl::string_view(frame).substr(at, 1), 1);
    EXPECT_EQ(scanner.between_frames(), at + 1 == frame.size()) << at;
  }
}

TEST(FrameScannerTest, StopsWhereItIsTold) {
  FrameScanner scanner(Direction::kFromServer);
  int seen = 0;
  EXPECT_FALSE(scanner.Feed(Frame(FrameType::kPing, 0, 0) + Frame(FrameType::kPing, 0, 0),
                            [&](const FrameHeader& /*header*/) {
                              ++seen;
                              return false;
                            }));
  EXPECT_EQ(seen, 1);
}

}  // namespace
}  // namespace holdfast::gate
