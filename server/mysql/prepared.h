// The statements that a connection has prepared, and the binding of values to them.

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "server/mysql/errors.h"
#include "server/mysql/session.h"

struct st_mysql;

namespace holdfast::mysql {

// Belongs to one connection and is closed before it. Not thread-safe.
class PreparedStatements final {
 public:
  // Statements kept, at most; the one not used for the longest time makes room.
  static constexpr size_t kKeptMax = 64;

  // `connection` must outlive this.
  explicit PreparedStatements(st_mysql* connection);
  ~PreparedStatements();
  PreparedStatements(const PreparedStatements&) = delete;
  PreparedStatements& operator=(const PreparedStatements&) = delete;

  // Whether Execute takes more than one row.
  bool has_bulk() const;

  // Runs `statement` with rows [first, first + count), as one statement. Returns what went wrong,
  // with its verdict for a statement that is not COMMIT, or nullopt and the affected rows. Nothing
  // is sent if the values take `bytes_max` or more (1153), or a time fits no DATETIME (1292).
  // REQUIRES: count == 1 unless has_bulk(); each value has its column's type, or is NULL.
  std::optional<DatabaseError> Execute(const Statement& statement, const Rows& rows, size_t first,
                                       size_t count, size_t bytes_max, uint64_t* affected_rows);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace holdfast::mysql
