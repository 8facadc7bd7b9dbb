#include "tests/sim/audit.h"

#include <algorithm>
#include <array>
#include <tuple>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "server/event/event_id.h"
#include "server/event/kind.h"
#include "tests/sim/events.h"

namespace holdfast::sim {
namespace {

constexpr size_t kHourChars = 13;  // "2026-01-01 00"

int64_t NumberOf(const std::optional<std::string>& text) {
  int64_t number = 0;
  if (text.has_value() && !absl::SimpleAtoi(*text, &number)) number = INT64_MIN;
  return number;
}

std::string ContentOf(const v1::UsageEvent& usage) {
  return absl::StrJoin(
      std::make_tuple(usage.api_key_id(), usage.account_id(), usage.model(), usage.input_tokens(),
                      usage.output_tokens(), usage.cost_micros(), usage.request_id()),
      "|");
}

std::string KeyOf(const std::string& id) { return std::string(event::EventKey(id).view()); }

}  // namespace

void Audit::Run() {
  missing_.assign(pods_.size(), 0);
  adjusted_.assign(pods_.size(), 0);
  Collect();
  ReadQuarantine();
  for (const mysql::ResultRow& row : database_.Read(
           "usage_records", {"event_id", "api_key_id", "account_id", "model", "input_tokens",
                             "output_tokens", "cost_micros", "request_id"})) {
    std::vector<std::string> values;
    for (size_t i = 1; i < row.size(); ++i) values.push_back(*row[i]);
    usage_rows_[*row[0]] = absl::StrJoin(values, "|");
  }
  CheckRows(usage_rows_, usage_, "usage_records");
  std::map<std::string, std::string> messages;
  for (const mysql::ResultRow& row : database_.Read("message", {"ig_message_id", "text"})) {
    messages[*row[0]] = *row[1];
  }
  CheckRows(messages, messages_, "message");
  CheckQuarantine();
  CheckStats();
  CheckHits();
  CheckObserved();
  CheckLanes();
  JudgeDamage();
}

void Audit::Collect() {
  for (size_t pod = 0; pod < pods_.size(); ++pod) {
    for (const auto& gateway : pods_[pod]->gateways()) {
      for (const Gateway::Sent& sent : gateway->history()) {
        report_.events_accepted += sent.accepted;
        for (uint64_t sequence = 1; sequence <= sent.sent; ++sequence) {
          Add(MakeEvent(seed_, sent.number, sequence), pod, sequence <= sent.accepted);
        }
      }
    }
    report_.events_accepted += pods_[pod]->confirmed().size();
    for (uint64_t number = 1; number <= pods_[pod]->written(); ++number) {
      Add(MakeEventWithId(seed_, pods_[pod]->number(), number), pod,
          pods_[pod]->confirmed().contains(number));
    }
  }
}

void Audit::Add(const v1::Event& event, size_t pod, bool must) {
  Sent sent = {event, "", pod, must};
  if (event.has_usage()) {
    sent.content = ContentOf(event.usage());
    usage_[KeyOf(event.usage().event_id())].push_back(std::move(sent));
  } else if (event.has_message()) {
    sent.content = event.message().text();
    messages_[event.message().ig_message_id()].push_back(std::move(sent));
  } else if (event.rate_limit().has_observed()) {
    observed_.push_back(std::move(sent));
  } else {
    const std::string& id = event.rate_limit().event_id();
    hits_[id.empty() ? absl::StrCat("unnamed ", ++unnamed_hits_) : id].push_back(std::move(sent));
  }
}

void Audit::ReadQuarantine() {
  for (const mysql::ResultRow& row : database_.Read("holdfast_quarantine", {"event_protobuf"})) {
    ++report_.quarantined;
    if (!quarantine_.insert(*row[0]).second) {
      ++report_.doubled;
      failure_.Say("an event is in the quarantine twice");
    }
  }
}

void Audit::Miss(const Sent& sent, const std::string& what) {
  ++missing_[sent.pod];
  if (pods_[sent.pod]->damage().has_value()) return;  // Judged later.
  ++report_.lost;
  failure_.Say("lost: ", what, ": ", sent.event.ShortDebugString());
}

void Audit::CheckRows(const std::map<std::string, std::string>& rows,
                      std::map<std::string, std::vector<Sent>>& sent, const char* table) {
  for (const auto& [key, content] : rows) {
    const auto found = sent.find(key);
    const bool known =
        found != sent.end() &&
        std::any_of(found->second.begin(), found->second.end(),
                    [&text = content](const Sent& candidate) { return candidate.content == text; });
    if (known) continue;
    ++report_.phantom;
    failure_.Say("nobody sent what is in ", table, ": ", content);
  }
  for (const auto& [key, candidates] : sent) {
    const auto row = rows.find(key);
    for (const Sent& candidate : candidates) {
      if (candidate.must) CheckSent(candidate, row == rows.end() ? nullptr : &row->second, table);
    }
  }
}

void Audit::CheckSent(const Sent& sent, const std::string* row, const char* table) {
  const bool in_quarantine = quarantine_.contains(sent.event.SerializeAsString());
  const bool in_row = row != nullptr && *row == sent.content;
  if (in_row && in_quarantine) {
    ++report_.doubled;
    failure_.Say("an event is in ", table,
                 " and in the quarantine: ", sent.event.ShortDebugString());
  } else if (!in_row && !in_quarantine) {
    // Messages have no conflicts: the first content stays.
    if (row == nullptr || !sent.event.has_message()) Miss(sent, table);
  }
}

void Audit::CheckQuarantine() {
  for (const std::string& bytes : quarantine_) {
    v1::Event event;
    event.ParseFromString(bytes);
    const std::string content = event.has_usage() ? ContentOf(event.usage()) : "";
    const auto sent = usage_.find(KeyOf(event.usage().event_id()));
    const bool known = sent != usage_.end() && std::any_of(sent->second.begin(), sent->second.end(),
                                                           [&](const Sent& candidate) {
                                                             return candidate.content == content;
                                                           });
    if (!known) {
      ++report_.phantom;
      failure_.Say("nobody sent what is in the quarantine: ", event.ShortDebugString());
    } else if (!IsPoison(event) && !usage_rows_.contains(sent->first)) {
      failure_.Say("a good event is in the quarantine: ", event.ShortDebugString());
    }
  }
}

// What the counters say against what the raw rows say.
void Audit::CheckStats() {
  using Counters = std::array<int64_t, 4>;
  std::map<std::string, Counters> wanted;
  for (const mysql::ResultRow& row :
       database_.Read("usage_records", {"api_key_id", "account_id", "model", "occurred_at",
                                        "input_tokens", "output_tokens", "cost_micros"})) {
    Counters& counters = wanted[absl::StrCat(*row[0], "|", *row[1], "|", *row[2], "|",
                                             row[3]->substr(0, kHourChars))];
    counters[0] += 1;
    for (size_t i = 0; i < 3; ++i) counters[i + 1] += NumberOf(row[i + 4]);
  }
  for (const mysql::ResultRow& row :
       database_.Read("usage_stats", {"api_key_id", "account_id", "model", "stat_hour", "requests",
                                      "input_tokens", "output_tokens", "cost_micros"})) {
    const std::string key =
        absl::StrCat(*row[0], "|", *row[1], "|", *row[2], "|", row[3]->substr(0, kHourChars));
    const Counters& rows = wanted[key];
    for (size_t i = 0; i < 4; ++i) {
      const int64_t counted = NumberOf(row[i + 4]);
      if (counted == rows[i]) continue;
      ++(counted > rows[i] ? report_.doubled : report_.lost);
      failure_.Say("usage_stats of ", key, " counts ", counted, ", the rows say ", rows[i]);
    }
    wanted.erase(key);
  }
  if (!wanted.empty()) {
    ++report_.lost;
    failure_.Say("usage_stats has no row of ", wanted.begin()->first);
  }
}

}  // namespace holdfast::sim
