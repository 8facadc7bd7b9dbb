// Finds the frames of one direction of an HTTP/2 connection: their headers only, never a payload.

#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"

namespace holdfast::gate {

// RFC 9113, section 6.
enum class FrameType : uint8_t {
  kData = 0,
  kHeaders = 1,
  kPriority = 2,
  kReset = 3,
  kSettings = 4,
  kPushPromise = 5,
  kPing = 6,
  kGoAway = 7,
  kWindowUpdate = 8,
  kContinuation = 9,
};

inline constexpr uint8_t kEndStream = 0x1;   // Of DATA and HEADERS.
inline constexpr uint8_t kAck = 0x1;         // Of SETTINGS and PING.
inline constexpr uint8_t kEndHeaders = 0x4;  // Of HEADERS and CONTINUATION.

struct FrameHeader {
  uint32_t length = 0;
  FrameType type = FrameType::kData;  // May be none of those above.
  uint8_t flags = 0;
  uint32_t stream = 0;

  bool has(uint8_t flag) const { return (flags & flag) != 0; }
};

// A pure value: it keeps some dozen bytes, whatever it is fed. Not thread-safe.
class FrameScanner {
 public:
  // What a client sends before its first frame.
  static constexpr absl::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

  enum class Direction { kFromClient, kFromServer };
  explicit FrameScanner(Direction direction)
      : preface_left_(direction == Direction::kFromClient ? kPreface.size() : 0) {}

  // Takes the next bytes, and calls `on_header` for each frame whose header is complete now.
  // Returns false if the preface is wrong, or as soon as `on_header` does; the connection is of no
  // use then.
  bool Feed(absl::string_view bytes, absl::FunctionRef<bool(const FrameHeader&)> on_header);

  // Whether the whole preface has come.
  bool past_preface() const { return preface_left_ == 0; }

  // Whether the last byte was the last one of a frame, or of the preface.
  bool between_frames() const {
    return payload_left_ == 0 && header_bytes_ == 0 &&
           (preface_left_ == 0 || preface_left_ == kPreface.size());
  }

 private:
  static constexpr size_t kHeaderBytes = 9;

  size_t preface_left_;
  size_t payload_left_ = 0;
  size_t header_bytes_ = 0;
  unsigned char header_[kHeaderBytes] = {};
};

}  // namespace holdfast::gate
