#include "server/disk/lock_holder.h"

#include <sys/stat.h>

#include <cerrno>
#include <fstream>
#include <system_error>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace holdfast::disk {
namespace {

absl::Status Failure(absl::string_view operation, absl::string_view object, int error) {
  return absl::UnavailableError(
      absl::StrCat(operation, " ", object, ": ", std::generic_category().message(error)));
}

}  // namespace

absl::StatusOr<std::optional<pid_t>> LockHolder(const std::string& folder) {
  const std::string lock = absl::StrCat(folder, "/", kLockName);
  struct stat status {};
  if (stat(lock.c_str(), &status) < 0) {
    if (errno == ENOENT) return std::nullopt;
    return Failure("stat", lock, errno);
  }
  std::ifstream locks("/proc/locks");
  if (!locks) return Failure("open", "/proc/locks", errno);
  // Of the device nothing is compared: some file systems show another one here than to stat, and
  // two locks of one number are a rare chance.
  const std::string inode = absl::StrCat(":", status.st_ino);
  std::string line;
  while (std::getline(locks, line)) {
    // "1: FLOCK  ADVISORY  WRITE 4711 fe:00:1234 0 EOF"
    const std::vector<absl::string_view> words = absl::StrSplit(line, ' ', absl::SkipEmpty());
    if (words.size() < 6 || words[1] != "FLOCK" || !absl::EndsWith(words[5], inode)) continue;
    pid_t holder = 0;
    return absl::SimpleAtoi(words[4], &holder) && holder > 0 ? holder : 0;
  }
  return std::nullopt;
}

}  // namespace holdfast::disk
