// What only the real disk does.

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "server/disk/buffer.h"
#include "server/disk/disk.h"
#include "server/disk/lock_holder.h"
#include "server/disk/look.h"
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

  // Whether the file `name` of the folder, which is open once, is written past the page cache.
  bool IsDirect(const std::string& name) const {
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
      std::error_code error;
      const auto target = std::filesystem::read_symlink(entry.path(), error);
      if (error || target != std::filesystem::canonical(folder_) / name) continue;
      return (fcntl(std::stoi(entry.path().filename().string()), F_GETFL) & O_DIRECT) != 0;
    }
    ADD_FAILURE() << name << " is not open";
    return false;
  }

  // What the file `name` holds, by way of the page cache.
  std::string Contents(const std::string& name) const {
    std::ifstream file(folder_ + "/" + name, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }

  std::string root_;
  std::string folder_;
};

// Three blocks of a journal.
Buffer SomeBlocks() {
  Buffer blocks(3 * kDirectBytes, 'x');
  blocks[kDirectBytes] = 'y';
  return blocks;
}

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

TEST_F(PosixDiskTest, ABufferIsAlignedHoweverItGrows) {
  Buffer buffer(kDirectBytes, 'x');
  for (int i = 0; i < 100; ++i) {
    buffer.append(1000, 'y');
    ASSERT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % kDirectBytes, 0u);
  }
}

TEST_F(PosixDiskTest, WholeBlocksGoPastThePageCacheAndAreReadBack) {
  const auto disk = OpenPosixDisk(folder_);
  ASSERT_OK(disk);
  const auto file = *(*disk)->Create("a");
  const Buffer zeros(4 * kDirectBytes, '\0');
  ASSERT_OK(file->Write(0, zeros));
  EXPECT_EQ(Contents("a"), std::string(zeros)) << "and now the page cache has it";
  const Buffer blocks = SomeBlocks();
  ASSERT_OK(file->Write(kDirectBytes, blocks));
  ASSERT_OK(file->Sync());
  EXPECT_TRUE(IsDirect("a"));
  EXPECT_EQ(Contents("a"), std::string(kDirectBytes, '\0') + std::string(blocks));
}

TEST_F(PosixDiskTest, AFileThatIsReadOrWrittenInPiecesGoesThroughThePageCache) {
  const auto disk = OpenPosixDisk(folder_);
  ASSERT_OK(disk);
  const Buffer blocks = SomeBlocks();
  const std::string unaligned = "-" + std::string(blocks);
  const auto pieces = *(*disk)->Create("pieces");
  ASSERT_OK(pieces->Write(0, blocks));
  ASSERT_OK(pieces->Write(5, "12345"));
  EXPECT_FALSE(IsDirect("pieces"));
  EXPECT_EQ(Contents("pieces"), std::string(blocks).replace(5, 5, "12345"));
  const auto elsewhere = *(*disk)->Create("elsewhere");
  ASSERT_OK(elsewhere->Write(0, absl::string_view(unaligned).substr(1)));
  EXPECT_EQ(Contents("elsewhere"), std::string(blocks));
  const auto both = *(*disk)->Create("both");
  ASSERT_OK(both->Write(0, blocks));
  std::string read;
  ASSERT_OK(both->Read(kDirectBytes - 1, 3, &read));
  EXPECT_EQ(read, "xyx");
  ASSERT_OK(both->Write(kDirectBytes, blocks));
  EXPECT_EQ(Contents("both"), std::string(blocks).substr(0, kDirectBytes) + std::string(blocks));
}

// ramfs has nothing but the page cache.
TEST_F(PosixDiskTest, WhereThereIsNoWayPastThePageCacheThatIsSaidOnce) {
  bool mounted = false;
  testing::internal::CaptureStderr();
  // The mount is this thread's alone, and goes with it.
  std::thread([&] {
    mounted = unshare(CLONE_NEWNS) == 0 &&
              mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
              mount("ramfs", root_.c_str(), "ramfs", 0, nullptr) == 0;
    if (!mounted) return;
    const auto disk = OpenPosixDisk(folder_);
    ASSERT_OK(disk);
    for (const std::string name : {"a", "b"}) {
      const auto file = (*disk)->Create(name);
      ASSERT_OK(file);
      ASSERT_OK((*file)->Write(0, SomeBlocks()));
      ASSERT_OK((*file)->Sync());
      EXPECT_EQ(Contents(name), std::string(SomeBlocks()));
    }
  }).join();
  const std::string log = testing::internal::GetCapturedStderr();
  if (!mounted) GTEST_SKIP() << "only root may mount a ramfs";
  EXPECT_THAT(log, HasSubstr("does not write past the page cache"));
  EXPECT_EQ(log.find("page cache"), log.rfind("page cache")) << log;
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

TEST_F(PosixDiskTest, OneWhoOnlyLooksNeedsNoLockAndChangesNothing) {
  auto holder = OpenPosixDisk(folder_);
  ASSERT_OK(holder);
  auto file = (*holder)->Create("a");
  ASSERT_OK(file);
  ASSERT_OK((*file)->Write(0, "hello"));
  auto looking = OpenPosixDiskToLook(folder_);
  ASSERT_OK(looking);
  EXPECT_THAT(*(*looking)->List(), ElementsAre("a"));
  auto read = (*looking)->Open("a");
  ASSERT_OK(read);
  std::string text;
  ASSERT_OK((*read)->Read(0, 100, &text));
  EXPECT_EQ(text, "hello");
  EXPECT_FALSE((*read)->Write(0, "j").ok());
  const auto refused = StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("to look only"));
  EXPECT_THAT((*looking)->Create("b").status(), refused);
  EXPECT_THAT((*looking)->Rename("a", "b"), refused);
  EXPECT_THAT((*looking)->Remove("a"), refused);
  EXPECT_THAT((*looking)->SyncFolder(), refused);
}

TEST_F(PosixDiskTest, OneWhoOnlyLooksMakesNoFolder) {
  EXPECT_THAT(OpenPosixDiskToLook(folder_),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr(folder_)));
  EXPECT_FALSE(std::filesystem::exists(folder_));
}

TEST_F(PosixDiskTest, WhoHoldsAFolderIsSeenWithoutTakingItsLock) {
  EXPECT_EQ(LockHolder(folder_).value(), std::nullopt);
  {
    auto holder = OpenPosixDisk(folder_);
    ASSERT_OK(holder);
    EXPECT_EQ(LockHolder(folder_).value(), getpid());
  }
  EXPECT_EQ(LockHolder(folder_).value(), std::nullopt);
  EXPECT_OK(OpenPosixDisk(folder_));
}

}  // namespace
}  // namespace holdfast::disk
