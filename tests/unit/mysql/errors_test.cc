#include "server/mysql/errors.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace holdfast::mysql {
namespace {

using flow::Verdict;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(ErrorsTest, EveryNumberOfTheDesignHasItsVerdict) {
  const std::pair<Verdict, std::vector<unsigned>> expected[] = {
      {Verdict::kRetry, {1213, 1205, 1614, 3101, 1020, 1180, 1317, 1969, 3024}},
      {Verdict::kReconnect,
       {2002, 2003, 2005, 2006, 2013, 2055, 1053, 1158, 1159, 1160, 1161, 1927, 4031}},
      {Verdict::kElsewhere, {1290, 1792, 1836, 1047}},
      {Verdict::kThrottle, {1040, 1203, 1226, 1637, 1461}},
      {Verdict::kReject, {1406, 1264, 1265, 1366, 1292, 1048, 1452, 3819, 4025, 3140, 1153, 1690}},
      {Verdict::kOutage, {1044, 1045, 1049, 1054, 1142, 1146, 1364, 3948, 1021, 1114}},
  };
  for (const auto& [verdict, numbers] : expected) {
    for (const unsigned number : numbers) {
      EXPECT_EQ(Classify(number, "HY000", false), verdict) << number;
    }
  }
}

TEST(ErrorsTest, ANumberThatIsNotListedIsJudgedByItsSqlState) {
  EXPECT_EQ(Classify(9990, "22001", false), Verdict::kReject);
  EXPECT_EQ(Classify(9990, "23000", false), Verdict::kReject);
  EXPECT_EQ(Classify(9990, "40001", false), Verdict::kRetry);
  EXPECT_EQ(Classify(9990, "08S01", false), Verdict::kReconnect);
  EXPECT_EQ(Classify(9990, "HY000", false), Verdict::kOutage);
  EXPECT_EQ(Classify(9990, "", false), Verdict::kOutage);
  EXPECT_EQ(Classify(2999, "HY000", false), Verdict::kReconnect);
}

TEST(ErrorsTest, AfterCommitOnlyADefiniteAnswerMeansThatNothingWasCommitted) {
  for (const unsigned lost : {2006u, 2013u, 2055u, 1053u, 1158u, 1161u, 1927u, 4031u, 2027u}) {
    EXPECT_EQ(Classify(lost, "HY000", true), Verdict::kUnknown) << lost;
  }
  // The server itself does not know, or does not say.
  for (const unsigned doubtful : {1180u, 1317u, 1969u, 1047u, 1021u, 9990u}) {
    EXPECT_EQ(Classify(doubtful, "HY000", true), Verdict::kUnknown) << doubtful;
  }
  EXPECT_EQ(Classify(1213, "40001", true), Verdict::kRetry);
  EXPECT_EQ(Classify(3101, "40000", true), Verdict::kRetry);
  EXPECT_EQ(Classify(1290, "HY000", true), Verdict::kElsewhere);
}

TEST(ErrorsTest, AStatusCarriesTheErrorAndBack) {
  const DatabaseError error = {1406, "22001", "Data too long\nfor column 'x' at row 1",
                               Verdict::kReject};
  const absl::Status status = ToStatus("INSERT on message", error);
  const std::optional<DatabaseError> found = ErrorOf(status);
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->error_number, error.error_number);
  EXPECT_EQ(found->sql_state, error.sql_state);
  EXPECT_EQ(found->message, error.message);
  EXPECT_EQ(VerdictOf(status), Verdict::kReject);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
}

TEST(ErrorsTest, AStatusFromElsewhereCarriesNone) {
  EXPECT_FALSE(ErrorOf(absl::InternalError("x")).has_value());
  EXPECT_EQ(VerdictOf(absl::DeadlineExceededError("x")), Verdict::kReconnect);
}

TEST(ErrorsTest, TheMessageForPeopleRepeatsNoValueAndSaysWhatToDo) {
  const absl::Status duplicate =
      ToStatus("INSERT on message",
               {1062, "23000", "Duplicate entry 'sk-secret' for key 'x'", Verdict::kReject});
  EXPECT_THAT(std::string(duplicate.message()), Not(HasSubstr("sk-secret")));
  EXPECT_THAT(std::string(duplicate.message()), HasSubstr("1062"));

  const absl::Status denied = ToStatus(
      "connect to db:3306", {1045, "28000", "Access denied for user 'u'@'h'", Verdict::kOutage});
  EXPECT_THAT(std::string(denied.message()), HasSubstr("connect to db:3306: error 1045"));
  EXPECT_THAT(std::string(denied.message()), HasSubstr("MYSQL_PASSWORD"));
}

TEST(ErrorsTest, TheColumnIsFoundWhereverAServerNamesIt) {
  const std::pair<const char*, const char*> cases[] = {
      {"Data too long for column 'text' at row 3", "text"},
      {"Out of range value for column 'cost_micros' at row 1", "cost_micros"},
      {"Incorrect integer value: 'x' for column `db`.`t`.`hits` at row 1", "hits"},
      {"Incorrect string value: '\\xF0' for column 'name' at row 1", "name"},
      {"Invalid JSON text: \"Invalid value.\" at position 0 in value for column 't.raw_json'.",
       "raw_json"},
      {"Column 'direction' cannot be null", "direction"},
      {"Unknown column 'ad_id' in 'field list'", "ad_id"},
      {"Field 'extra' doesn't have a default value", "extra"},
      {"CONSTRAINT `message.raw_json` failed for `db`.`message`", "raw_json"},
      {"Check constraint 'positive' is violated.", "positive"},
      {"Cannot add or update a child row: a foreign key constraint fails (`d`.`message`, "
       "CONSTRAINT `f` FOREIGN KEY (`conversation_id`) REFERENCES `conversations` (`id`))",
       "conversation_id"},
      {"Deadlock found when trying to get lock; try restarting transaction", ""},
      {"", ""},
      {"for column ", ""},
      {"for column `", ""},
      {"for column `a`.", "a"},
  };
  for (const auto& [message, column] : cases) {
    EXPECT_EQ((DatabaseError{1, "", message, Verdict::kReject}).column(), column) << message;
  }
}

TEST(ErrorsTest, AValueInTheMessageIsNotTakenForTheColumn) {
  EXPECT_EQ(
      (DatabaseError{1366, "22007",
                     "Incorrect integer value: 'for column 'evil'' for column 'hits' at row 1",
                     Verdict::kReject})
          .column(),
      "hits");
}

}  // namespace
}  // namespace holdfast::mysql
