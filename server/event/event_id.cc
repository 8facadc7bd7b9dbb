#include "server/event/event_id.h"

#include <openssl/evp.h>
#include <openssl/rand.h>

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

#include "server/base/check.h"
#include "server/event/canonical.h"
#include "server/event/window.h"

namespace holdfast::event {
namespace {

constexpr size_t kUuidTextLength = 36;

bool IsDash(size_t place) { return place == 8 || place == 13 || place == 18 || place == 23; }

// The value of a hex digit, or -1.
int HexValue(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  return -1;
}

// Fields in the order of their numbers, except event_id, which is the key and not the content.
uint64_t ContentHash(const v1::RateLimitEvent& rate_limit, const v1::Event& event) {
  const bool is_hits = rate_limit.count_case() == v1::RateLimitEvent::kHits;
  return Canonical()
      .Add(int64_t{v1::Event::kRateLimitFieldNumber})
      .Add(absl::ToUnixMicros(OccurredAt(event)))
      .Add(rate_limit.identifier())
      .Add(int64_t{rate_limit.window_type()})
      .Add(rate_limit.route_path())
      .Add(absl::ToUnixSeconds(WindowStart(event)))
      .Add(absl::ToUnixSeconds(WindowEnd(event)))
      .Add(int64_t{rate_limit.count_case()})
      .Add(is_hits ? rate_limit.hits() : rate_limit.observed())
      .Hash();
}

uint64_t ContentHash(const v1::UsageEvent& usage, const v1::Event& event) {
  return Canonical()
      .Add(int64_t{v1::Event::kUsageFieldNumber})
      .Add(absl::ToUnixMicros(OccurredAt(event)))
      .Add(usage.api_key_id())
      .Add(usage.account_id())
      .Add(usage.account_type())
      .Add(usage.model())
      .Add(usage.request_id())
      .Add(usage.endpoint())
      .Add(usage.method())
      .Add(int64_t{usage.status_code()})
      .Add(int64_t{usage.stream()})
      .Add(usage.duration_ms())
      .Add(usage.input_tokens())
      .Add(usage.output_tokens())
      .Add(usage.cache_create_tokens())
      .Add(usage.cache_read_tokens())
      .Add(usage.ephemeral_5m_tokens())
      .Add(usage.ephemeral_1h_tokens())
      .Add(int64_t{usage.long_context()})
      .Add(usage.cost_micros())
      .Add(usage.real_cost_micros())
      .Hash();
}

}  // namespace

std::optional<Id> ParseUuid(absl::string_view text) {
  if (text.size() != kUuidTextLength) return std::nullopt;
  Id id;
  size_t digits = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (IsDash(i)) {
      if (text[i] != '-') return std::nullopt;
      continue;
    }
    const int value = HexValue(text[i]);
    if (value < 0) return std::nullopt;
    uint8_t& byte = id.bytes[digits / 2];
    byte = static_cast<uint8_t>(byte << 4 | value);
    ++digits;
  }
  return id;
}

std::string FormatUuid(const Id& id) {
  const std::string hex = absl::BytesToHexString(id.view());
  const absl::string_view digits = hex;
  return absl::StrCat(digits.substr(0, 8), "-", digits.substr(8, 4), "-", digits.substr(12, 4), "-",
                      absl::StrCat(digits.substr(16, 4), "-", digits.substr(20)));
}

Id RandomUuid() {
  Id id;
  HOLDFAST_CHECK(RAND_bytes(id.bytes.data(), static_cast<int>(id.bytes.size())) == 1);
  id.bytes[6] = static_cast<uint8_t>((id.bytes[6] & 0x0f) | 0x40);  // Version 4.
  id.bytes[8] = static_cast<uint8_t>((id.bytes[8] & 0x3f) | 0x80);  // The variant of RFC 4122.
  return id;
}

Id EventKey(absl::string_view event_id) {
  if (const std::optional<Id> uuid = ParseUuid(event_id)) return *uuid;
  // Fetched once: finding the algorithm costs more than hashing an id.
  static EVP_MD* const sha256 = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  HOLDFAST_CHECK(sha256 != nullptr);
  std::array<uint8_t, EVP_MAX_MD_SIZE> digest;
  HOLDFAST_CHECK(
      EVP_Digest(event_id.data(), event_id.size(), digest.data(), nullptr, sha256, nullptr) == 1);
  Id id;
  std::copy_n(digest.begin(), id.bytes.size(), id.bytes.begin());
  return id;
}

uint64_t ContentHash(const v1::Event& event) {
  if (event.has_rate_limit()) return ContentHash(event.rate_limit(), event);
  HOLDFAST_CHECK(event.has_usage());
  return ContentHash(event.usage(), event);
}

}  // namespace holdfast::event
