#include "server/statement/id_batch.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <tuple>

#include "absl/strings/str_cat.h"

#include "server/base/check.h"
#include "server/base/seeded_bug.h"
#include "server/base/status_macros.h"

namespace holdfast::statement {
namespace {

constexpr std::array<size_t, 3> kLadder = {8, 64, 512};

uint64_t BigEndian(const uint8_t* bytes) {
  uint64_t number = 0;
  for (int i = 0; i < 8; ++i) number = number << 8 | bytes[i];
  return number;
}

void StoreBigEndian(uint64_t number, uint8_t* bytes) {
  for (int i = 7; i >= 0; --i, number >>= 8) bytes[i] = static_cast<uint8_t>(number);
}

}  // namespace

IdBatch::LookUpLadder IdBatch::MakeLookUps(absl::string_view table) {
  LookUpLadder ladder;
  for (const size_t ids : kLadder) {
    std::string text = absl::StrCat("SELECT event_id, content_hash, batch_tag FROM ", table,
                                    " WHERE event_id IN (?");
    for (size_t i = 1; i < ids; ++i) text += ",?";
    text += ")";
    ladder.push_back(
        Fixed(table, text, std::vector<mysql::ColumnType>(ids, mysql::ColumnType::kBinary)));
  }
  return ladder;
}

void IdBatch::Add(uint32_t event, const event::Id& id, uint64_t content_hash) {
  entries_.push_back(
      {BigEndian(id.bytes.data()), BigEndian(id.bytes.data() + 8), content_hash, event});
}

void IdBatch::Fold() {
  const auto by_id = [](const Entry& a, const Entry& b) {
    return std::tie(a.high, a.low, a.event) < std::tie(b.high, b.low, b.event);
  };
  // Ids that are ordered by time come sorted from one gateway.
  if (!std::is_sorted(entries_.begin(), entries_.end(), by_id)) {
    std::sort(entries_.begin(), entries_.end(), by_id);
  }
  rows_.reserve(entries_.size());
  row_events_.reserve(entries_.size());
  const Entry* first = nullptr;
  for (const Entry& entry : entries_) {
    if (first != nullptr && first->high == entry.high && first->low == entry.low) {
      followers_.push_back(
          {static_cast<uint32_t>(rows_.size() - 1), entry.event, entry.content_hash});
      continue;
    }
    first = &entry;
    Row row;
    StoreBigEndian(entry.high, row.id.bytes.data());
    StoreBigEndian(entry.low, row.id.bytes.data() + 8);
    row.content_hash = entry.content_hash;
    rows_.push_back(row);
    row_events_.push_back(entry.event);
  }
  for (const Follower& follower : followers_) {
    fates_[follower.event] = follower.content_hash == rows_[follower.row].content_hash
                                 ? Fate::kDuplicate
                                 : Fate::kConflict;
  }
  entries_ = {};
}

absl::Span<const IdBatch::Follower> IdBatch::FollowersOf(size_t row) const {
  const auto by_row = [](const Follower& a, const Follower& b) { return a.row < b.row; };
  const auto [first, last] = std::equal_range(followers_.begin(), followers_.end(),
                                              Follower{static_cast<uint32_t>(row), 0, 0}, by_row);
  return absl::MakeConstSpan(followers_)
      .subspan(static_cast<size_t>(first - followers_.begin()), static_cast<size_t>(last - first));
}

std::vector<size_t> IdBatch::Reject(size_t row) {
  std::vector<size_t> rejected = {EventOfRow(row)};
  for (const Follower& follower : FollowersOf(row)) {
    if (fates_[follower.event] == Fate::kDuplicate) rejected.push_back(follower.event);
  }
  for (const size_t event : rejected) fates_[event] = Fate::kRejected;
  return rejected;
}

std::vector<Call> IdBatch::LookUps(size_t first, size_t count) const {
  std::vector<Call> calls;
  while (count > 0) {
    size_t step = 0;
    while (step + 1 < kLadder.size() && kLadder[step] < count) ++step;
    const size_t asked = std::min(kLadder[step], count);
    Call call;
    call.statement = look_ups_[step];
    call.rows.columns = kLadder[step];
    call.rows.values.reserve(kLadder[step]);
    for (size_t i = 0; i < kLadder[step]; ++i) {
      // What is left of the shape repeats the last id.
      call.rows.values.emplace_back(rows_[first + std::min(i, asked - 1)].id.view());
    }
    calls.push_back(std::move(call));
    first += asked;
    count -= asked;
  }
  return calls;
}

absl::Status IdBatch::Learn(const mysql::ResultRow& answer) {
  HOLDFAST_ASSIGN_OR_RETURN(const std::string id, ReadText(answer, 0));
  HOLDFAST_ASSIGN_OR_RETURN(const uint64_t content_hash, ReadUnsigned(answer, 1));
  HOLDFAST_ASSIGN_OR_RETURN(const uint64_t tag, ReadUnsigned(answer, 2));
  const auto row = std::lower_bound(
      rows_.begin(), rows_.end(), id,
      [](const Row& candidate, const std::string& wanted) { return candidate.id.view() < wanted; });
  if (row == rows_.end() || row->id.view() != id) {
    return absl::InternalError("the database answered with an id that was not asked for");
  }
  const auto index = static_cast<size_t>(row - rows_.begin());
  if (tag == tag_ || HOLDFAST_SEEDED_BUG(kDedupeOnlyWithinABatch)) return absl::OkStatus();
  const auto compare = [content_hash = content_hash](uint64_t own_hash) {
    return own_hash == content_hash ? Fate::kDuplicate : Fate::kConflict;
  };
  fates_[row_events_[index]] = compare(row->content_hash);
  for (const Follower& follower : FollowersOf(index)) {
    fates_[follower.event] = compare(follower.content_hash);
  }
  return absl::OkStatus();
}

}  // namespace holdfast::statement
