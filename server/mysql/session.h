// The seam to the database: one session, as the writer sees it. The real one is Connection; tests
// use a fake that runs the same statements on tables in memory, held to the same conformance suite.

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace holdfast::mysql {

// A value for a column. Text is bytes (utf8mb4, or binary); a time is UTC with microseconds.
// std::monostate is NULL.
using Value = std::variant<std::monostate, int64_t, uint64_t, absl::string_view, absl::Time>;

enum class ColumnType : uint8_t { kInt64, kUint64, kText, kBinary, kTime };

// A statement's fixed text. Built once; statements with the same text share what the server
// prepared. Every text comes from the room `statement`; no value is ever part of it.
struct Statement {
  // For metrics and slow-statement logs: the table it works on.
  std::string table;

  // A multi-row INSERT is head + row, row, ... + tail, where a row is "(?,?,...)" with one mark for
  // each of `columns`. Any other statement is `head` alone, with one mark for each column.
  std::string head;
  std::string tail;
  bool multi_row = false;
  std::vector<ColumnType> columns;
};

// Rows of values, row by row. Text is not owned: it must live until the call returns.
struct Rows {
  size_t columns = 0;
  std::vector<Value> values;

  size_t size() const { return columns == 0 ? 0 : values.size() / columns; }
};

// A column of an answer; nullopt is NULL. Integers come as decimal text.
using ResultRow = std::vector<std::optional<std::string>>;

// One session with READ COMMITTED, strict mode, utf8mb4 and UTC. Not thread-safe. Any failure of a
// call between Begin and Commit leaves the transaction open unless the link is gone: roll back.
class Session {
 public:
  virtual ~Session() = default;

  virtual absl::Status Begin() = 0;

  // What stands behind the texts of BEGIN and COMMIT from here on: an SQL comment from the room
  // `statement`, or nothing. Prepared statements never carry it: one that differs from batch to
  // batch would be another statement each time.
  virtual void SetComment(absl::string_view /*comment*/) {}

  // On failure the outcome is unknown if the error's verdict is kUnknown; otherwise nothing was
  // committed.
  virtual absl::Status Commit() = 0;

  virtual absl::Status Rollback() = 0;

  // Runs `statement` with rows [first, first + count) as one statement: all of them take effect or
  // none. Returns the affected rows: for the no-op upsert those really inserted; for an UPDATE
  // those changed. REQUIRES: a statement that is not multi_row is given exactly one row (which may
  // be empty).
  virtual absl::StatusOr<uint64_t> Execute(const Statement& statement, const Rows& rows,
                                           size_t first, size_t count) = 0;

  // Runs a SELECT with one row of values.
  virtual absl::StatusOr<std::vector<ResultRow>> Query(const Statement& statement,
                                                       const Rows& parameters) = 0;

  // A statement with its values must stay below this (max_allowed_packet, with a margin).
  virtual size_t statement_bytes_max() const = 0;

  // The time by the server's clock, to a second: the one that all who write there share. Nullopt if
  // it was not asked.
  virtual std::optional<absl::Time> ServerTime() const { return std::nullopt; }

  // Whether Execute sends any number of rows as one prepared statement (COM_STMT_BULK_EXECUTE).
  virtual bool has_bulk() const = 0;
};

// A rented session: comes from a pool and goes home by itself. Move-only.
class Rented {
 public:
  // What gives sessions out. A session that is not `healthy` is closed instead of kept.
  class Home {
   public:
    virtual ~Home() = default;
    virtual void TakeBack(std::unique_ptr<Session> session, bool healthy) = 0;
  };

  Rented(Home* home, std::unique_ptr<Session> session)
      : home_(home), session_(std::move(session)) {}
  Rented(Rented&& other) noexcept = default;
  Rented& operator=(Rented&& other) = delete;
  ~Rented() {
    if (session_ != nullptr) home_->TakeBack(std::move(session_), healthy_);
  }

  Session* operator->() const { return session_.get(); }
  Session& operator*() const { return *session_; }

  // A fault was seen on it: close it instead of lending it again.
  void Condemn() { healthy_ = false; }

 private:
  Home* home_;  // Not owned; outlives this.
  std::unique_ptr<Session> session_;
  bool healthy_ = true;
};

// Where the writer gets its sessions. Thread-safe.
class SessionSource {
 public:
  virtual ~SessionSource() = default;

  // Waits for a session until `deadline` (steady clock). DEADLINE_EXCEEDED if none became free;
  // otherwise the error of connecting, with its verdict.
  virtual absl::StatusOr<Rented> Rent(absl::Time deadline) = 0;

  // Ends what the given session may still be doing on the server, from another connection, so that
  // a lost transaction gives up its locks. Best effort; only if it is certainly the same server.
  // REQUIRES: called with a session that came from Rent, before it goes home.
  virtual void Kill(const Session& session) = 0;
};

}  // namespace holdfast::mysql
