#include "tests/unit/inspect/scripted_session.h"

#include <utility>

namespace holdfast::inspect {

class ScriptedDatabase::Session final : public mysql::Session {
 public:
  explicit Session(ScriptedDatabase& database) : database_(database) {}

  absl::Status Begin() override { return Changed(); }
  absl::Status Commit() override { return Changed(); }
  absl::Status Rollback() override { return Changed(); }
  absl::StatusOr<uint64_t> Execute(const mysql::Statement& /*statement*/,
                                   const mysql::Rows& /*rows*/, size_t /*first*/,
                                   size_t /*count*/) override {
    return Changed();
  }
  absl::StatusOr<std::vector<mysql::ResultRow>> Query(const mysql::Statement& statement,
                                                      const mysql::Rows& parameters) override {
    return database_.script_(statement, parameters);
  }
  size_t statement_bytes_max() const override { return size_t{1} << 20; }
  bool has_bulk() const override { return false; }

 private:
  absl::Status Changed() {
    database_.changed = true;
    return absl::InternalError("only questions are answered");
  }

  ScriptedDatabase& database_;
};

absl::StatusOr<mysql::Rented> ScriptedDatabase::Rent(absl::Time /*deadline*/) {
  ++rented;
  return mysql::Rented(this, std::make_unique<Session>(*this));
}

void ScriptedDatabase::TakeBack(std::unique_ptr<mysql::Session> /*session*/, bool healthy) {
  if (!healthy) ++condemned;
}

}  // namespace holdfast::inspect
