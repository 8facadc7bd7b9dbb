// The counters and the lanes' books.

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

#include "server/event/kind.h"
#include "tests/sim/audit.h"

namespace holdfast::sim {
namespace {

int64_t NumberOf(const std::optional<std::string>& text) {
  int64_t number = 0;
  if (text.has_value() && !absl::SimpleAtoi(*text, &number)) number = INT64_MIN;
  return number;
}

}  // namespace

void Audit::CheckHits() {
  struct Range {
    int64_t least = 0;
    int64_t most = 0;
  };
  std::map<std::string, Range> wanted;
  for (const auto& [id, copies] : hits_) {
    const v1::RateLimitEvent& rate = copies.front().event.rate_limit();
    // Whatever a damaged journal lost is judged by the lanes' books.
    const bool must = std::any_of(copies.begin(), copies.end(), [this](const Sent& copy) {
      return copy.must && !pods_[copy.pod]->damage().has_value();
    });
    Range& range = wanted[rate.identifier()];
    range.most += rate.hits();
    if (must) range.least += rate.hits();
  }
  for (const mysql::ResultRow& row :
       database_.Read("rate_limit_records", {"identifier", "request_count"})) {
    if (!absl::StartsWith(*row[0], "hits-")) continue;
    const Range range = wanted[*row[0]];
    const int64_t counted = NumberOf(row[1]);
    if (counted < range.least) ++report_.lost;
    if (counted > range.most) ++report_.doubled;
    if (counted < range.least || counted > range.most) {
      failure_.Say("rate_limit_records of ", *row[0], " counts ", counted, ", sent were ",
                   range.least, " to ", range.most);
    }
    wanted.erase(*row[0]);
  }
  for (const auto& [identifier, range] : wanted) {
    if (range.least == 0) continue;
    ++report_.lost;
    failure_.Say("rate_limit_records has no row of ", identifier);
  }
}

void Audit::CheckObserved() {
  std::map<std::string, int64_t> least;
  std::map<std::string, int64_t> most;
  for (const Sent& sent : observed_) {
    const v1::RateLimitEvent& rate = sent.event.rate_limit();
    int64_t& top = most[rate.identifier()];
    top = std::max(top, rate.observed());
    if (!sent.must || pods_[sent.pod]->damage().has_value()) continue;
    int64_t& bottom = least[rate.identifier()];
    bottom = std::max(bottom, rate.observed());
  }
  for (const mysql::ResultRow& row :
       database_.Read("rate_limit_records", {"identifier", "request_count"})) {
    if (!absl::StartsWith(*row[0], "observed-")) continue;
    const int64_t seen = NumberOf(row[1]);
    if (seen < least[*row[0]]) ++report_.lost;
    if (seen > most[*row[0]]) ++report_.phantom;
    if (seen < least[*row[0]] || seen > most[*row[0]]) {
      failure_.Say("rate_limit_records of ", *row[0], " shows ", seen, ", observed was ",
                   least[*row[0]]);
    }
    least.erase(*row[0]);
  }
  for (const auto& [identifier, bottom] : least) {
    ++report_.lost;
    failure_.Say("rate_limit_records has no row of ", identifier, ", observed was ", bottom);
  }
}

void Audit::CheckLanes() {
  std::map<std::string, int64_t> committed;  // By kind.
  for (const mysql::ResultRow& row :
       database_.Read("holdfast_lanes", {"writer_id", "lane", "position", "committed", "duplicate",
                                         "quarantined", "adjusted"})) {
    const std::string name = absl::StrCat(*row[0], "/", *row[1]);
    const int64_t position = NumberOf(row[2]);
    const int64_t adjusted = NumberOf(row[6]);
    report_.duplicates_suppressed += static_cast<uint64_t>(NumberOf(row[4]));
    committed[row[1]->substr(0, row[1]->rfind('-'))] += NumberOf(row[3]);
    if (position != NumberOf(row[3]) + NumberOf(row[4]) + NumberOf(row[5]) + adjusted) {
      failure_.Say("the books of lane ", name, " do not balance");
    }
    for (size_t pod = 0; pod < pods_.size(); ++pod) {
      if (absl::StrCat("writer-", pods_[pod]->number()) != *row[0]) continue;
      adjusted_[pod] += adjusted;
      if (adjusted != 0 && !pods_[pod]->damage().has_value()) {
        failure_.Say("lane ", name, " is adjusted by ", adjusted, ", and no journal was damaged");
      }
      const journal::LanePositions heads = pods_[pod]->journal().Status().lane_heads;
      for (event::Lane lane = 0; lane < event::kLaneCount; ++lane) {
        if (event::LaneName(lane) != *row[1]) continue;
        if (heads[lane] == static_cast<uint64_t>(position)) continue;
        ++report_.lost;
        failure_.Say("lane ", name, " is settled through ", position, ", its journal has ",
                     heads[lane]);
      }
    }
  }
  const bool any_damage = std::any_of(pods_.begin(), pods_.end(),
                                      [](const auto& pod) { return pod->damage().has_value(); });
  for (const auto& [kind, table] : {std::pair("usage", "usage_records"), {"message", "message"}}) {
    const auto rows = static_cast<int64_t>(database_.Count(table));
    // A journal that is gone begins its books anew.
    if (committed[kind] == rows || any_damage) continue;
    ++(committed[kind] < rows ? report_.doubled : report_.lost);
    failure_.Say("the lanes of ", kind, " say ", committed[kind], " committed, ", table, " has ",
                 rows);
  }
}

void Audit::JudgeDamage() {
  for (size_t pod = 0; pod < pods_.size(); ++pod) {
    const std::optional<Damage>& damage = pods_[pod]->damage();
    if (!damage.has_value()) continue;
    // An event that one lane counted as adjusted and another brought is not missing.
    const bool harmless = missing_[pod] == 0 && adjusted_[pod] == 0;
    const bool reported = pods_[pod]->reported() || (damage->erased && adjusted_[pod] > 0);
    if (reported) {
      ++report_.media_reported;
    } else if (harmless) {
      ++report_.media_harmless;
    } else if (damage->undecidable) {
      ++report_.media_undecidable;
    } else {
      ++report_.unreported_corruption;
      failure_.Say("damage was not reported: ", damage->file, ", ", damage->what, "; missing ",
                   missing_[pod], ", adjusted ", adjusted_[pod]);
    }
    report_.excused += missing_[pod];
  }
}

}  // namespace holdfast::sim
