// Values on their way into a statement: how large they are, and how they are spelled in SQL where
// the server cannot take them bound.

#pragma once

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

#include "server/mysql/errors.h"
#include "server/mysql/session.h"

struct st_mysql;

namespace holdfast::mysql {

// What row `row` adds to its statement at most, whichever way it is sent (every byte escaped). For
// cutting a batch into statements that stay below Session::statement_bytes_max().
size_t EstimateRowBytes(const Statement& statement, const Rows& rows, size_t row);

// The same for the whole statement with rows [first, first + count).
size_t EstimateBytes(const Statement& statement, const Rows& rows, size_t first, size_t count);

// What row `row` adds when its values are bound. At most EstimateRowBytes.
size_t BoundRowBytes(const Rows& rows, size_t row);

// Whether a DATETIME can hold `time`: the years 0 to 9999. And all times of those rows.
bool FitsDatetime(absl::Time time);
bool TimesFit(const Rows& rows, size_t first, size_t count);

// What is made of values that are not even sent, with the numbers that a server would have given.
DatabaseError NotADatetime();
DatabaseError ValuesTooLarge();

// Appends `value` as an SQL literal. Text is escaped by the rules of `connection` (its character
// set and sql_mode); binary and text that is not for a text column is written in hexadecimal
// digits. REQUIRES: `value` has the type of `type`, or is NULL, and FitsDatetime if it is a time.
void AppendLiteral(const Value& value, ColumnType type, st_mysql* connection, std::string* sql);

// Appends `statement` with the values of rows [first, first + count) in place of the marks. Stops
// early, leaving the text unusable and longer than `bytes_max`, once it is longer. REQUIRES: as
// AppendLiteral, for every value.
void AppendText(const Statement& statement, const Rows& rows, size_t first, size_t count,
                size_t bytes_max, st_mysql* connection, std::string* sql);

// Appends the text to prepare: one row with its marks.
void AppendPrepareText(const Statement& statement, std::string* sql);

}  // namespace holdfast::mysql
