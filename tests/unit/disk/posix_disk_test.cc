// What only the real disk does.

#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "server/disk/disk.h"
#include "tests/support/status_matchers.h"

namespace holdfast::disk {
namespace {

using test::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class PosixDiskTest : public ::testing::Test {
 protected:
  PosixDiskTest() {
    std::string pattern = ::testing::TempDir() + "/posix_disk_test.XXXXXX";
    root_ = mkdtemp(pattern.data());
    folder_ = root_ + "/journal";
  }
  ~PosixDiskTest() override { std::filesystem::remove_all(root_); }

  static mode_t ModeOf(const std::string& path) {
    struct stat status {};
    EXPECT_EQ(lstat(path.c_str(), &status), 0) << path;
    return status.st_mode & 0777;
  }

  std::string root_;
  std::string folder_;
};

TEST_F(PosixDiskTest, ASecondOpeningOfTheFolderIsRefused) {
  auto first = OpenPosixDisk(folder_);
  ASSERT_OK(first);
  EXPECT_THAT(OpenPosixDisk(folder_),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr(folder_)));
  *first = nullptr;
  EXPECT_OK(OpenPosixDisk(folder_));
}

TEST_F(PosixDiskTest, FolderAndFilesAreForTheirOwnerAlone) {
  const mode_t before = umask(0);
  const auto disk = OpenPosixDisk(folder_);
  ASSERT_OK(disk);
  ASSERT_OK((*disk)->Create("a"));
  umask(before);
  EXPECT_EQ(ModeOf(folder_), 0700);
  EXPECT_EQ(ModeOf(folder_ + "/a"), 0600);
  EXPECT_EQ(ModeOf(folder_ + "/lock"), 0600);
}

TEST_F(PosixDiskTest, ASymbolicLinkIsNeitherFollowedNorListed) {
  const auto disk = OpenPosixDisk(folder_);
  ASSERT_OK(disk);
  std::filesystem::create_symlink("/etc/passwd", folder_ + "/a");
  std::filesystem::create_directory(folder_ + "/b");
  ASSERT_OK((*disk)->Create("c"));
  EXPECT_THAT(*(*disk)->List(), ElementsAre("c"));
  EXPECT_THAT((*disk)->Open("a"), StatusIs(absl::StatusCode::kUnavailable, HasSubstr("/a")));
}

TEST_F(PosixDiskTest, FilesAreNotInheritedByChildren) {
  const auto disk = OpenPosixDisk(folder_);
  ASSERT_OK(disk);
  const auto file = (*disk)->Create("a");
  ASSERT_OK(file);
  int found = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code error;
    const std::string target = std::filesystem::read_symlink(entry.path(), error).string();
    if (target.rfind(std::filesystem::canonical(folder_).string(), 0) != 0) continue;
    ++found;
    EXPECT_NE(fcntl(std::stoi(entry.path().filename().string()), F_GETFD) & FD_CLOEXEC, 0)
        << target;
  }
  EXPECT_EQ(found, 3);  // The folder, its lock, the file.
}

TEST_F(PosixDiskTest, ListingLeavesNoDescriptorOpen) {
  const auto disk = OpenPosixDisk(folder_);
  ASSERT_OK(disk);
  const auto count = [] {
    const std::filesystem::directory_iterator begin("/proc/self/fd");
    return std::distance(begin, std::filesystem::directory_iterator());
  };
  const auto before = count();
  for (int i = 0; i < 10; ++i) ASSERT_OK((*disk)->List());
  EXPECT_EQ(count(), before);
}

TEST_F(PosixDiskTest, WithoutDescriptorsAnOpenIsResourceExhausted) {
  const auto disk = OpenPosixDisk(folder_);
  ASSERT_OK(disk);
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit none = before;
  none.rlim_cur = 3;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  const absl::Status status = (*disk)->Create("a").status();
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("create")));
}

TEST_F(PosixDiskTest, AMissingParentIsAnError) {
  EXPECT_THAT(OpenPosixDisk(root_ + "/x/y"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("/x/y")));
}

TEST_F(PosixDiskTest, MemoryIsVolatile) {
  std::string pattern = "/dev/shm/posix_disk_test.XXXXXX";
  if (mkdtemp(pattern.data()) == nullptr) GTEST_SKIP() << "no /dev/shm here";
  {
    const auto disk = OpenPosixDisk(pattern);
    ASSERT_OK(disk);
    EXPECT_EQ((*disk)->persistence(), Persistence::kVolatile);
  }
  std::filesystem::remove_all(pattern);
}

}  // namespace
}  // namespace holdfast::disk
