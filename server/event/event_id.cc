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

// Where the dashes are, and where each byte's two digits begin.
constexpr std::array<uint8_t, 4> kDashes = {8, 13, 18, 23};
constexpr std::array<uint8_t, 16> kDigitPairs = {0,  2,  4,  6,  9,  11, 14, 16,
                                                 19, 21, 24, 26, 28, 30, 32, 34};

// The value of each hex digit; of all else kNoDigit, whose bit no digit has.
constexpr uint8_t kNoDigit = 0x80;
constexpr std::array<uint8_t, 256> kHexValues = [] {
  std::array<uint8_t, 256> values{};
  for (uint8_t& value : values) value = kNoDigit;
  for (uint8_t i = 0; i < 10; ++i) values['0' + i] = i;
  for (uint8_t i = 0; i < 6; ++i) {
    values['a' + i] = static_cast<uint8_t>(10 + i);
    values['A' + i] = static_cast<uint8_t>(10 + i);
  }
  return values;
}();

// Fields in the order of their numbers, except event_id, which is the key and not the content.
uint64_t ContentHash(const RateLimitView& rate_limit, const EventView& event) {
  return Canonical()
      .Add(int64_t{v1::Event::kRateLimitFieldNumber})
      .Add(absl::ToUnixMicros(OccurredAt(event)))
      .Add(rate_limit.identifier)
      .Add(int64_t{rate_limit.window_type})
      .Add(rate_limit.route_path)
      .Add(absl::ToUnixSeconds(WindowStart(event)))
      .Add(absl::ToUnixSeconds(WindowEnd(event)))
      .Add(int64_t{rate_limit.count_case})
      .Add(rate_limit.count)
      .Hash();
}

uint64_t ContentHash(const UsageView& usage, const EventView& event) {
  return Canonical()
      .Add(int64_t{v1::Event::kUsageFieldNumber})
      .Add(absl::ToUnixMicros(OccurredAt(event)))
      .Add(usage.api_key_id)
      .Add(usage.account_id)
      .Add(usage.account_type)
      .Add(usage.model)
      .Add(usage.request_id)
      .Add(usage.endpoint)
      .Add(usage.method)
      .Add(int64_t{usage.status_code})
      .Add(int64_t{usage.stream})
      .Add(usage.duration_ms)
      .Add(usage.input_tokens)
      .Add(usage.output_tokens)
      .Add(usage.cache_create_tokens)
      .Add(usage.cache_read_tokens)
      .Add(usage.ephemeral_5m_tokens)
      .Add(usage.ephemeral_1h_tokens)
      .Add(int64_t{usage.long_context})
      .Add(usage.cost_micros)
      .Add(usage.real_cost_micros)
      .Hash();
}

}  // namespace

std::optional<Id> ParseUuid(absl::string_view text) {
  if (text.size() != kUuidTextLength) return std::nullopt;
  for (const uint8_t dash : kDashes) {
    if (text[dash] != '-') return std::nullopt;
  }
  // Looked at together at the end: this is done for every event.
  Id id;
  uint8_t seen = 0;
  for (size_t i = 0; i < id.bytes.size(); ++i) {
    const uint8_t high = kHexValues[static_cast<uint8_t>(text[kDigitPairs[i]])];
    const uint8_t low = kHexValues[static_cast<uint8_t>(text[kDigitPairs[i] + 1u])];
    seen |= high | low;
    id.bytes[i] = static_cast<uint8_t>(high << 4 | low);
  }
  if ((seen & kNoDigit) != 0) return std::nullopt;
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

uint64_t ContentHash(const EventView& event) {
  if (const auto* usage = std::get_if<UsageView>(&event.kind)) return ContentHash(*usage, event);
  HOLDFAST_CHECK(std::holds_alternative<RateLimitView>(event.kind));
  return ContentHash(event.rate_limit(), event);
}

}  // namespace holdfast::event
