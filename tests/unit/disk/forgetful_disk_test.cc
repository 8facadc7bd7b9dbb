// The fake must be as forgetful as it says, or the tests that trust it prove nothing.

#include "tests/support/forgetful_disk.h"

#include <set>

#include "gmock/gmock.h"

#include "tests/support/status_matchers.h"

namespace holdfast::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::unique_ptr<disk::File> MakeFile(ForgetfulDisk& disk, const std::string& contents) {
  auto file = disk.Create("a");
  EXPECT_OK(file);
  EXPECT_OK((*file)->Write(0, contents));
  return *std::move(file);
}

void Cut(ForgetfulDisk& disk) {
  disk.PowerOff();
  disk.PowerOn(ForgetfulDisk::End::kPowerCut);
}

TEST(ForgetfulDiskTest, WhatWasSyncedSurvives) {
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    ForgetfulDisk disk(seed);
    const auto file = MakeFile(disk, std::string(5000, 'x'));
    ASSERT_OK(file->Sync());
    ASSERT_OK(disk.SyncFolder());
    Cut(disk);
    EXPECT_EQ(disk.Contents("a"), std::string(5000, 'x'));
  }
}

TEST(ForgetfulDiskTest, OfWhatWasNotSyncedAnySubsetSurvives) {
  std::set<std::string> outcomes;
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    ForgetfulDisk disk(seed);
    const auto file = MakeFile(disk, std::string(1024, 'o'));
    ASSERT_OK(file->Sync());
    ASSERT_OK(disk.SyncFolder());
    ASSERT_OK(file->Write(0, std::string(1024, 'n')));
    Cut(disk);
    const std::string left = disk.Contents("a");
    outcomes.insert({left[0], left[511], left[512], left[1023]});
  }
  // Both sectors alone, both, none; and torn ones.
  EXPECT_THAT(outcomes, ::testing::IsSupersetOf({"oooo", "nnoo", "oonn", "nnnn"}));
  EXPECT_GT(outcomes.size(), 4);
}

TEST(ForgetfulDiskTest, NamesThatWereNotSyncedMayBeGone) {
  int gone = 0;
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    ForgetfulDisk disk(seed);
    ASSERT_OK(MakeFile(disk, "x")->Sync());
    Cut(disk);
    gone += disk.List()->empty() ? 1 : 0;
  }
  EXPECT_GT(gone, 5);
  EXPECT_LT(gone, 45);
}

TEST(ForgetfulDiskTest, AfterAFailedSyncItLies) {
  ForgetfulDisk disk;
  const auto file = MakeFile(disk, "old");
  ASSERT_OK(file->Sync());
  ASSERT_OK(disk.SyncFolder());
  ASSERT_OK(file->Write(0, "new"));
  disk.FailNth(ForgetfulDisk::Call::kSync, 1, absl::UnavailableError("EIO"));
  EXPECT_THAT(file->Sync(), StatusIs(absl::StatusCode::kUnavailable, HasSubstr("EIO")));
  EXPECT_OK(file->Sync());
  EXPECT_EQ(disk.Contents("a"), "new");
  disk.PowerOff();
  disk.PowerOn(ForgetfulDisk::End::kKill);
  EXPECT_EQ(disk.Contents("a"), "new");
  Cut(disk);
  EXPECT_EQ(disk.Contents("a"), "old");
}

TEST(ForgetfulDiskTest, WithoutPowerNothingWorksAndOldFilesStayDead) {
  ForgetfulDisk disk;
  const auto file = MakeFile(disk, "x");
  disk.PowerOffAfter(2);
  EXPECT_OK(file->Write(0, "y"));
  EXPECT_THAT(file->Sync(), StatusIs(absl::StatusCode::kUnavailable, HasSubstr("power")));
  EXPECT_THAT(disk.List(), StatusIs(absl::StatusCode::kUnavailable, HasSubstr("power")));
  disk.PowerOn(ForgetfulDisk::End::kKill);
  EXPECT_THAT(*disk.List(), ElementsAre("a"));
  EXPECT_THAT(file->Write(0, "z"), StatusIs(absl::StatusCode::kUnavailable, HasSubstr("power")));
}

TEST(ForgetfulDiskTest, AFullDiskTakesNoMoreButLetsBeOverwritten) {
  ForgetfulDisk disk;
  disk.set_capacity(4);
  const auto file = MakeFile(disk, "1234");
  EXPECT_THAT(file->Write(2, "xyz"),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("space")));
  EXPECT_OK(file->Write(2, "xy"));
  EXPECT_EQ(disk.Contents("a"), "12xy");
}

TEST(ForgetfulDiskTest, ASeedDecidesEverything) {
  const auto run = [](uint64_t seed) {
    ForgetfulDisk disk(seed);
    const auto file = MakeFile(disk, std::string(20000, 'o'));
    EXPECT_OK(file->Sync());
    EXPECT_OK(disk.SyncFolder());
    EXPECT_OK(file->Write(0, std::string(20000, 'n')));
    Cut(disk);
    return disk.Contents("a");
  };
  EXPECT_EQ(run(5), run(5));
  EXPECT_NE(run(5), run(6));
}

}  // namespace
}  // namespace holdfast::test
