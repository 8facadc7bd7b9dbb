#include "server/mysql/kill_list.h"

namespace holdfast::mysql {

void KillList::Add(const ServerFacts& facts, absl::Time now) {
  for (const Entry& entry : entries_) {
    if (entry.facts.connection_id == facts.connection_id && entry.facts.IsSameServer(facts)) return;
  }
  if (entries_.size() == kEntriesMax) entries_.pop_front();
  entries_.push_back({facts, now});
}

std::vector<uint64_t> KillList::TakeFor(const ServerFacts& facts, absl::Time now) {
  std::vector<uint64_t> ids;
  std::deque<Entry> rest;
  for (Entry& entry : entries_) {
    if (now - entry.added_at >= keep_) continue;
    if (entry.facts.IsSameServer(facts)) {
      // A server that came back within the second gives the same ids again.
      if (entry.facts.connection_id == facts.connection_id) continue;
      ids.push_back(entry.facts.connection_id);
    } else {
      rest.push_back(std::move(entry));
    }
  }
  entries_ = std::move(rest);
  return ids;
}

}  // namespace holdfast::mysql
