// The billing events of a relay, as usage events. Numbers are read as the text they were written
// in, because money that has been a double has already been changed.

#include <initializer_list>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

#include "client/cli/line_format.h"
#include "client/cli/money.h"

#include "nlohmann/json.hpp"

namespace holdfast::client {
namespace {

// A leaf of the JSON tree; of numbers the text.
struct Leaf {
  enum Type { kNull, kBool, kNumber, kString } type;
  std::string text;
};

// By path, "usage.model". What is inside arrays is left out: no field of ours is.
using Leaves = absl::flat_hash_map<std::string, Leaf>;

// Deeper than any field of ours. Paths are not kept beyond it, or a line of nothing but opening
// braces would take memory by the square of its length.
constexpr size_t kDepthMax = 8;

// Flattens a document. Of a key that is given twice the last counts, as everywhere in JavaScript.
class Flattener final : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit Flattener(Leaves* leaves) : leaves_(*leaves) {}

  const std::string& error() const { return error_; }

  bool null() override { return Put(Leaf::kNull, ""); }
  bool boolean(bool value) override { return Put(Leaf::kBool, value ? "true" : "false"); }
  bool number_integer(number_integer_t value) override {
    return Put(Leaf::kNumber, absl::StrCat(value));
  }
  bool number_unsigned(number_unsigned_t value) override {
    return Put(Leaf::kNumber, absl::StrCat(value));
  }
  bool number_float(number_float_t /*value*/, const string_t& text) override {
    return Put(Leaf::kNumber, text);
  }
  bool string(string_t& value) override { return Put(Leaf::kString, std::move(value)); }
  bool binary(binary_t& /*value*/) override { return false; }
  bool start_object(size_t /*size*/) override {
    if (++depth_ > kDepthMax) return true;
    path_.push_back(prefix_);
    if (path_.size() > 1) prefix_ = absl::StrCat(key_, ".");
    return true;
  }
  bool key(string_t& value) override {
    if (depth_ <= kDepthMax) key_ = absl::StrCat(prefix_, value);
    return true;
  }
  bool end_object() override {
    if (depth_-- > kDepthMax) return true;
    prefix_ = path_.back();
    path_.pop_back();
    return true;
  }
  bool start_array(size_t /*size*/) override {
    ++arrays_;
    return true;
  }
  bool end_array() override {
    --arrays_;
    return true;
  }
  bool parse_error(size_t position, const std::string& /*token*/,
                   const nlohmann::detail::exception& /*error*/) override {
    error_ = absl::StrCat("is not JSON: stopped making sense at byte ", position);
    return false;
  }

 private:
  bool Put(Leaf::Type type, std::string text) {
    const bool is_field = depth_ > 0 && depth_ <= kDepthMax && arrays_ == 0;
    if (is_field) leaves_[key_] = Leaf{type, std::move(text)};
    return true;
  }

  Leaves& leaves_;
  size_t depth_ = 0;
  std::vector<std::string> path_;
  std::string prefix_;
  std::string key_;
  int arrays_ = 0;
  std::string error_;
};

absl::StatusOr<Leaves> Flatten(absl::string_view text) {
  Leaves leaves;
  Flattener flattener(&leaves);
  if (!nlohmann::json::sax_parse(text.begin(), text.end(), &flattener)) {
    return absl::InvalidArgumentError(flattener.error());
  }
  return leaves;
}

// Reads leaves and keeps the first complaint.
class Reader final {
 public:
  explicit Reader(Leaves leaves) : leaves_(std::move(leaves)) {}

  const absl::Status& status() const { return status_; }

  // Nullptr if it is missing or null.
  const Leaf* Find(absl::string_view path) const {
    const auto found = leaves_.find(path);
    return found == leaves_.end() || found->second.type == Leaf::kNull ? nullptr : &found->second;
  }

  std::string String(absl::string_view path) {
    const Leaf* leaf = Find(path);
    if (leaf == nullptr) return "";
    if (leaf->type == Leaf::kString) return leaf->text;
    Complain(path, "is not a string");
    return "";
  }

  std::string RequiredString(absl::string_view path) {
    std::string value = String(path);
    if (value.empty()) Complain(path, "is missing");
    return value;
  }

