#include "server/event/trace.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace holdfast::event {
namespace {

// "vv-" and the trace id, "-" and the parent id, "-" and the flags.
constexpr size_t kIdAt = 3;
constexpr size_t kParentAt = kIdAt + 32 + 1;
constexpr size_t kFlagsAt = kParentAt + 16 + 1;
constexpr size_t kLength = kFlagsAt + 2;

constexpr uint8_t kSampled = 1;

// The value of a lower-case digit; the standard allows no other.
int DigitOf(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

// REQUIRES: `text` has two digits for each byte.
bool ReadHex(absl::string_view text, uint8_t* bytes) {
  for (size_t i = 0; i < text.size(); i += 2) {
    const int high = DigitOf(text[i]);
    const int low = DigitOf(text[i + 1]);
    if (high < 0 || low < 0) return false;
    bytes[i / 2] = static_cast<uint8_t>(high << 4 | low);
  }
  return true;
}

template <size_t kSize>
std::string Hex(const std::array<uint8_t, kSize>& bytes) {
  return absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

}  // namespace

std::optional<Trace> ParseTraceparent(absl::string_view text) {
  if (text.size() < kLength) return std::nullopt;
  uint8_t version = 0;
  if (!ReadHex(text.substr(0, 2), &version) || version == 0xff) return std::nullopt;
  if (text.size() > kLength && (version == 0 || text[kLength] != '-')) return std::nullopt;
  if (text[kIdAt - 1] != '-' || text[kParentAt - 1] != '-' || text[kFlagsAt - 1] != '-') {
    return std::nullopt;
  }
  Trace trace;
  if (!ReadHex(text.substr(kIdAt, 32), trace.id.bytes.data()) ||
      !ReadHex(text.substr(kParentAt, 16), trace.parent.data()) ||
      !ReadHex(text.substr(kFlagsAt, 2), &trace.flags)) {
    return std::nullopt;
  }
  trace.flags &= kSampled;
  if (!trace.is_set() || trace.parent == decltype(trace.parent){}) return std::nullopt;
  return trace;
}

std::string FormatTraceparent(const Trace& trace) {
  return absl::StrCat("00-", FormatTraceId(trace), "-", Hex(trace.parent), "-",
                      absl::Hex(trace.flags, absl::kZeroPad2));
}

std::string FormatTraceId(const Trace& trace) { return Hex(trace.id.bytes); }

void TraceSet::Add(const Trace& trace) {
  const auto is_same = [&trace](const Trace& kept) { return kept.id == trace.id; };
  if (std::any_of(kept_.begin(), kept_.end(), is_same)) return;
  if (kept_.size() < kKeptMax) {
    kept_.push_back(trace);
  } else {
    others_.insert(trace.id);
  }
}

}  // namespace holdfast::event
