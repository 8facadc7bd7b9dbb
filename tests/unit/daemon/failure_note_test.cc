#include "server/daemon/failure_note.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/support/status_matchers.h"

namespace holdfast::daemon {
namespace {

class FailureNoteTest : public ::testing::Test {
 protected:
  FailureNoteTest() {
    std::string pattern = ::testing::TempDir() + "/note-XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
  }
  ~FailureNoteTest() override { std::filesystem::remove_all(folder_); }

  std::string note() const { return folder_ + "/failed"; }

  std::string folder_;
};

TEST_F(FailureNoteTest, AFolderWithoutOneHasNoFailure) {
  EXPECT_EQ(LastFailureNoted(folder_), std::nullopt);
  EXPECT_EQ(LastFailureNoted(folder_ + "/missing"), std::nullopt);
}

TEST_F(FailureNoteTest, TheLastFailureIsToldWithItsTimeAndReason) {
  EXPECT_OK(LeaveFailureNote(folder_, absl::DataLossError("the first")));
  const timespec long_ago[2] = {{1000, 0}, {1000, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, note().c_str(), long_ago, 0), 0);
  EXPECT_EQ(LastFailureNoted(folder_), absl::FromUnixSeconds(1000));

  EXPECT_OK(LeaveFailureNote(folder_, absl::DataLossError("Input/output error")));
  // File systems keep times in ticks of theirs.
  EXPECT_GE(*LastFailureNoted(folder_), absl::Now() - absl::Hours(1));
  std::ifstream file(note());
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), "Input/output error\n");
}

TEST_F(FailureNoteTest, WhereNoFileCanBeMadeTheReasonIsTold) {
  const absl::Status status = LeaveFailureNote(folder_ + "/missing", absl::DataLossError("x"));
  EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr(folder_ + "/missing/failed"));
}

}  // namespace
}  // namespace holdfast::daemon
