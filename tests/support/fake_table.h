// A table in memory: typed cells, the limits of its columns, and rows in two versions (committed,
// and as the transaction that holds the row's lock sees it).

#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"

#include "server/mysql/session.h"
#include "tests/support/fake_sql.h"

namespace holdfast::test {

using Cell = std::variant<std::monostate, int64_t, uint64_t, std::string, absl::Time>;
using Record = std::vector<Cell>;
using Key = std::vector<Cell>;

// As a server says it. `number` 0: no error.
struct SqlError {
  unsigned number = 0;
  std::string sql_state;
  std::string message;
};

struct FakeSlot {
  std::optional<Record> committed;
  std::optional<Record> current;  // As the holder of the lock sees it.
  uint64_t locked_by = 0;         // A transaction's number; 0: free.

  const std::optional<Record>& SeenBy(uint64_t transaction) const {
    return transaction != 0 && locked_by == transaction ? current : committed;
  }
};

class FakeTable {
 public:
  explicit FakeTable(SqlTable definition);

  const std::string& name() const { return definition_.name; }
  const SqlColumn& column(size_t index) const { return definition_.columns[index]; }
  SqlColumn& column(size_t index) { return definition_.columns[index]; }
  size_t columns() const { return definition_.columns.size(); }
  size_t Index(absl::string_view column) const;  // Ends the test if there is none.
  const std::vector<size_t>& primary_key() const { return primary_key_; }

  Key KeyOf(const Record& record) const;

  // `value` as column `index` stores it, or what the server says instead. `row` is counted from 1.
  SqlError Store(size_t index, const Cell& value, size_t row, Cell* stored) const;
  // What a row that does not name the column gets.
  SqlError StoreDefault(size_t index, Cell* stored);

  // As the server sends it.
  std::optional<std::string> Print(size_t index, const Cell& cell) const;

  // The value of an expression over `record`; `fresh` is the row that an upsert would have
  // inserted.
  SqlError Evaluate(const SqlExpression& expression, absl::Span<const mysql::Value> marks,
                    const Record* record, const Record* fresh, Cell* value) const;

  // Keys of rows that may have the same values as `record` in unique key `unique`.
  size_t unique_keys() const { return unique_keys_.size(); }
  Key UniqueOf(size_t unique, const Record& record) const;
  const std::set<Key>& Candidates(size_t unique, const Key& values) const;
  void Remember(const Record& record);

  std::map<Key, FakeSlot> slots;

 private:
  SqlTable definition_;
  std::vector<size_t> primary_key_;
  std::vector<std::vector<size_t>> unique_keys_;
  std::vector<std::map<Key, std::set<Key>>> candidates_;  // By unique key. Never shrinks.
  uint64_t last_auto_increment_ = 0;
};

Cell ToCell(const mysql::Value& value);

}  // namespace holdfast::test
