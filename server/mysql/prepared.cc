#include "server/mysql/prepared.h"

#include <mysql.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/civil_time.h"

#include "server/base/check.h"
#include "server/mysql/value.h"

namespace holdfast::mysql {
namespace {

// Where the library finds the value of one parameter of the row at hand.
struct Cell {
  char indicator = STMT_INDICATOR_NONE;
  my_bool is_null = 0;
  unsigned long length = 0;
  union {
    int64_t integer;
    uint64_t natural;
    MYSQL_TIME time;
  };
};

enum_field_types BindType(ColumnType type) {
  switch (type) {
    case ColumnType::kInt64:
    case ColumnType::kUint64:
      return MYSQL_TYPE_LONGLONG;
    case ColumnType::kText:
      return MYSQL_TYPE_STRING;
    case ColumnType::kBinary:
      return MYSQL_TYPE_BLOB;
    case ColumnType::kTime:
      return MYSQL_TYPE_DATETIME;
  }
  return MYSQL_TYPE_NULL;
}

// Times as the library takes them. Most times of a batch are of one day, which is worked out once.
class TimeConverter final {
 public:
  MYSQL_TIME Convert(absl::Time time) {
    constexpr int64_t kMicrosPerDay = int64_t{86400} * 1000000;
    const int64_t micros = absl::ToUnixMicros(time);
    const int64_t day = micros / kMicrosPerDay - (micros % kMicrosPerDay < 0 ? 1 : 0);
    if (day != day_) {
      const absl::CivilDay civil = absl::CivilDay(1970, 1, 1) + day;
      midnight_.year = static_cast<unsigned>(civil.year());
      midnight_.month = static_cast<unsigned>(civil.month());
      midnight_.day = static_cast<unsigned>(civil.day());
      midnight_.time_type = MYSQL_TIMESTAMP_DATETIME;
      day_ = day;
    }
    const auto of_day = static_cast<uint64_t>(micros - day * kMicrosPerDay);
    const auto seconds = static_cast<unsigned>(of_day / 1000000);
    MYSQL_TIME result = midnight_;
    result.hour = seconds / 3600;
    result.minute = seconds / 60 % 60;
    result.second = seconds % 60;
    result.second_part = static_cast<unsigned long>(of_day % 1000000);
    return result;
  }

 private:
  int64_t day_ = INT64_MIN;  // Since 1970; none yet.
  MYSQL_TIME midnight_ = {};
};

// Looked at before anything is sent: a row that cannot be, in the middle of a bulk, is too late.
std::optional<DatabaseError> Refuse(const Statement& statement, const Rows& rows, size_t first,
                                    size_t count, size_t bytes_max) {
  size_t bytes = statement.head.size() + statement.tail.size();
  for (size_t row = first; row < first + count; ++row) bytes += BoundRowBytes(rows, row);
  if (bytes >= bytes_max) return ValuesTooLarge();
  if (!TimesFit(rows, first, count)) return NotADatetime();
  return std::nullopt;
}

DatabaseError ErrorOfStatement(MYSQL_STMT* handle) {
  const unsigned number = mysql_stmt_errno(handle);
  const char* sql_state = mysql_stmt_sqlstate(handle);
  return {number, sql_state, mysql_stmt_error(handle), Classify(number, sql_state, false)};
}

}  // namespace

struct PreparedStatements::Impl {
  struct Kept {
    MYSQL_STMT* handle;
    uint64_t used_at;
  };

  explicit Impl(st_mysql* to) : connection(to) {}

  std::optional<DatabaseError> Prepare(const Statement& statement, MYSQL_STMT** handle);
  void MakeRoom();
  void Lay(const Statement& statement);
  void Fill(const Rows& rows, size_t row, MYSQL_BIND* to);
  std::optional<DatabaseError> RunOne(MYSQL_STMT* handle, const Rows& rows, size_t row);
  std::optional<DatabaseError> RunBulk(MYSQL_STMT* handle, const Rows& rows, size_t first,
                                       size_t count);
  static my_bool NextRow(void* self, MYSQL_BIND* binds, unsigned row);

