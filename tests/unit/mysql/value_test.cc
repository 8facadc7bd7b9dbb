#include "server/mysql/value.h"

#include <mysql.h>

#include <limits>

#include "gtest/gtest.h"

namespace holdfast::mysql {
namespace {

using namespace std::string_literals;

// Escaping needs a handle, for its character set and mode, but no server.
class ValueTest : public ::testing::Test {
 protected:
  ValueTest() { mysql_options(link_, MYSQL_SET_CHARSET_NAME, "utf8mb4"); }
  ~ValueTest() override { mysql_close(link_); }

  std::string Literal(const Value& value, ColumnType type) {
    std::string sql;
    AppendLiteral(value, type, link_, &sql);
    return sql;
  }

  MYSQL* link_ = mysql_init(nullptr);
};

TEST_F(ValueTest, IntegersAreWrittenInFullUpToTheirExtremes) {
  EXPECT_EQ(Literal(std::numeric_limits<int64_t>::min(), ColumnType::kInt64),
            "-9223372036854775808");
  EXPECT_EQ(Literal(std::numeric_limits<uint64_t>::max(), ColumnType::kUint64),
            "18446744073709551615");
}

TEST_F(ValueTest, TextIsQuotedAndEscapedAndBinaryIsHexadecimal) {
  EXPECT_EQ(Literal(absl::string_view("a'b\\c\"\n\0"s), ColumnType::kText), R"('a\'b\\c\"\n\0')");
  EXPECT_EQ(Literal(absl::string_view(), ColumnType::kText), "''");
  EXPECT_EQ(Literal(absl::string_view("\0'\xff"s), ColumnType::kBinary), "x'0027ff'");
  EXPECT_EQ(Literal(Value(), ColumnType::kBinary), "NULL");
}

TEST_F(ValueTest, TimesAreUtcWithMicroseconds) {
  EXPECT_EQ(Literal(absl::FromUnixMicros(1767225600000001), ColumnType::kTime),
            "'2026-01-01 00:00:00.000001'");
  // Before 1970 as well, and never rounded up.
  EXPECT_EQ(Literal(absl::UnixEpoch() - absl::Nanoseconds(1), ColumnType::kTime),
            "'1969-12-31 23:59:59.999999'");
}

TEST_F(ValueTest, OnlyTheYears0To9999FitADatetime) {
  EXPECT_TRUE(FitsDatetime(absl::FromCivil(absl::CivilYear(0), absl::UTCTimeZone())));
  EXPECT_TRUE(FitsDatetime(absl::FromCivil(absl::CivilYear(10000), absl::UTCTimeZone()) -
                           absl::Nanoseconds(1)));
  EXPECT_FALSE(FitsDatetime(absl::FromCivil(absl::CivilYear(10000), absl::UTCTimeZone())));
  EXPECT_FALSE(FitsDatetime(absl::FromCivil(absl::CivilYear(0), absl::UTCTimeZone()) -
                            absl::Nanoseconds(1)));
  EXPECT_FALSE(FitsDatetime(absl::InfiniteFuture()));
  EXPECT_FALSE(FitsDatetime(absl::InfinitePast()));
}

TEST_F(ValueTest, TheEstimateIsNeverLessThanWhatIsSent) {
  Statement statement;
  statement.head = "INSERT INTO t (a, b, c, d, e) VALUES ";
  statement.tail = " ON DUPLICATE KEY UPDATE a = a";
  statement.multi_row = true;
  statement.columns = {ColumnType::kInt64, ColumnType::kUint64, ColumnType::kText,
                       ColumnType::kBinary, ColumnType::kTime};
  const std::string nasty(1000, '\'');
  Rows rows = {5,
               {std::numeric_limits<int64_t>::min(), std::numeric_limits<uint64_t>::max(),
                absl::string_view(nasty), absl::string_view(nasty), absl::UnixEpoch(),  //
                Value(), Value(), Value(), Value(), Value(),                            //
                int64_t{1}, uint64_t{1}, absl::string_view(), absl::string_view(), Value()}};
  for (size_t first = 0; first < 3; ++first) {
    for (size_t count = 1; first + count <= 3; ++count) {
      std::string sql;
      AppendText(statement, rows, first, count, SIZE_MAX, link_, &sql);
      size_t bound = statement.head.size() + statement.tail.size();
      for (size_t row = first; row < first + count; ++row) bound += BoundRowBytes(rows, row);
      const size_t estimate = EstimateBytes(statement, rows, first, count);
      EXPECT_GE(estimate, sql.size());
      EXPECT_GE(estimate, bound);
    }
  }
}

TEST_F(ValueTest, AMarkInAValueIsNotAMark) {
  Statement statement;
  statement.head = "UPDATE t SET a = ? WHERE b = ?";
  statement.columns = {ColumnType::kText, ColumnType::kText};
  std::string sql;
  AppendText(statement, Rows{2, {absl::string_view("?"), absl::string_view("x")}}, 0, 1, SIZE_MAX,
             link_, &sql);
  EXPECT_EQ(sql, "UPDATE t SET a = '?' WHERE b = 'x'");
}

}  // namespace
}  // namespace holdfast::mysql
