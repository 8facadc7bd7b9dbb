// A database that answers questions from a script, by the table that a statement is about and what its
// text begins with.

#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "server/mysql/session.h"

namespace holdfast::inspect {

// Answers one statement.
using Script = std::function<absl::StatusOr<std::vector<mysql::ResultRow>>(
    const mysql::Statement& statement, const mysql::Rows& parameters)>;

// Not thread-safe.
class ScriptedDatabase final : public mysql::SessionSource, private mysql::Rented::Home {
 public:
  explicit ScriptedDatabase(Script script) : script_(std::move(script)) {}

  absl::StatusOr<mysql::Rented> Rent(absl::Time deadline) override;
  void Kill(const mysql::Session& /*session*/) override {}

  int rented = 0;
  int condemned = 0;
  bool changed = false;  // Something else than a Query was asked.

 private:
  class Session;
  void TakeBack(std::unique_ptr<mysql::Session> session, bool healthy) override;

  const Script script_;
};

}  // namespace holdfast::inspect