  MYSQL* const connection;
  absl::flat_hash_map<std::string, Kept> kept;
  uint64_t uses = 0;

  // Reused from call to call, so that a batch allocates nothing for its values.
  std::string text;
  std::vector<Cell> cells;
  std::vector<MYSQL_BIND> binds;
  TimeConverter times;

  // The bulk at hand.
  const Rows* bulk_rows = nullptr;
  size_t bulk_first = 0;
};

void PreparedStatements::Impl::MakeRoom() {
  if (kept.size() < kKeptMax) return;
  auto oldest = kept.begin();
  for (auto it = kept.begin(); it != kept.end(); ++it) {
    if (it->second.used_at < oldest->second.used_at) oldest = it;
  }
  mysql_stmt_close(oldest->second.handle);
  kept.erase(oldest);
}

std::optional<DatabaseError> PreparedStatements::Impl::Prepare(const Statement& statement,
                                                               MYSQL_STMT** handle) {
  text.clear();
  AppendPrepareText(statement, &text);
  if (const auto found = kept.find(text); found != kept.end()) {
    found->second.used_at = ++uses;
    *handle = found->second.handle;
    return std::nullopt;
  }
  MakeRoom();
  MYSQL_STMT* fresh = mysql_stmt_init(connection);
  HOLDFAST_CHECK(fresh != nullptr);
  if (mysql_stmt_prepare(fresh, text.data(), text.size()) != 0) {
    DatabaseError error = ErrorOfStatement(fresh);
    mysql_stmt_close(fresh);
    return error;
  }
  HOLDFAST_CHECK(mysql_stmt_param_count(fresh) == statement.columns.size());
  kept.emplace(text, Kept{fresh, ++uses});
  *handle = fresh;
  return std::nullopt;
}

// Points a bind at each column's cell.
void PreparedStatements::Impl::Lay(const Statement& statement) {
  const size_t columns = statement.columns.size();
  cells.assign(columns, Cell{});
  binds.assign(columns, MYSQL_BIND{});
  for (size_t column = 0; column < columns; ++column) {
    const ColumnType type = statement.columns[column];
    MYSQL_BIND& bind = binds[column];
    Cell& cell = cells[column];
    bind.buffer_type = BindType(type);
    bind.is_unsigned = type == ColumnType::kUint64;
    bind.u.indicator = &cell.indicator;
    bind.is_null = &cell.is_null;
    bind.length = &cell.length;
    bind.buffer = &cell.integer;
  }
}

// Puts the values of `row` where `to` (as laid above, or the library's copy of it) points.
void PreparedStatements::Impl::Fill(const Rows& rows, size_t row, MYSQL_BIND* to) {
  const Value* value = rows.values.data() + row * rows.columns;
  for (size_t column = 0; column < rows.columns; ++column, ++value) {
    MYSQL_BIND& bind = to[column];
    Cell& cell = cells[column];
    const bool is_null = std::holds_alternative<std::monostate>(*value);
    cell.indicator = is_null ? STMT_INDICATOR_NULL : STMT_INDICATOR_NONE;
    cell.is_null = is_null;
    if (is_null) continue;
    if (const auto* integer = std::get_if<int64_t>(value)) {
      HOLDFAST_CHECK(bind.buffer_type == MYSQL_TYPE_LONGLONG && !bind.is_unsigned);
      cell.integer = *integer;
    } else if (const auto* natural = std::get_if<uint64_t>(value)) {
      HOLDFAST_CHECK(bind.buffer_type == MYSQL_TYPE_LONGLONG && bind.is_unsigned);
      cell.natural = *natural;
    } else if (const auto* time = std::get_if<absl::Time>(value)) {
      HOLDFAST_CHECK(bind.buffer_type == MYSQL_TYPE_DATETIME);
      cell.time = times.Convert(*time);
    } else {
      HOLDFAST_CHECK(bind.buffer_type == MYSQL_TYPE_STRING || bind.buffer_type == MYSQL_TYPE_BLOB);
      const absl::string_view bytes_of_text = std::get<absl::string_view>(*value);
      // The library only reads from it, and takes a null pointer for NULL.
      bind.buffer = const_cast<char*>(bytes_of_text.empty() ? "" : bytes_of_text.data());
      cell.length = bytes_of_text.size();
      // In a bulk the library makes room by this, and then copies by the other.
      bind.buffer_length = bytes_of_text.size();
    }
  }
}

std::optional<DatabaseError> PreparedStatements::Impl::RunOne(MYSQL_STMT* handle, const Rows& rows,
                                                              size_t row) {
  Fill(rows, row, binds.data());
  const unsigned one_row = 0;  // That is: not a bulk.
  mysql_stmt_attr_set(handle, STMT_ATTR_CB_PARAM, nullptr);
  mysql_stmt_attr_set(handle, STMT_ATTR_ARRAY_SIZE, &one_row);
  if ((!binds.empty() && mysql_stmt_bind_param(handle, binds.data()) != 0) ||
      mysql_stmt_execute(handle) != 0) {
    return ErrorOfStatement(handle);
  }
  return std::nullopt;
}

// The library asks for row after row while it builds the packet, so the values go from where they
// are straight into it.
my_bool PreparedStatements::Impl::NextRow(void* self, MYSQL_BIND* to, unsigned row) {
  auto* impl = static_cast<Impl*>(self);
  impl->Fill(*impl->bulk_rows, impl->bulk_first + row, to);
  return 0;
}

std::optional<DatabaseError> PreparedStatements::Impl::RunBulk(MYSQL_STMT* handle, const Rows& rows,
                                                               size_t first, size_t count) {
  bulk_rows = &rows;
  bulk_first = first;
  const auto array_size = static_cast<unsigned>(count);
  mysql_stmt_attr_set(handle, STMT_ATTR_CB_USER_DATA, this);
  mysql_stmt_attr_set(handle, STMT_ATTR_CB_PARAM, reinterpret_cast<const void*>(&NextRow));
  mysql_stmt_attr_set(handle, STMT_ATTR_ARRAY_SIZE, &array_size);
  if (mysql_stmt_bind_param(handle, binds.data()) != 0 || mysql_stmt_execute(handle) != 0) {
    return ErrorOfStatement(handle);
  }
  return std::nullopt;
}

PreparedStatements::PreparedStatements(st_mysql* connection)
    : impl_(std::make_unique<Impl>(connection)) {}

PreparedStatements::~PreparedStatements() {
  for (const auto& [text, kept] : impl_->kept) mysql_stmt_close(kept.handle);
}

bool PreparedStatements::has_bulk() const {
  unsigned long capabilities = 0;
  mariadb_get_infov(impl_->connection, MARIADB_CONNECTION_EXTENDED_SERVER_CAPABILITIES,
                    &capabilities);
  return (capabilities & (MARIADB_CLIENT_STMT_BULK_OPERATIONS >> 32)) != 0;
}

std::optional<DatabaseError> PreparedStatements::Execute(const Statement& statement,
                                                         const Rows& rows, size_t first,
                                                         size_t count, size_t bytes_max,
                                                         uint64_t* affected_rows) {
  HOLDFAST_CHECK(rows.columns == statement.columns.size());
  MYSQL_STMT* handle = nullptr;
  if (auto error = Refuse(statement, rows, first, count, bytes_max)) return error;
  if (auto error = impl_->Prepare(statement, &handle)) return error;
  impl_->Lay(statement);
  auto error =
      count == 1 ? impl_->RunOne(handle, rows, first) : impl_->RunBulk(handle, rows, first, count);
  if (!error.has_value()) *affected_rows = mysql_stmt_affected_rows(handle);
  return error;
}

}  // namespace holdfast::mysql
