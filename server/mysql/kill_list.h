// Connections that were lost in the middle of a transaction, and which the server may not have
// noticed: until it does, their transactions hold locks.

#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "absl/time/time.h"

#include "server/mysql/session_check.h"

namespace holdfast::mysql {

// Not thread-safe.
class KillList final {
 public:
  static constexpr size_t kEntriesMax = 64;

  // After `keep` an entry is dropped: the server's wait_timeout has ended the connection by then.
  explicit KillList(absl::Duration keep) : keep_(keep) {}

  // Remembers the connection of `facts`, once. The oldest entry makes room.
  void Add(const ServerFacts& facts, absl::Time now);

  // Takes out the ids that can be killed on the server of `facts`, by its connection: not its own.
  std::vector<uint64_t> TakeFor(const ServerFacts& facts, absl::Time now);

  bool empty() const { return entries_.empty(); }

 private:
  struct Entry {
    ServerFacts facts;
    absl::Time added_at;
  };

  const absl::Duration keep_;
  std::deque<Entry> entries_;
};

}  // namespace holdfast::mysql
