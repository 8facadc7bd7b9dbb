#include "server/diagnosis/folder.h"

#include <linux/magic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "gtest/gtest.h"

#include "server/base/clock.h"
#include "server/diagnosis/within.h"
#include "server/disk/disk.h"
#include "tests/support/fake_clock.h"
#include "tests/unit/diagnosis/finds.h"

namespace holdfast::diagnosis {
namespace {

constexpr int kSelf = 100;
constexpr uint64_t kMiB = uint64_t{1} << 20;

Options OptionsFor(const std::string& folder) {
  Options options;
  options.journal_folder = folder;
  options.journal_bytes_max = 2048 * kMiB;
  options.journal_segment_bytes = 64 * kMiB;
  return options;
}

disk::Survey Well() {
  disk::Survey survey;
  survey.file_system = disk::FileSystemOf(EXT4_SUPER_MAGIC);
  survey.mode = 0700;
  survey.free_bytes = 5000 * kMiB;
  survey.used_bytes = 128 * kMiB;
  survey.syncs = {absl::Milliseconds(1), absl::Milliseconds(2), absl::Milliseconds(900)};
  return survey;
}

Findings Judged(const std::optional<disk::Survey>& survey, bool is_daemon = false) {
  Options options = OptionsFor("/journal");
  options.is_daemon = is_daemon;
  Findings findings;
  JudgeFolder(survey, options, kSelf, 0, &findings);
  return findings;
}

TEST(FolderTest, ALocalFolderWithRoomIsAllWell) {
  EXPECT_EQ(WorstOf(Judged(Well())), kOk);
  EXPECT_THAT(Judged(Well()), Finds("journal", kOk, "/journal on ext4"));
  EXPECT_THAT(Judged(Well()), Finds("journal sync", kOk, "median 2.0 ms, slowest 900.0 ms"));
}

TEST(FolderTest, AVolatileARemoteAndAnOpenFolderAreWarnings) {
  disk::Survey survey = Well();
  survey.file_system = disk::FileSystemOf(TMPFS_MAGIC);
  EXPECT_THAT(Judged(survey), Finds("journal", kWarning, "does not outlive this machine"));
  survey.file_system = disk::FileSystemOf(NFS_SUPER_MAGIC);
  EXPECT_THAT(Judged(survey), Finds("journal", kWarning, "nfs, on another machine"));
  survey = Well();
  survey.mode = 0755;
  EXPECT_THAT(Judged(survey), Finds("journal", kWarning, "chmod 700 /journal"));
}

TEST(FolderTest, WantOfRoomIsAProblemAndLessThanTheLimitAWarning) {
  disk::Survey survey = Well();
  survey.free_bytes = 100 * kMiB;
  EXPECT_THAT(Judged(survey), Finds("journal space", kProblem, "100 MiB free"));
  survey.free_bytes = 1000 * kMiB;
  EXPECT_THAT(Judged(survey), Finds("journal space", kWarning, "HOLDFAST_JOURNAL_MAX_BYTES"));
}

TEST(FolderTest, SlowAndFailingSyncsAreTold) {
  disk::Survey survey = Well();
  survey.syncs = {absl::Milliseconds(300)};
  EXPECT_THAT(Judged(survey), Finds("journal sync", kWarning, "300.0 ms"));
  survey.sync_failure = absl::UnavailableError("fdatasync a file in /journal: I/O error");
  EXPECT_THAT(Judged(survey), Finds("journal sync", kProblem, "I/O error"));
}

TEST(FolderTest, AFolderThatCannotBeUsedIsTold) {
  disk::Survey survey = Well();
  survey.writable = absl::PermissionDeniedError("make a file in /journal: Permission denied");
  EXPECT_THAT(Judged(survey), Finds("journal", kProblem, "Permission denied"));
  survey.found = absl::NotFoundError("look at /journal: No such file or directory");
  EXPECT_THAT(Judged(survey), Finds("journal", kWarning, "does not exist"));
  EXPECT_THAT(Judged(std::nullopt), Finds("journal", kProblem, "does not answer"));
  EXPECT_THAT(Judged(std::nullopt), Finds("journal sync", kSkipped, "needs a disk"));
}

TEST(FolderTest, WhoHoldsTheLockIsNamed) {
  disk::Survey survey = Well();
  survey.holder = 4711;
  EXPECT_THAT(Judged(survey), Finds("journal lock", kWarning, "process 4711"));
  survey.holder = kSelf;
  EXPECT_THAT(Judged(survey, true), Finds("journal lock", kOk, "the daemon itself"));
}

TEST(SurveyTest, AFolderInUseIsSurveyedWithoutATrace) {
  std::string folder = "/tmp/holdfast-survey-XXXXXX";
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  const auto lock = disk::OpenPosixDisk(folder);
  ASSERT_TRUE(lock.ok());
  const disk::Survey survey = disk::SurveyFolder(folder, 3, base::SystemClock());
  EXPECT_TRUE(survey.found.ok());
  EXPECT_TRUE(survey.writable.ok());
  EXPECT_EQ(survey.mode, 0700);
  EXPECT_EQ(survey.syncs.size(), 3);
  EXPECT_GT(survey.free_bytes, 0);
  EXPECT_EQ(survey.holder.value(), getpid());
  EXPECT_TRUE((*lock)->List()->empty());
  std::filesystem::remove_all(folder);
}

TEST(SurveyTest, WhatIsNotThereIsToldFromWhatIsNoFolder) {
  EXPECT_TRUE(absl::IsNotFound(disk::SurveyFolder("/nowhere", 1, base::SystemClock()).found));
  EXPECT_FALSE(disk::SurveyFolder("/proc/self/maps", 1, base::SystemClock()).found.ok());
}

TEST(WithinTest, WhatDoesNotComeBackIsLeftToItself) {
  struct Gate {
    absl::Mutex mu;
    bool open ABSL_GUARDED_BY(mu) = false;
  };
  const auto gate = std::make_shared<Gate>();
  const auto result = Within<int>(absl::Milliseconds(1), base::SystemClock(), [gate] {
    absl::MutexLock lock(&gate->mu);
    gate->mu.Await(absl::Condition(&gate->open));
    return 1;
  });
  EXPECT_EQ(result, std::nullopt);
  absl::MutexLock lock(&gate->mu);
  gate->open = true;
}

TEST(WithinTest, WhatComesBackIsReturned) {
  EXPECT_EQ(Within<int>(absl::Seconds(60), base::SystemClock(), [] { return 7; }), 7);
}

}  // namespace
}  // namespace holdfast::diagnosis