  int64_t Count(absl::string_view path) {
    const Leaf* leaf = Find(path);
    if (leaf == nullptr) return 0;
    int64_t value = 0;
    if (leaf->type != Leaf::kNumber || !absl::SimpleAtoi(leaf->text, &value)) {
      Complain(path, "is not a whole number");
    }
    return value;
  }

  bool Bool(absl::string_view path) {
    const Leaf* leaf = Find(path);
    if (leaf == nullptr) return false;
    if (leaf->type != Leaf::kBool) Complain(path, "is not true or false");
    return leaf->text == "true";
  }

  int64_t Micros(absl::string_view path) {
    const Leaf* leaf = Find(path);
    // A missing price must not become a free request.
    if (leaf == nullptr || leaf->type != Leaf::kNumber) {
      Complain(path, leaf == nullptr ? "is missing" : "is not a number");
      return 0;
    }
    const absl::StatusOr<int64_t> micros = MicrosFromDollars(leaf->text);
    if (micros.ok()) return *micros;
    Complain(path, micros.status().message());
    return 0;
  }

  absl::Time Time(std::initializer_list<absl::string_view> paths) {
    for (const absl::string_view path : paths) {
      const std::string text = String(path);
      if (text.empty()) continue;
      absl::Time time;
      std::string error;
      if (!absl::ParseTime(absl::RFC3339_full, text, &time, &error) ||
          time == absl::InfiniteFuture() || time == absl::InfinitePast()) {
        Complain(path, "is not a time such as 2026-01-15T10:30:00.000Z");
        return absl::Time();
      }
      return time;
    }
    Complain(*(paths.end() - 1), "is missing");
    return absl::Time();
  }

  void Complain(absl::string_view path, absl::string_view why) {
    if (status_.ok()) status_ = absl::InvalidArgumentError(absl::StrCat(path, ": ", why));
  }

 private:
  const Leaves leaves_;
  absl::Status status_;
};

}  // namespace

absl::StatusOr<v1::Event> ParseRelayBillingLine(absl::string_view line) {
  absl::StatusOr<Leaves> leaves = Flatten(line);
  if (!leaves.ok()) return leaves.status();
  if (const auto data = leaves->find("data");
      data != leaves->end() && data->second.type == Leaf::kString && !leaves->contains("eventId")) {
    // Copied first: the text lives in the leaves that it replaces.
    const std::string inner = data->second.text;
    leaves = Flatten(inner);
    if (!leaves.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("data: ", leaves.status().message()));
    }
  }
  Reader reader(*std::move(leaves));

  v1::Event event;
  v1::UsageEvent& usage = *event.mutable_usage();
  usage.set_event_id(reader.RequiredString("eventId"));
  if (const std::string type = reader.String("eventType");
      !type.empty() && type != "usage.recorded") {
    reader.Complain("eventType", "is not usage.recorded, the only one that is known");
  }
  usage.set_api_key_id(reader.RequiredString("apiKey.id"));
  usage.set_model(reader.String("usage.model"));
  usage.set_input_tokens(reader.Count("usage.inputTokens"));
  usage.set_output_tokens(reader.Count("usage.outputTokens"));
  usage.set_cache_create_tokens(reader.Count("usage.cacheCreateTokens"));
  usage.set_cache_read_tokens(reader.Count("usage.cacheReadTokens"));
  usage.set_ephemeral_5m_tokens(reader.Count("usage.ephemeral5mTokens"));
  usage.set_ephemeral_1h_tokens(reader.Count("usage.ephemeral1hTokens"));
  usage.set_cost_micros(reader.Micros("cost.total"));
  if (const std::string currency = reader.String("cost.currency");
      !currency.empty() && currency != "USD") {
    reader.Complain("cost.currency", "is not USD");
  }
  usage.set_account_id(reader.String("account.id"));
  usage.set_account_type(reader.String("account.type"));
  usage.set_long_context(reader.Bool("context.isLongContext"));
  const absl::Time time = reader.Time({"context.requestTimestamp", "timestamp"});
  if (!reader.status().ok()) return reader.status();

  const int64_t seconds = absl::ToUnixSeconds(time);
  event.mutable_occurred_at()->set_seconds(seconds);
  event.mutable_occurred_at()->set_nanos(
      static_cast<int32_t>(absl::ToInt64Nanoseconds(time - absl::FromUnixSeconds(seconds))));
  return event;
}

}  // namespace holdfast::client
