// What every Disk does: the real one and the fake are held to the same.

#include "server/disk/disk.h"

#include <stdlib.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/support/forgetful_disk.h"
#include "tests/support/status_matchers.h"

namespace holdfast::disk {
namespace {

using test::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

enum class Which { kPosix, kForgetful };

class AnyDiskTest : public ::testing::TestWithParam<Which> {
 protected:
  void SetUp() override {
    if (GetParam() == Which::kForgetful) {
      disk_ = std::make_unique<test::ForgetfulDisk>();
      return;
    }
    std::string pattern = ::testing::TempDir() + "/disk_test.XXXXXX";
    folder_ = mkdtemp(pattern.data());
    absl::StatusOr<std::unique_ptr<Disk>> disk = OpenPosixDisk(folder_ + "/journal");
    ASSERT_OK(disk);
    disk_ = *std::move(disk);
  }

  ~AnyDiskTest() override {
    disk_ = nullptr;
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
  }

  std::string folder_;
  std::unique_ptr<Disk> disk_;
};

INSTANTIATE_TEST_SUITE_P(Disks, AnyDiskTest, ::testing::Values(Which::kPosix, Which::kForgetful),
                         [](const auto& test) {
                           return test.param == Which::kPosix ? "Posix" : "Forgetful";
                         });

TEST_P(AnyDiskTest, WhatWasWrittenIsRead) {
  const auto file = disk_->Create("a");
  ASSERT_OK(file);
  ASSERT_OK((*file)->Write(0, "hello world"));
  ASSERT_OK((*file)->Write(6, "there"));
  ASSERT_OK((*file)->Sync());
  std::string data = "something else";
  ASSERT_OK((*file)->Read(6, 100, &data));
  EXPECT_EQ(data, "there");
  ASSERT_OK((*file)->Read(2, 3, &data));
  EXPECT_EQ(data, "llo");
  EXPECT_EQ(*(*file)->Size(), 11);
  const auto again = disk_->Open("a");
  ASSERT_OK(again);
  ASSERT_OK((*again)->Read(0, 5, &data));
  EXPECT_EQ(data, "hello");
}

TEST_P(AnyDiskTest, BeyondTheEndThereIsNothingToRead) {
  const auto file = disk_->Create("a");
  ASSERT_OK(file);
  std::string data = "x";
  ASSERT_OK((*file)->Read(100, 10, &data));
  EXPECT_THAT(data, IsEmpty());
}

TEST_P(AnyDiskTest, AWriteBehindTheEndLeavesZerosBefore) {
  const auto file = disk_->Create("a");
  ASSERT_OK(file);
  ASSERT_OK((*file)->Write(3, "x"));
  std::string data;
  ASSERT_OK((*file)->Read(0, 10, &data));
  EXPECT_EQ(data, std::string("\0\0\0x", 4));
}

TEST_P(AnyDiskTest, FilesAreListedSortedAndCanBeRenamedAndRemoved) {
  ASSERT_OK(disk_->Create("b"));
  ASSERT_OK(disk_->Create("a"));
  ASSERT_OK(disk_->Create("c"));
  EXPECT_THAT(*disk_->List(), ElementsAre("a", "b", "c"));
  ASSERT_OK(disk_->Rename("a", "d"));
  ASSERT_OK(disk_->Remove("b"));
  ASSERT_OK(disk_->SyncFolder());
  EXPECT_THAT(*disk_->List(), ElementsAre("c", "d"));
}

TEST_P(AnyDiskTest, ErrorsSayWhichFile) {
  ASSERT_OK(disk_->Create("a"));
  EXPECT_THAT(disk_->Create("a"), StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr("a")));
  EXPECT_THAT(disk_->Open("nothing"), StatusIs(absl::StatusCode::kNotFound, HasSubstr("nothing")));
  EXPECT_THAT(disk_->Remove("nothing"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("nothing")));
  EXPECT_THAT(disk_->Rename("nothing", "b"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("nothing")));
}

TEST_P(AnyDiskTest, ARemovedFileStaysReadableWhileItIsOpen) {
  const auto file = disk_->Create("a");
  ASSERT_OK(file);
  ASSERT_OK((*file)->Write(0, "still here"));
  ASSERT_OK(disk_->Remove("a"));
  std::string data;
  ASSERT_OK((*file)->Read(0, 100, &data));
  EXPECT_EQ(data, "still here");
}

TEST_P(AnyDiskTest, FreeBytesIsMoreThanNothing) {
  const auto free = disk_->FreeBytes();
  ASSERT_OK(free);
  EXPECT_GT(*free, 0);
}

}  // namespace
}  // namespace holdfast::disk
