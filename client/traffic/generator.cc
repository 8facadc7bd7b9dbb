#include "client/traffic/generator.h"

#include <array>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "absl/time/civil_time.h"
#include "absl/time/time.h"

namespace holdfast::traffic {
namespace {

constexpr size_t kApiKeys = 2000;
constexpr size_t kUsers = 5000;
constexpr size_t kAddresses = 3000;
constexpr size_t kConversations = 4000;
constexpr uint64_t kAccounts = 40;
constexpr size_t kRecentMax = 2000;

struct Model {
  absl::string_view name;
  absl::string_view account_type;
  // Millionths of a dollar for a thousand tokens.
  uint64_t input_price;
  uint64_t output_price;
};

constexpr std::array<Model, 6> kModels = {{{"claude-sonnet-4-5", "claude", 3000, 15000},
                                           {"claude-haiku-4-5", "claude", 1000, 5000},
                                           {"claude-opus-4-1", "claude", 15000, 75000},
                                           {"gpt-5", "openai", 1250, 10000},
                                           {"gpt-5-mini", "openai", 250, 2000},
                                           {"gemini-2.5-pro", "gemini", 1250, 10000}}};

constexpr std::array<absl::string_view, 6> kRoutes = {
    "/v1/messages", "/v1/chat/completions", "/v1/responses", "/v1/embeddings", "/v1/models", ""};

struct Window {
  absl::string_view name;
  int64_t millis;
};

constexpr std::array<Window, 4> kWindows = {{{"WINDOW_TYPE_SECOND", 1000},
                                             {"WINDOW_TYPE_MINUTE", 60'000},
                                             {"WINDOW_TYPE_HOUR", 3'600'000},
                                             {"WINDOW_TYPE_DAY", 86'400'000}}};

constexpr std::array<absl::string_view, 8> kTexts = {
    "Hello! Is the blue one still available?",
    "Danke sch\xC3\xB6n, die Lieferung ist angekommen.",
    "\xD0\x9A\xD0\xBE\xD0\xB3\xD0\xB4\xD0\xB0 "
    "\xD0\xB4\xD0\xBE\xD1\x81\xD1\x82\xD0\xB0\xD0\xB2\xD0\xBA\xD0\xB0?",
    "\xE3\x81\x82\xE3\x82\x8A\xE3\x81\x8C\xE3\x81\xA8\xE3\x81\x86 \xF0\x9F\x99\x8F",
    "\xF0\x9F\x94\xA5\xF0\x9F\x94\xA5\xF0\x9F\x94\xA5",
    "He said \\\"tomorrow\\\", and then nothing.\\nCan you check?",
    "O'Reilly; DROP TABLE message; -- just kidding",
    "ok"};

// "2026-01-15T10:30:00.123Z". The day's prefix is the same for all: only the rest is formatted
// anew.
std::string FormatTime(int64_t ms) {
  static thread_local int64_t day = -1;
  static thread_local std::string prefix;
  const int64_t this_day = ms / Day::kMillis;
  if (this_day != day) {
    day = this_day;
    prefix = absl::FormatTime("%Y-%m-%dT", absl::FromUnixMillis(ms), absl::UTCTimeZone());
  }
  const int64_t rest = ms % Day::kMillis;
  char text[16];
  int at = 0;
  const auto put = [&](int64_t value, int digits, char after) {
    for (int64_t scale = digits == 3 ? 100 : 10; scale > 0; scale /= 10) {
      text[at++] = static_cast<char>('0' + value / scale % 10);
    }
    text[at++] = after;
  };
  put(rest / 3'600'000, 2, ':');
  put(rest / 60'000 % 60, 2, ':');
  put(rest / 1000 % 60, 2, '.');
  put(rest % 1000, 3, 'Z');
  return absl::StrCat(prefix, absl::string_view(text, static_cast<size_t>(at)));
}

std::string Head(int64_t at_ms) { return absl::StrCat(R"({"occurredAt":")", FormatTime(at_ms)); }

// Stands for a row of rate_limit_records. Identifiers are below 2^16, and a window begins in a
// second.
uint64_t RowKey(uint64_t identifier, uint64_t route, uint64_t window, int64_t start_ms) {
  return identifier << 40 | route << 36 | window << 32 | static_cast<uint64_t>(start_ms / 1000);
}

}  // namespace

Generator::Generator(const GeneratorOptions& options)
    : options_(options),
      random_(options.seed),
      day_(options.day_begin_ms, random_),
      api_keys_(kApiKeys, 1.1),
      users_(kUsers, 1.0),
      addresses_(kAddresses, 1.2),
      conversations_(kConversations, 0.9) {}

bool Generator::Next(std::string* output) {
  if (made_ == options_.events) return false;
  now_ms_ = day_.At(made_, options_.events);
  ++made_;
  // Spread evenly: the k-th poison comes after k / (poison + 1) of the lines.
  if (poisoned_ < options_.poison &&
      made_ * (options_.poison + 1) > (poisoned_ + 1) * options_.events) {
    ++poisoned_;
    Poison(output);
    return true;
  }
  if (!recent_.empty() && random_.Percent(options_.duplicates_percent)) {
    Repeat(output);
    return true;
  }
  const uint64_t kind = random_.Below(100);
  if (kind < 60) {
    Usage();
    Remember(false);
  } else if (kind < 75) {
    Observed();
    Remember(true);
  } else if (kind < 85) {
    Hits();
    if (options_.hits_have_ids) Remember(false);
  } else {
    Message();
    Remember(false);
  }
  output->append(line_);
  return true;
}

void Generator::Remember(bool is_observed) {
  if (options_.duplicates_percent == 0) return;
  recent_.push_back(Repeatable{line_, is_observed});
  if (recent_.size() > kRecentMax) recent_.pop_front();
}

void Generator::Repeat(std::string* output) {
  const Repeatable& again = recent_[random_.Below(recent_.size())];
  if (again.is_observed) {
    ledger_.ObservedAgain();
  } else {
    ledger_.Duplicate();
  }
  output->append(again.line);
}

void Generator::Poison(std::string* output) {
  switch (poisoned_ % 5) {
    case 1:
      absl::StrAppend(output, Head(now_ms_),
                      R"(","rateLimit":{"identifier":"user:1","windowType":)",
                      R"(9,"observed":"1"}})", "\n");
      break;
    case 2:
      if (last_usage_id_.empty()) {
        absl::StrAppend(output, Head(now_ms_), R"(","usage":{"eventId":")", MakeId(now_ms_),
                        R"("}})", "\n");
        break;
      }
      {
        UsageFacts other = last_usage_;
        // Another figure each time: the same conflict twice would be kept once.
        other.cost_micros += poisoned_;
        WriteUsage(other, last_usage_id_, last_usage_ms_);
        output->append(line_);
        ledger_.UsageConflict();
        return;
      }
    case 3:
      absl::StrAppend(output, Head(now_ms_),
                      R"(","message":{"igSenderId":"1","igRecipientId":"2",)",
                      R"("direction":"DIRECTION_IN","text":"nobody knows my id"}})", "\n");
      break;
    case 4:
      if (last_hits_id_.empty()) {
        absl::StrAppend(output, Head(now_ms_), R"("})", "\n");
        break;
      }
      WriteHits(last_hits_address_, last_hits_route_, last_hits_ + poisoned_, last_hits_id_,
                last_hits_ms_);
      output->append(line_);
      ledger_.HitsConflict();
      return;
    default:
      absl::StrAppend(output, Head(now_ms_), R"(","usage":{"eventId":")", MakeId(now_ms_),
                      R"(","apiKeyId":"key-1","inputTokens":"-5"}})", "\n");
  }
  ledger_.Refused();
}

void Generator::Usage() {
  UsageFacts facts{};
  facts.api_key = api_keys_.Pick(random_);
  // A key mostly uses one model, and a handful of accounts.
  facts.model =
      random_.Percent(85) ? facts.api_key % kModels.size() : random_.Below(kModels.size());
  facts.account = (facts.api_key * 7 + random_.Below(3)) % kAccounts;
  facts.hour = now_ms_ / 3'600'000;
  facts.input_tokens = random_.LongTail(200, 9);
  facts.output_tokens = random_.LongTail(50, 7);
  if (random_.Percent(40)) {
    facts.cache_read_tokens = random_.LongTail(1000, 7);
    facts.ephemeral_5m_tokens = random_.LongTail(100, 6);
    facts.ephemeral_1h_tokens = random_.Percent(20) ? random_.LongTail(100, 5) : 0;
    facts.cache_create_tokens = facts.ephemeral_5m_tokens + facts.ephemeral_1h_tokens;
  }
  facts.long_context = facts.input_tokens + facts.cache_read_tokens > 200'000;
  const Model& model = kModels[facts.model];
  const uint64_t input_thousandths = facts.input_tokens * 1000 + facts.cache_read_tokens * 100 +
                                     facts.ephemeral_5m_tokens * 1250 +
                                     facts.ephemeral_1h_tokens * 2000;
  facts.real_cost_micros =
      (input_thousandths * model.input_price / 1000 + facts.output_tokens * model.output_price) /
      1000;
  // Some keys pay a rate of their own.
  facts.cost_micros =
      facts.api_key % 10 == 0 ? facts.real_cost_micros * 9 / 10 : facts.real_cost_micros;
  last_usage_ = facts;
  last_usage_ms_ = now_ms_;
  last_usage_id_ = MakeId(now_ms_);
  ledger_.Usage(facts);
  WriteUsage(facts, last_usage_id_, now_ms_);
}

void Generator::WriteUsage(const UsageFacts& facts, const std::string& id, int64_t at_ms) {
  const Model& model = kModels[facts.model];
  const absl::string_view request = absl::string_view(id).substr(24);
  line_ = Head(at_ms);
  absl::StrAppend(&line_, R"(","usage":{"eventId":")", id, R"(","apiKeyId":"key-)", facts.api_key,
                  R"(","accountId":"account-)", facts.account, R"(","accountType":")",
                  model.account_type, R"(","model":")", model.name, R"(","requestId":"req_)",
                  request);
  absl::StrAppend(&line_, R"(","endpoint":")", kRoutes[facts.model % 3],
                  R"(","method":"POST","statusCode":200,"stream":)",
                  facts.output_tokens > 300 ? "true" : "false", R"(,"durationMs":")",
                  300 + facts.output_tokens * 11, R"(","inputTokens":")", facts.input_tokens,
                  R"(","outputTokens":")", facts.output_tokens);
  if (facts.cache_read_tokens > 0) {
    absl::StrAppend(&line_, R"(","cacheCreateTokens":")", facts.cache_create_tokens,
                    R"(","cacheReadTokens":")", facts.cache_read_tokens,
                    R"(","ephemeral5mTokens":")", facts.ephemeral_5m_tokens,
                    R"(","ephemeral1hTokens":")", facts.ephemeral_1h_tokens);
  }
  absl::StrAppend(
      &line_, facts.long_context ? R"(","longContext":true,"costMicros":")" : R"(","costMicros":")",
      facts.cost_micros, R"(","realCostMicros":")", facts.real_cost_micros, "\"}}\n");
}

