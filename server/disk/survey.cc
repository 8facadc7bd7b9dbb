#include "server/disk/survey.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "absl/strings/str_cat.h"

#include "server/disk/lock_holder.h"

namespace holdfast::disk {
namespace {

constexpr size_t kBlockBytes = 4096;

std::string Reason(int error) { return std::generic_category().message(error); }

absl::Status Failure(absl::string_view operation, absl::string_view object, int error) {
  const std::string message = absl::StrCat(operation, " ", object, ": ", Reason(error));
  if (error == ENOENT) return absl::NotFoundError(message);
  if (error == EACCES || error == EPERM) return absl::PermissionDeniedError(message);
  return absl::UnavailableError(message);
}

uint64_t BytesOfFiles(const std::string& folder) {
  uint64_t bytes = 0;
  DIR* const listing = opendir(folder.c_str());
  if (listing == nullptr) return 0;
  while (const dirent* entry = readdir(listing)) {
    struct stat status {};
    if (fstatat(dirfd(listing), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISREG(status.st_mode)) {
      bytes += static_cast<uint64_t>(status.st_blocks) * 512;
    }
  }
  closedir(listing);
  return bytes;
}

// A file without a name, or one that loses it at once where the file system has no such files.
int OpenNameless(const std::string& folder) {
  const int fd = open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT)) return fd;
  std::string name = absl::StrCat(folder, "/measure-XXXXXX");
  const int named = mkostemp(name.data(), O_CLOEXEC);
  if (named >= 0) unlink(name.c_str());
  return named;
}

void MeasureSyncs(const std::string& folder, int syncs, base::Clock& clock, Survey* survey) {
  const int fd = OpenNameless(folder);
  if (fd < 0) {
    survey->writable = Failure("make a file in", folder, errno);
    return;
  }
  const std::string block(kBlockBytes, 'h');
  for (int i = 0; i < syncs && survey->sync_failure.ok(); ++i) {
    const absl::Time begin = clock.Steady();
    const off_t offset = static_cast<off_t>(kBlockBytes) * i;
    if (pwrite(fd, block.data(), block.size(), offset) != static_cast<ssize_t>(block.size())) {
      survey->sync_failure = Failure("write to a file in", folder, errno);
    } else if (fdatasync(fd) < 0) {
      survey->sync_failure = Failure("fdatasync a file in", folder, errno);
    } else {
      survey->syncs.push_back(clock.Steady() - begin);
    }
  }
  close(fd);
}

}  // namespace

Survey SurveyFolder(const std::string& folder, int syncs, base::Clock& clock) {
  Survey survey;
  struct stat status {};
  if (stat(folder.c_str(), &status) < 0) {
    survey.found = Failure("look at", folder, errno);
    return survey;
  }
  if (!S_ISDIR(status.st_mode)) {
    survey.found = Failure("look at", folder, ENOTDIR);
    return survey;
  }
  survey.mode = status.st_mode & 07777;
  survey.owner = status.st_uid;
  struct statfs system {};
  if (statfs(folder.c_str(), &system) == 0) survey.file_system = FileSystemOf(system.f_type);
  struct statvfs space {};
  if (statvfs(folder.c_str(), &space) == 0) {
    survey.free_bytes = uint64_t{space.f_bavail} * space.f_frsize;
  }
  survey.used_bytes = BytesOfFiles(folder);
  survey.holder = LockHolder(folder);
  MeasureSyncs(folder, syncs, clock, &survey);
  return survey;
}

}  // namespace holdfast::disk
