// What a database server does with statements: transactions, row locks, READ COMMITTED, undoing a
// statement that fails. Nothing waits: where a server would make a session wait for a lock, the
// statement fails at once as if the wait had timed out (or, if so set, as a deadlock).

#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"

#include "server/mysql/session.h"
#include "tests/support/fake_sql.h"
#include "tests/support/fake_table.h"

namespace holdfast::test {

// Not thread-safe.
class FakeEngine {
 public:
  FakeEngine();  // The tables of sql/, empty, and holdfast_schema with its one row.

  // A transaction's number, from 1.
  uint64_t Begin();
  bool IsOpen(uint64_t transaction) const { return transactions_.contains(transaction); }
  void Commit(uint64_t transaction);
  void Rollback(uint64_t transaction);
  void RollbackAll();

  // Runs a statement with rows [first, first + count). After 1213 the transaction is gone.
  struct Answer {
    SqlError error;
    uint64_t affected = 0;
    std::vector<mysql::ResultRow> rows;
  };
  Answer Run(uint64_t transaction, const mysql::Statement& statement, const mysql::Rows& rows,
             size_t first, size_t count);

  // Undoes the last `count` commits, or as many as are remembered (kHistory). REQUIRES: no
  // transaction is open.
  void UndoCommits(size_t count);
  static constexpr size_t kHistory = 4096;
  // Commits so far that changed something.
  uint64_t commits() const { return commits_; }

  std::vector<mysql::ResultRow> ReadCommitted(absl::string_view table,
                                              const std::vector<std::string>& columns) const;

  bool HasCommitted(absl::string_view table, const Key& key) const;

  FakeTable& table(absl::string_view name);
  void Drop(absl::string_view name) { dropped_.insert(std::string(name)); }
  void Undrop(absl::string_view name) { dropped_.erase(std::string(name)); }
  void set_conflict_is_deadlock(bool yes) { conflict_is_deadlock_ = yes; }

 private:
  using Marks = absl::Span<const mysql::Value>;
  struct Place {
    FakeTable* table;
    Key key;
  };
  struct Change {
    Place place;
    std::optional<Record> before;
  };

  const SqlStatement& Parsed(const mysql::Statement& statement);
  SqlError Insert(const SqlStatement& parsed, FakeTable& table, Marks values, size_t row,
                  uint64_t* affected);
  SqlError Upsert(const SqlStatement& parsed, FakeTable& table, const Key& key, const Record& fresh,
                  size_t row, uint64_t* affected);
  SqlError FindDuplicate(FakeTable& table, const Record& fresh, std::optional<Key>* duplicate);
  SqlError Modify(const SqlStatement& parsed, FakeTable& table, Marks marks, uint64_t* affected);
  SqlError Select(const SqlStatement& parsed, FakeTable& table, Marks marks,
                  std::vector<mysql::ResultRow>* rows);
  // The keys of the rows that meet the conditions, in order, locked if `lock`.
  SqlError Find(const SqlStatement& parsed, FakeTable& table, Marks marks, bool lock,
                std::vector<Key>* keys);
  std::optional<std::vector<Key>> KeysNamed(const SqlStatement& parsed, const FakeTable& table,
                                            Marks marks) const;
  bool Meets(const SqlStatement& parsed, const FakeTable& table, Marks marks,
             const Record& record) const;
  SqlError Lock(FakeTable& table, const Key& key);
  SqlError Conflict() const;
  void Put(FakeTable& table, const Key& key, std::optional<Record> record);
  void Release(uint64_t transaction, bool commit);

  std::map<std::string, FakeTable, std::less<>> tables_;
  std::set<std::string> dropped_;
  bool conflict_is_deadlock_ = false;
  absl::flat_hash_map<std::string, std::unique_ptr<SqlStatement>> parsed_;

  std::map<uint64_t, std::vector<Place>> transactions_;  // What they have locked.
  uint64_t last_transaction_ = 0;
  uint64_t running_ = 0;      // The transaction of the statement under way.
  std::vector<Change> undo_;  // Of the statement under way.
  std::deque<std::vector<Change>> history_;
  uint64_t commits_ = 0;
};

}  // namespace holdfast::test
