#include "tests/support/fake_engine.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

#include "sql/migrations.h"

namespace holdfast::test {
namespace {

constexpr absl::string_view kSchemaTable =
    "CREATE TABLE IF NOT EXISTS holdfast_schema (version INT UNSIGNED NOT NULL, "
    "stats_utc_offset VARBINARY(6) NOT NULL, PRIMARY KEY (version));";

bool Compare(const Cell& left, absl::string_view comparison, const Cell& right) {
  if (left.index() != right.index()) FakeSqlFailure("compares values of two types by", comparison);
  if (comparison == "=" || comparison == "IN") return left == right;
  if (comparison == "<>") return left != right;
  if (comparison == "<") return left < right;
  if (comparison == "<=") return left <= right;
  if (comparison == ">") return left > right;
  if (comparison == ">=") return left >= right;
  FakeSqlFailure("compares by", comparison);
}

}  // namespace

FakeEngine::FakeEngine() {
  std::vector<SqlTable> tables;
  for (const sql::Migration& migration : sql::Migrations()) {
    ApplyMigration(migration.text, &tables);
  }
  ApplyMigration(kSchemaTable, &tables);
  for (SqlTable& table : tables) {
    const std::string name = table.name;
    tables_.emplace(name, FakeTable(std::move(table)));
  }
  FakeTable& schema = table("holdfast_schema");
  const Record row = {static_cast<uint64_t>(sql::Migrations().size()), std::string("+00:00")};
  schema.slots[schema.KeyOf(row)].committed = row;
}

FakeTable& FakeEngine::table(absl::string_view name) {
  const auto found = tables_.find(std::string(name));
  if (found == tables_.end()) FakeSqlFailure("names a table that is not there", name);
  return found->second;
}

std::vector<mysql::ResultRow> FakeEngine::ReadCommitted(
    absl::string_view table, const std::vector<std::string>& columns) const {
  const auto found = tables_.find(std::string(table));
  if (found == tables_.end()) FakeSqlFailure("names a table that is not there", table);
  std::vector<mysql::ResultRow> rows;
  for (const auto& [key, slot] : found->second.slots) {
    if (!slot.committed.has_value()) continue;
    mysql::ResultRow& row = rows.emplace_back();
    for (const std::string& name : columns) {
      const size_t column = found->second.Index(name);
      row.push_back(found->second.Print(column, (*slot.committed)[column]));
    }
  }
  return rows;
}

bool FakeEngine::HasCommitted(absl::string_view table, const Key& key) const {
  const auto found = tables_.find(table);
  if (found == tables_.end()) FakeSqlFailure("names a table that is not there", table);
  const auto slot = found->second.slots.find(key);
  return slot != found->second.slots.end() && slot->second.committed.has_value();
}

uint64_t FakeEngine::Begin() {
  transactions_[++last_transaction_];
  return last_transaction_;
}

void FakeEngine::Commit(uint64_t transaction) { Release(transaction, true); }
void FakeEngine::Rollback(uint64_t transaction) { Release(transaction, false); }

void FakeEngine::RollbackAll() {
  while (!transactions_.empty()) Rollback(transactions_.begin()->first);
}

void FakeEngine::Release(uint64_t transaction, bool commit) {
  const auto found = transactions_.find(transaction);
  if (found == transactions_.end()) return;
  std::vector<Change> changes;
  for (Place& place : found->second) {
    const auto slot = place.table->slots.find(place.key);
    if (commit && slot->second.current != slot->second.committed) {
      changes.push_back({place, slot->second.committed});
      slot->second.committed = slot->second.current;
    }
    slot->second.current.reset();
    slot->second.locked_by = 0;
    if (!slot->second.committed.has_value()) place.table->slots.erase(slot);
  }
  transactions_.erase(found);
  if (!commit || changes.empty()) return;
  ++commits_;
  history_.push_back(std::move(changes));
  if (history_.size() > kHistory) history_.pop_front();
}

void FakeEngine::UndoCommits(size_t count) {
  for (; count > 0 && !history_.empty(); --count) {
    for (const Change& change : history_.back()) {
      if (change.before.has_value()) {
        change.place.table->slots[change.place.key].committed = change.before;
      } else {
        change.place.table->slots.erase(change.place.key);
      }
    }
    history_.pop_back();
  }
}

const SqlStatement& FakeEngine::Parsed(const mysql::Statement& statement) {
  std::unique_ptr<SqlStatement>& parsed =
      parsed_[absl::StrCat(statement.head, "\n", statement.tail)];
  if (parsed == nullptr) parsed = std::make_unique<SqlStatement>(ParseStatement(statement));
  return *parsed;
}

FakeEngine::Answer FakeEngine::Run(uint64_t transaction, const mysql::Statement& statement,
                                   const mysql::Rows& rows, size_t first, size_t count) {
  Answer answer;
  const SqlStatement& parsed = Parsed(statement);
  FakeTable& on = table(parsed.table);
  if (dropped_.contains(parsed.table)) {
    answer.error = {1146, "42S02", absl::StrCat("Table '", parsed.table, "' doesn't exist")};
    return answer;
  }
  running_ = transaction;
  undo_.clear();
  for (size_t row = first; row < first + count && answer.error.number == 0; ++row) {
    const Marks values = Marks(rows.values).subspan(row * rows.columns, rows.columns);
    switch (parsed.kind) {
      case SqlStatement::Kind::kInsert:
        answer.error = Insert(parsed, on, values, row - first + 1, &answer.affected);
        break;
      case SqlStatement::Kind::kUpdate:
      case SqlStatement::Kind::kDelete:
        answer.error = Modify(parsed, on, values, &answer.affected);
        break;
      case SqlStatement::Kind::kSelect:
        answer.error = Select(parsed, on, values, &answer.rows);
        break;
    }
  }
  if (answer.error.number == 0) return answer;
  for (auto undo = undo_.rbegin(); undo != undo_.rend(); ++undo) {
    undo->place.table->slots[undo->place.key].current = undo->before;
  }
  answer.affected = 0;
  if (answer.error.number == 1213) Rollback(transaction);
  return answer;
}

SqlError FakeEngine::Conflict() const {
  if (conflict_is_deadlock_) {
    return {1213, "40001", "Deadlock found when trying to get lock; try restarting transaction"};
  }
  return {1205, "HY000", "Lock wait timeout exceeded; try restarting transaction"};
}

SqlError FakeEngine::Lock(FakeTable& table, const Key& key) {
  FakeSlot& slot = table.slots[key];
  if (slot.locked_by == running_) return {};
  if (slot.locked_by != 0) return Conflict();
  slot.locked_by = running_;
  slot.current = slot.committed;
  transactions_.at(running_).push_back({&table, key});
  return {};
}

void FakeEngine::Put(FakeTable& table, const Key& key, std::optional<Record> record) {
  FakeSlot& slot = table.slots[key];
  undo_.push_back({{&table, key}, slot.current});
  slot.current = std::move(record);
}

SqlError FakeEngine::Insert(const SqlStatement& parsed, FakeTable& table, Marks values, size_t row,
                            uint64_t* affected) {
  Record fresh(table.columns());
  std::vector<bool> is_named(table.columns());
  for (size_t i = 0; i < parsed.columns.size(); ++i) {
    const size_t column = table.Index(parsed.columns[i]);
    is_named[column] = true;
    SqlError error = table.Store(column, ToCell(values.at(i)), row, &fresh[column]);
    if (error.number != 0) return error;
  }
  for (size_t column = 0; column < fresh.size(); ++column) {
    if (is_named[column]) continue;
    SqlError error = table.StoreDefault(column, &fresh[column]);
    if (error.number != 0) return error;
  }
  std::optional<Key> duplicate;
  SqlError error = FindDuplicate(table, fresh, &duplicate);
  if (error.number != 0) return error;
  if (duplicate.has_value()) return Upsert(parsed, table, *duplicate, fresh, row, affected);
  const Key key = table.KeyOf(fresh);
  error = Lock(table, key);
  if (error.number != 0) return error;
  table.Remember(fresh);
  Put(table, key, std::move(fresh));
  ++*affected;
  return {};
}

SqlError FakeEngine::FindDuplicate(FakeTable& table, const Record& fresh,
                                   std::optional<Key>* duplicate) {
  const auto look_at = [&](const Key& key, auto is_same) -> SqlError {
    const auto slot = table.slots.find(key);
    if (slot == table.slots.end()) return {};
    if (slot->second.locked_by != 0 && slot->second.locked_by != running_) return Conflict();
    const std::optional<Record>& seen = slot->second.SeenBy(running_);
    if (seen.has_value() && is_same(*seen)) *duplicate = key;
    return {};
  };
  SqlError error = look_at(table.KeyOf(fresh), [](const Record&) { return true; });
  for (size_t unique = 0; unique < table.unique_keys(); ++unique) {
    if (error.number != 0 || duplicate->has_value()) break;
    const Key values = table.UniqueOf(unique, fresh);
    for (const Key& key : table.Candidates(unique, values)) {
      error =
          look_at(key, [&](const Record& seen) { return table.UniqueOf(unique, seen) == values; });
      if (error.number != 0) break;
    }
  }
  return error;
}

SqlError FakeEngine::Upsert(const SqlStatement& parsed, FakeTable& table, const Key& key,
                            const Record& fresh, size_t row, uint64_t* affected) {
  if (parsed.assignments.empty()) return {1062, "23000", "Duplicate entry for key 'PRIMARY'"};
  SqlError error = Lock(table, key);
  if (error.number != 0) return error;
  Record record = *table.slots[key].current;
  const Record before = record;
  for (const SqlAssignment& assignment : parsed.assignments) {
    const size_t column = table.Index(assignment.column);
    Cell value;
    error = table.Evaluate(assignment.value, {}, &record, &fresh, &value);
    if (error.number == 0) error = table.Store(column, value, row, &record[column]);
    if (error.number != 0) return error;
  }
  if (record == before) return {};
  if (table.KeyOf(record) != key) FakeSqlFailure("changes a primary key", table.name());
  table.Remember(record);
  Put(table, key, std::move(record));
  *affected += 2;
  return {};
}

SqlError FakeEngine::Modify(const SqlStatement& parsed, FakeTable& table, Marks marks,
                            uint64_t* affected) {
  std::vector<Key> keys;
  SqlError error = Find(parsed, table, marks, /*lock=*/true, &keys);
  if (error.number != 0) return error;
  for (const Key& key : keys) {
    if (parsed.kind == SqlStatement::Kind::kDelete) {
      Put(table, key, std::nullopt);
      ++*affected;
      continue;
    }
    Record record = *table.slots[key].current;
    const Record before = record;
    for (const SqlAssignment& assignment : parsed.assignments) {
      const size_t column = table.Index(assignment.column);
      Cell value;
      error = table.Evaluate(assignment.value, marks, &record, nullptr, &value);
      if (error.number == 0) error = table.Store(column, value, 1, &record[column]);
      if (error.number != 0) return error;
    }
    if (record == before) continue;
    if (table.KeyOf(record) != key) FakeSqlFailure("changes a primary key", table.name());
    Put(table, key, std::move(record));
    ++*affected;
  }
  return {};
}

SqlError FakeEngine::Select(const SqlStatement& parsed, FakeTable& table, Marks marks,
                            std::vector<mysql::ResultRow>* rows) {
  std::vector<Key> keys;
  SqlError error = Find(parsed, table, marks, parsed.for_update, &keys);
  if (error.number != 0) return error;
  for (const Key& key : keys) {
    const Record& record = *table.slots.at(key).SeenBy(running_);
    mysql::ResultRow& row = rows->emplace_back();
    for (const std::string& name : parsed.columns) {
      const size_t column = table.Index(name);
      row.push_back(table.Print(column, record[column]));
    }
  }
  return {};
}

std::optional<std::vector<Key>> FakeEngine::KeysNamed(const SqlStatement& parsed,
                                                      const FakeTable& table, Marks marks) const {
  Key key;
  for (const size_t column : table.primary_key()) {
    const auto condition = std::find_if(
        parsed.conditions.begin(), parsed.conditions.end(), [&](const SqlCondition& candidate) {
          return candidate.column == table.column(column).name &&
                 (candidate.comparison == "=" ||
                  (candidate.comparison == "IN" && table.primary_key().size() == 1));
        });
    if (condition == parsed.conditions.end()) return std::nullopt;
    std::set<Key> keys;
    for (const SqlExpression& operand : condition->operands) {
      Cell value;
      table.Evaluate(operand, marks, nullptr, nullptr, &value);
      if (condition->comparison == "IN") {
        keys.insert({value});
      } else {
        key.push_back(value);
      }
    }
    if (condition->comparison == "IN") return std::vector<Key>(keys.begin(), keys.end());
  }
  return std::vector<Key>{key};
}

bool FakeEngine::Meets(const SqlStatement& parsed, const FakeTable& table, Marks marks,
                       const Record& record) const {
  for (const SqlCondition& condition : parsed.conditions) {
    const Cell& left = record[table.Index(condition.column)];
    const bool any = std::any_of(condition.operands.begin(), condition.operands.end(),
                                 [&](const SqlExpression& operand) {
                                   Cell right;
                                   table.Evaluate(operand, marks, nullptr, nullptr, &right);
                                   return Compare(left, condition.comparison, right);
                                 });
    if (!any) return false;
  }
  return true;
}

SqlError FakeEngine::Find(const SqlStatement& parsed, FakeTable& table, Marks marks, bool lock,
                          std::vector<Key>* keys) {
  std::optional<std::vector<Key>> named = KeysNamed(parsed, table, marks);
  const bool by_key = named.has_value();
  if (!by_key) {
    named.emplace();
    for (const auto& [key, slot] : table.slots) named->push_back(key);
  }
  for (const Key& key : *named) {
    const auto slot = table.slots.find(key);
    if (slot == table.slots.end()) continue;
    const bool is_locked = slot->second.locked_by != 0 && slot->second.locked_by != running_;
    const auto meets = [&](const std::optional<Record>& record) {
      return record.has_value() && Meets(parsed, table, marks, *record);
    };
    if (lock && is_locked &&
        (by_key || meets(slot->second.committed) || meets(slot->second.current))) {
      return Conflict();
    }
    if (meets(slot->second.SeenBy(running_))) keys->push_back(key);
  }
  if (!parsed.order_by.empty()) {
    const size_t column = table.Index(parsed.order_by);
    std::stable_sort(keys->begin(), keys->end(), [&](const Key& a, const Key& b) {
      const Cell& left = (*table.slots.at(a).SeenBy(running_))[column];
      const Cell& right = (*table.slots.at(b).SeenBy(running_))[column];
      return parsed.descending ? right < left : left < right;
    });
  }
  if (parsed.limit.has_value()) {
    Cell limit;
    table.Evaluate(*parsed.limit, marks, nullptr, nullptr, &limit);
    const size_t rows = std::holds_alternative<uint64_t>(limit)
                            ? std::get<uint64_t>(limit)
                            : static_cast<size_t>(std::get<int64_t>(limit));
    if (keys->size() > rows) keys->resize(rows);
  }
  for (const Key& key : *keys) {
    if (!lock) break;
    SqlError error = Lock(table, key);
    if (error.number != 0) return error;
  }
  return {};
}

}  // namespace holdfast::test
