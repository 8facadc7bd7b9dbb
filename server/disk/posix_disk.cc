#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"

#include "server/base/check.h"
#include "server/base/log.h"
#include "server/base/status_macros.h"
#include "server/disk/buffer.h"
#include "server/disk/disk.h"
#include "server/disk/file_system.h"
#include "server/disk/lock_holder.h"
#include "server/disk/look.h"

namespace holdfast::disk {
namespace {

// What failed, on what, and why.
absl::Status SystemError(absl::string_view operation, absl::string_view object, int error) {
  const std::string message =
      absl::StrCat(operation, " ", object, ": ", std::generic_category().message(error));
  switch (error) {
    case ENOENT:
      return absl::NotFoundError(message);
    case EEXIST:
      return absl::AlreadyExistsError(message);
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      return absl::ResourceExhaustedError(message);
    default:
      return absl::UnavailableError(message);
  }
}

// Calls until no signal comes between. A signal is no failure: the kernel has not given up on the
// data.
template <typename Call>
auto Uninterrupted(Call call) {
  while (true) {
    const auto result = call();
    if (result >= 0 || errno != EINTR) return result;
  }
}

// An owned file descriptor.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }
  int Release() { return std::exchange(fd_, -1); }
  bool ok() const { return fd_ >= 0; }

 private:
  int fd_;
};

// Says once that writes go through the page cache after all. Thread-safe.
class PageCacheNotice {
 public:
  void Give(absl::string_view path, int error) {
    if (given_.exchange(true)) return;
    base::LogInfo(
        "the filesystem of the journal does not write past the page cache; that is as safe, and "
        "costs more processor time and memory of the system",
        {{"file", path}, {"error", std::generic_category().message(error)}});
  }

 private:
  std::atomic<bool> given_ = false;
};

bool IsDirectable(uint64_t offset, absl::string_view data) {
  return offset % kDirectBytes == 0 && data.size() % kDirectBytes == 0 &&
         reinterpret_cast<uintptr_t>(data.data()) % kDirectBytes == 0;
}

class PosixFile final : public File {
 public:
  // `direct`: `fd` has O_DIRECT.
  PosixFile(Descriptor fd, std::string path, bool direct, std::shared_ptr<PageCacheNotice> notice)
      : fd_(std::move(fd)), path_(std::move(path)), notice_(std::move(notice)), direct_(direct) {}

  absl::Status Write(uint64_t offset, absl::string_view data) override {
    while (!data.empty()) {
      if (!IsDirectable(offset, data)) HOLDFAST_RETURN_IF_ERROR(LeaveDirect());
      const ssize_t written = Uninterrupted(
          [&] { return pwrite(fd_.get(), data.data(), data.size(), static_cast<off_t>(offset)); });
      if (written < 0 && errno == EINVAL && direct_) {
        // Its blocks are larger, or it took the flag and does not know what to do with it.
        notice_->Give(path_, EINVAL);
        HOLDFAST_RETURN_IF_ERROR(LeaveDirect());
        continue;
      }
      if (written < 0) return SystemError("write", path_, errno);
      // No progress and no reason given: going on would loop for ever.
      if (written == 0) return SystemError("write", path_, EIO);
      data.remove_prefix(static_cast<size_t>(written));
      offset += static_cast<uint64_t>(written);
    }
    return absl::OkStatus();
  }

  absl::Status Read(uint64_t offset, size_t length, std::string* data) override {
    HOLDFAST_RETURN_IF_ERROR(LeaveDirect());
    data->resize(length);
    size_t have = 0;
    while (have < length) {
      const ssize_t got = Uninterrupted([&] {
        return pread(fd_.get(), &(*data)[have], length - have, static_cast<off_t>(offset + have));
      });
      if (got < 0) {
        const int error = errno;
        data->clear();
        return SystemError("read", path_, error);
      }
      if (got == 0) break;
      have += static_cast<size_t>(got);
    }
    data->resize(have);
    return absl::OkStatus();
  }

  absl::Status Sync() override {
    if (Uninterrupted([&] { return fdatasync(fd_.get()); }) < 0) {
      return SystemError("fdatasync", path_, errno);
    }
    return absl::OkStatus();
  }

  absl::StatusOr<uint64_t> Size() override {
    struct stat status {};
    if (fstat(fd_.get(), &status) < 0) return SystemError("fstat", path_, errno);
    return static_cast<uint64_t>(status.st_size);
  }