void Generator::Observed() {
  const uint64_t user = users_.Pick(random_);
  const uint64_t route = random_.Below(kRoutes.size());
  // Short windows are reported far more often than long ones.
  const uint64_t window = std::min(random_.Below(kWindows.size()), random_.Below(kWindows.size()));
  const uint64_t count = random_.LongTail(1, 6);
  const int64_t start_ms = now_ms_ / kWindows[window].millis * kWindows[window].millis;
  ledger_.Observed(RowKey(user, route, window, start_ms), count);
  line_ = Head(now_ms_);
  absl::StrAppend(&line_, R"(","rateLimit":{"identifier":"user:)", user, R"(","windowType":")",
                  kWindows[window].name, R"(","routePath":")", kRoutes[route], R"(","observed":")",
                  count, "\"}}\n");
}

void Generator::Hits() {
  last_hits_address_ = addresses_.Pick(random_);
  last_hits_route_ = random_.Below(kRoutes.size());
  last_hits_ = random_.LongTail(1, 3);
  last_hits_ms_ = now_ms_;
  last_hits_id_ = options_.hits_have_ids ? MakeId(now_ms_) : "";
  const int64_t start_ms = now_ms_ / 60'000 * 60'000;
  ledger_.Hits(RowKey(last_hits_address_, last_hits_route_, 1, start_ms), last_hits_,
               options_.hits_have_ids);
  WriteHits(last_hits_address_, last_hits_route_, last_hits_, last_hits_id_, now_ms_);
}

void Generator::WriteHits(uint64_t address, uint64_t route, uint64_t hits, const std::string& id,
                          int64_t at_ms) {
  line_ = Head(at_ms);
  absl::StrAppend(&line_, R"(","rateLimit":{"identifier":"ip:10.20.)", address / 256, ".",
                  address % 256, R"(","windowType":"WINDOW_TYPE_MINUTE","routePath":")",
                  kRoutes[route], R"(","hits":")", hits);
  if (!id.empty()) absl::StrAppend(&line_, R"(","eventId":")", id);
  line_.append("\"}}\n");
}

void Generator::Message() {
  const uint64_t conversation = conversations_.Pick(random_);
  const bool in = random_.Percent(65);
  const bool has_text = random_.Percent(92);
  // The platform's clock runs a little ahead of the gateway's receiving.
  const int64_t timestamp_ms = now_ms_ - static_cast<int64_t>(random_.LongTail(20, 5));
  const std::string id = absl::StrCat("mid.", MakeId(now_ms_));
  const std::string person = absl::StrCat(17841400000000ULL + conversation);
  ledger_.Message(has_text, timestamp_ms);
  line_ = Head(now_ms_);
  absl::StrAppend(&line_, R"(","message":{"igMessageId":")", id, R"(","igSenderId":")",
                  in ? person : "17900000000001", R"(","igRecipientId":")",
                  in ? "17900000000001" : person, R"(","timestampMs":")", timestamp_ms,
                  R"(","conversationId":")", conversation + 1, R"(","direction":")",
                  in ? "DIRECTION_IN" : "DIRECTION_OUT");
  if (has_text) {
    absl::StrAppend(&line_, R"(","text":")", kTexts[random_.Below(kTexts.size())]);
  } else {
    absl::StrAppend(&line_, R"(","attachmentsJson":"[{\"type\":\"image\",\"id\":\")",
                    random_.Below(1'000'000'000), R"(\"}])");
  }
  absl::StrAppend(&line_, R"(","rawJson":"{\"mid\":\")", id, R"(\",\"timestamp\":)", timestamp_ms,
                  R"(}"}})", "\n");
}

std::string Generator::MakeId(int64_t at_ms) {
  constexpr char kHex[] = "0123456789abcdef";
  uint64_t high = static_cast<uint64_t>(at_ms) << 16 | 0x7000 | (random_.Bits() & 0x0FFF);
  uint64_t low = (random_.Bits() >> 2) | 1ULL << 63;
  std::string id(36, '-');
  for (int at = 35; at >= 0; --at) {
    if (at == 8 || at == 13 || at == 18 || at == 23) continue;
    uint64_t& half = at > 18 ? low : high;
    id[static_cast<size_t>(at)] = kHex[half & 0xF];
    half >>= 4;
  }
  return id;
}

}  // namespace holdfast::traffic
