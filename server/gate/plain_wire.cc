#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "server/gate/wire.h"

namespace holdfast::gate {
namespace {

Moved After(ssize_t result) {
  if (result > 0) return {.bytes = static_cast<size_t>(result)};
  if (result == 0) return {.ended = true};
  if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return {};
  return {.broken = true};
}

class PlainWire final : public Wire {
 public:
  explicit PlainWire(int descriptor) : descriptor_(descriptor) {}
  ~PlainWire() override { ::close(descriptor_); }

  absl::StatusOr<bool> Handshake() override { return true; }
  Moved Read(absl::Span<char> into) override {
    return After(::recv(descriptor_, into.data(), into.size(), 0));
  }
  Moved Write(absl::string_view bytes) override {
    if (bytes.empty()) return {};
    return After(::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL));
  }
  bool HasRead() const override { return false; }
  bool WantsToWrite() const override { return false; }
  int descriptor() const override { return descriptor_; }

 private:
  const int descriptor_;
};

}  // namespace

std::unique_ptr<Wire> MakePlainWire(int descriptor) {
  return std::make_unique<PlainWire>(descriptor);
}

}  // namespace holdfast::gate