 private:
  // From here on everything goes through the page cache.
  absl::Status LeaveDirect() {
    if (!direct_) return absl::OkStatus();
    const int flags = fcntl(fd_.get(), F_GETFL);
    if (flags < 0 || fcntl(fd_.get(), F_SETFL, flags & ~O_DIRECT) < 0) {
      return SystemError("fcntl", path_, errno);
    }
    direct_ = false;
    return absl::OkStatus();
  }

  const Descriptor fd_;
  const std::string path_;
  const std::shared_ptr<PageCacheNotice> notice_;
  std::atomic<bool> direct_;
};

class PosixDisk final : public Disk {
 public:
  // Without a lock it only looks.
  PosixDisk(std::string path, Descriptor folder, Descriptor lock, Persistence persistence)
      : path_(std::move(path)),
        folder_(std::move(folder)),
        lock_(std::move(lock)),
        persistence_(persistence) {}

  absl::StatusOr<std::unique_ptr<File>> Create(absl::string_view name) override {
    HOLDFAST_RETURN_IF_ERROR(MayChange("create", PathOf(name)));
    return OpenFile("create", name, O_RDWR | O_CREAT | O_EXCL, true);
  }

  absl::StatusOr<std::unique_ptr<File>> Open(absl::string_view name) override {
    return OpenFile("open", name, lock_.ok() ? O_RDWR : O_RDONLY, false);
  }

  absl::StatusOr<std::vector<std::string>> List() override;

  absl::Status Rename(absl::string_view from, absl::string_view to) override {
    HOLDFAST_RETURN_IF_ERROR(MayChange("rename", PathOf(from)));
    const int result = Uninterrupted([&] {
      return renameat(folder_.get(), Checked(from).c_str(), folder_.get(), Checked(to).c_str());
    });
    return result < 0 ? SystemError("rename", PathOf(from), errno) : absl::OkStatus();
  }

  absl::Status Remove(absl::string_view name) override {
    HOLDFAST_RETURN_IF_ERROR(MayChange("remove", PathOf(name)));
    const int result =
        Uninterrupted([&] { return unlinkat(folder_.get(), Checked(name).c_str(), 0); });
    return result < 0 ? SystemError("remove", PathOf(name), errno) : absl::OkStatus();
  }

  absl::Status SyncFolder() override {
    HOLDFAST_RETURN_IF_ERROR(MayChange("fsync", path_));
    const int result = Uninterrupted([&] { return fsync(folder_.get()); });
    return result < 0 ? SystemError("fsync", path_, errno) : absl::OkStatus();
  }

  absl::StatusOr<uint64_t> FreeBytes() override {
    struct statvfs status {};
    if (fstatvfs(folder_.get(), &status) < 0) return SystemError("statvfs", path_, errno);
    return uint64_t{status.f_bavail} * status.f_frsize;
  }

  Persistence persistence() override { return persistence_; }
  std::string path() const override { return path_; }

 private:
  // A name of ours is one file in this folder, never a way out of it.
  static std::string Checked(absl::string_view name) {
    HOLDFAST_CHECK(!name.empty() && name.find('/') == absl::string_view::npos);
    return std::string(name);
  }

  absl::Status MayChange(absl::string_view operation, absl::string_view object) const {
    if (lock_.ok()) return absl::OkStatus();
    return absl::FailedPreconditionError(
        absl::StrCat(operation, " ", object, ": the folder was opened to look only"));
  }

  std::string PathOf(absl::string_view name) const { return absl::StrCat(path_, "/", name); }

  absl::StatusOr<std::unique_ptr<File>> OpenFile(absl::string_view operation,
                                                 absl::string_view name, int flags, bool direct) {
    Descriptor fd(Uninterrupted([&] {
      return openat(folder_.get(), Checked(name).c_str(), flags | O_CLOEXEC | O_NOFOLLOW, 0600);
    }));
    if (!fd.ok()) return SystemError(operation, PathOf(name), errno);
    // Asked for on the open file: to create it with the flag may fail and leave the file behind.
    if (direct && fcntl(fd.get(), F_SETFL, O_DIRECT) < 0) {
      notice_->Give(PathOf(name), errno);
      direct = false;
    }
    return std::make_unique<PosixFile>(std::move(fd), PathOf(name), direct, notice_);
  }

