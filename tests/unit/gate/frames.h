// Frames as bytes.

#pragma once

#include <cstdint>
#include <string>

#include "server/gate/frame_scanner.h"

namespace holdfast::gate {

inline std::string Frame(FrameType type, uint8_t flags, uint32_t stream,
                         const std::string& payload = "") {
  const auto byte = [](size_t value) { return static_cast<char>(value & 0xff); };
  const size_t length = payload.size();
  std::string frame = {byte(length >> 16), byte(length >> 8), byte(length)};
  frame += {static_cast<char>(type), static_cast<char>(flags)};
  frame += {byte(stream >> 24), byte(stream >> 16), byte(stream >> 8), byte(stream)};
  return frame + payload;
}

inline std::string Preface() { return std::string(FrameScanner::kPreface); }

// What a client says first.
inline std::string HelloFrames() { return Preface() + Frame(FrameType::kSettings, 0, 0); }

}  // namespace holdfast::gate
