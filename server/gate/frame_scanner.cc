#include "server/gate/frame_scanner.h"

#include <algorithm>
#include <cstring>

namespace holdfast::gate {

bool FrameScanner::Feed(absl::string_view bytes,
                        absl::FunctionRef<bool(const FrameHeader&)> on_header) {
  if (preface_left_ > 0) {
    const size_t count = std::min(preface_left_, bytes.size());
    if (kPreface.substr(kPreface.size() - preface_left_, count) != bytes.substr(0, count)) {
      return false;
    }
    preface_left_ -= count;
    bytes.remove_prefix(count);
  }
  while (!bytes.empty()) {
    if (payload_left_ > 0) {
      const size_t count = std::min(payload_left_, bytes.size());
      payload_left_ -= count;
      bytes.remove_prefix(count);
      continue;
    }
    const size_t count = std::min(kHeaderBytes - header_bytes_, bytes.size());
    std::memcpy(header_ + header_bytes_, bytes.data(), count);
    header_bytes_ += count;
    bytes.remove_prefix(count);
    if (header_bytes_ < kHeaderBytes) return true;

    header_bytes_ = 0;
    const auto byte = [this](size_t at, int shift) {
      return static_cast<uint32_t>(header_[at]) << shift;
    };
    FrameHeader header;
    header.length = byte(0, 16) | byte(1, 8) | byte(2, 0);
    header.type = static_cast<FrameType>(header_[3]);
    header.flags = header_[4];
    header.stream = (byte(5, 24) | byte(6, 16) | byte(7, 8) | byte(8, 0)) & 0x7fffffff;
    payload_left_ = header.length;
    if (!on_header(header)) return false;
  }
  return true;
}

}  // namespace holdfast::gate
