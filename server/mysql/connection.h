// A session on a real server.

#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

#include "server/base/clock.h"
#include "server/metrics/metrics.h"
#include "server/mysql/errors.h"
#include "server/mysql/pool.h"
#include "server/mysql/prepared.h"
#include "server/mysql/session.h"
#include "server/mysql/session_check.h"

struct st_mysql;

namespace holdfast::mysql {

// Not thread-safe. Each call ends within query_timeout and a little, even if the server sends a
// byte at a time: a call that takes longer fails as a lost link. Every error carries a
// DatabaseError.
class Connection final : public Session {
 public:
  // Connects, sets the session up and reads back that it is so. `options`, `clock` and `metrics`
  // must outlive the connection. With `options.database` empty no database is chosen. Ends within
  // connect_timeout and, for each of the few statements that follow, query_timeout.
  static absl::StatusOr<std::unique_ptr<Connection>> Open(const DatabaseOptions& options,
                                                          const Endpoint& endpoint,
                                                          absl::Duration connect_timeout,
                                                          base::Clock& clock,
                                                          metrics::Metrics& metrics);
  // Connects, and no more: what a diagnosis begins with. Nothing is set up or known yet.
  static absl::StatusOr<std::unique_ptr<Connection>> Login(const DatabaseOptions& options,
                                                           const Endpoint& endpoint,
                                                           absl::Duration connect_timeout,
                                                           base::Clock& clock,
                                                           metrics::Metrics& metrics);
  ~Connection() override;

  // What Open does after Login: sets the session up and reads back that it is so.
  absl::Status SetUp();

  absl::Status Begin() override;
  void SetComment(absl::string_view comment) override {
    comment_.assign(comment.data(), comment.size());
  }
  absl::Status Commit() override;
  absl::Status Rollback() override;
  absl::StatusOr<uint64_t> Execute(const Statement& statement, const Rows& rows, size_t first,
                                   size_t count) override;
  absl::StatusOr<std::vector<ResultRow>> Query(const Statement& statement,
                                               const Rows& parameters) override;
  size_t statement_bytes_max() const override { return facts_.statement_bytes_max; }
  // Carried on by the steady clock from when it was asked, so that jumps of ours do not matter.
  std::optional<absl::Time> ServerTime() const override {
    return facts_.asked_at + (clock_.Steady() - set_up_at_);
  }
  bool has_bulk() const override { return has_bulk_; }

  // Runs a statement without values or answer, as migrations have them.
  absl::Status Run(absl::string_view sql);

  // Whether the server answers.
  absl::Status Ping();

  // Ends another connection of the same server. OK if there is none of that id any more.
  absl::Status KillConnection(uint64_t connection_id);

  const ServerFacts& facts() const { return facts_; }
  Dialect dialect() const { return dialect_; }

  // Between Begin and the Commit or Rollback that succeeded.
  bool in_transaction() const { return in_transaction_; }
  // The link is gone, or cannot be trusted: good for nothing but closing.
  bool is_lost() const { return is_lost_; }
  // The server refused to write.
  bool is_read_only() const { return is_read_only_; }
  // A statement was larger than the server takes. What it takes is asked only when a connection is
  // opened, so one that is opened after this may know better.
  bool met_its_limit() const { return met_its_limit_; }

 private:
  struct Call;

  Connection(const DatabaseOptions& options, base::Clock& clock, metrics::Metrics& metrics);

  absl::Status Connect(const Endpoint& endpoint, absl::Duration timeout);
  absl::StatusOr<uint64_t> ExecuteText(const Statement& statement, const Rows& rows, size_t first,
                                       size_t count);
  // Sends `sql_`, or `sql`. The calls' ends: `Finish` counts, logs what was slow, and makes the
  // status.
  absl::Status Send(Call& call, absl::string_view sql);
  absl::Status SendCommented(Call& call, absl::string_view verb);
  absl::StatusOr<std::vector<ResultRow>> Read(Call& call);
  absl::Status Finish(const Call& call, const DatabaseError* error);
  absl::Status FinishWithLastError(const Call& call);
  bool LostItsTransaction(const Call& call);

  const DatabaseOptions& options_;
  base::Clock& clock_;
  metrics::Metrics& metrics_;
  st_mysql* const link_;

  std::unique_ptr<PreparedStatements> prepared_;  // After the link is up; gone before it.
  ServerFacts facts_;
  absl::Time set_up_at_;  // Steady.
  Dialect dialect_ = Dialect::kMysql;
  bool has_bulk_ = false;
  bool in_transaction_ = false;
  bool is_lost_ = false;
  bool is_read_only_ = false;
  bool met_its_limit_ = false;
  std::string comment_;
  std::string sql_;  // Reused from call to call.
};

}  // namespace holdfast::mysql