  const std::string path_;
  const Descriptor folder_;
  const Descriptor lock_;
  const Persistence persistence_;
  const std::shared_ptr<PageCacheNotice> notice_ = std::make_shared<PageCacheNotice>();
};

absl::StatusOr<std::vector<std::string>> PosixDisk::List() {
  // A description of its own: those that share one share the place in the list.
  Descriptor copy(Uninterrupted(
      [&] { return openat(folder_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
  if (!copy.ok()) return SystemError("open", path_, errno);
  DIR* const listing = fdopendir(copy.get());
  if (listing == nullptr) return SystemError("list", path_, errno);
  copy.Release();  // closedir closes it.
  std::vector<std::string> names;
  int error = 0;
  while (true) {
    errno = 0;
    const dirent* const entry = readdir(listing);
    if (entry == nullptr) {
      error = errno;
      break;
    }
    const absl::string_view name(entry->d_name);
    struct stat status {};
    if (name == kLockName ||
        fstatat(folder_.get(), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) < 0 ||
        !S_ISREG(status.st_mode)) {
      continue;
    }
    names.emplace_back(name);
  }
  closedir(listing);
  if (error != 0) return SystemError("list", path_, error);
  std::sort(names.begin(), names.end());
  return names;
}

// Makes the folder if it is missing, and its entry in its parent durable.
absl::Status MakeFolder(const std::string& folder) {
  if (mkdir(folder.c_str(), 0700) < 0) {
    if (errno == EEXIST) return absl::OkStatus();
    return SystemError("mkdir", folder, errno);
  }
  std::string trimmed = folder;
  while (trimmed.size() > 1 && trimmed.back() == '/') trimmed.pop_back();
  const size_t slash = trimmed.rfind('/');
  const std::string parent = slash == std::string::npos ? "."
                             : slash == 0               ? "/"
                                                        : trimmed.substr(0, slash);
  Descriptor fd(
      Uninterrupted([&] { return open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
  if (!fd.ok()) return SystemError("open", parent, errno);
  if (Uninterrupted([&] { return fsync(fd.get()); }) < 0) {
    return SystemError("fsync", parent, errno);
  }
  return absl::OkStatus();
}

absl::StatusOr<Descriptor> OpenFolder(const std::string& folder) {
  Descriptor fd(
      Uninterrupted([&] { return open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
  if (!fd.ok()) return SystemError("open", folder, errno);
  return fd;
}

absl::StatusOr<Persistence> PersistenceOf(const Descriptor& fd, const std::string& folder) {
  struct statfs status {};
  if (fstatfs(fd.get(), &status) < 0) return SystemError("statfs", folder, errno);
  return FileSystemOf(status.f_type).persistence;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Disk>> OpenPosixDisk(const std::string& folder) {
  HOLDFAST_RETURN_IF_ERROR(MakeFolder(folder));
  HOLDFAST_ASSIGN_OR_RETURN(Descriptor fd, OpenFolder(folder));
  const std::string lock_path = absl::StrCat(folder, "/", kLockName);
  Descriptor lock(Uninterrupted([&] {
    return openat(fd.get(), std::string(kLockName).c_str(),
                  O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  }));
  if (!lock.ok()) return SystemError("open", lock_path, errno);
  // Held until the descriptor is closed, at the latest by the end of the process; never taken over.
  if (Uninterrupted([&] { return flock(lock.get(), LOCK_EX | LOCK_NB); }) < 0) {
    if (errno != EWOULDBLOCK) return SystemError("lock", lock_path, errno);
    return absl::FailedPreconditionError(
        absl::StrCat("folder ", folder,
                     " is in use by another process; stop it, or give this one its own folder"));
  }
  HOLDFAST_ASSIGN_OR_RETURN(const Persistence persistence, PersistenceOf(fd, folder));
  return std::make_unique<PosixDisk>(folder, std::move(fd), std::move(lock), persistence);
}

absl::StatusOr<std::unique_ptr<Disk>> OpenPosixDiskToLook(const std::string& folder) {
  HOLDFAST_ASSIGN_OR_RETURN(Descriptor fd, OpenFolder(folder));
  HOLDFAST_ASSIGN_OR_RETURN(const Persistence persistence, PersistenceOf(fd, folder));
  return std::make_unique<PosixDisk>(folder, std::move(fd), Descriptor(), persistence);
}

}  // namespace holdfast::disk
