#include "server/daemon/failure_note.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"

namespace holdfast::daemon {
namespace {

std::string NoteIn(const std::string& folder) { return absl::StrCat(folder, "/failed"); }

}  // namespace

absl::Status LeaveFailureNote(const std::string& folder, const absl::Status& failure) {
  const std::string path = NoteIn(folder);
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot create ", path));
  const std::string text = absl::StrCat(failure.message(), "\n");
  absl::Status status;
  // The time alone needs no room on the volume, which may be what is missing.
  if (::futimens(file, nullptr) != 0) {
    status = absl::ErrnoToStatus(errno, absl::StrCat("cannot set the time of ", path));
  } else if (::write(file, text.data(), text.size()) < 0) {
    status = absl::ErrnoToStatus(errno, absl::StrCat("cannot write ", path));
  }
  ::close(file);
  return status;
}

std::optional<absl::Time> LastFailureNoted(const std::string& folder) {
  struct stat note {};
  if (::stat(NoteIn(folder).c_str(), &note) != 0) return std::nullopt;
  return absl::TimeFromTimespec(note.st_mtim);
}

}  // namespace holdfast::daemon
