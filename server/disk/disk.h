// The little of a filesystem that a journal needs: one folder, whole files in it. Narrow so that a
// test can stand in for it: a disk that forgets what was not synced, tears, or fails at the n-th
// call.
//
// Errors: NOT_FOUND, ALREADY_EXISTS, RESOURCE_EXHAUSTED (no space, quota, no descriptors), and
// UNAVAILABLE for every other I/O error; each names the operation, the file and the system's
// reason. After a failed Write or Sync nothing is known of the bytes concerned.

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace holdfast::disk {

// An open file. Closed by the destructor. Calls on distinct ranges are thread-safe.
class File {
 public:
  virtual ~File() = default;

  // Writes all of `data` at `offset`, however many system calls that takes. Into a file that was
  // created here (Disk::Create), and so long as nothing else was done with it than to write whole
  // blocks from a Buffer (buffer.h), past the page cache if the filesystem can: what a journal
  // writes it does not read soon. Durable is either only after Sync.
  virtual absl::Status Write(uint64_t offset, absl::string_view data) = 0;

  // Reads up to `length` bytes at `offset`; fewer only at the end of the file.
  virtual absl::Status Read(uint64_t offset, size_t length, std::string* data) = 0;

  // When it returns OK, everything written before the call survives a power cut (fdatasync).
  virtual absl::Status Sync() = 0;

  virtual absl::StatusOr<uint64_t> Size() = 0;
};

// How long a file there lives.
enum class Persistence {
  kDurable,
  kVolatile,  // tmpfs or an overlay: does not survive the machine, or the pod.
};

// One folder, made if need be with mode 0700 and locked for the life of the object: a second
// opening, by this or another process, fails with FAILED_PRECONDITION. Thread-safe.
class Disk {
 public:
  virtual ~Disk() = default;

  // A new file, mode 0600. ALREADY_EXISTS if there is one.
  virtual absl::StatusOr<std::unique_ptr<File>> Create(absl::string_view name) = 0;

  virtual absl::StatusOr<std::unique_ptr<File>> Open(absl::string_view name) = 0;

  // Names of all files, sorted.
  virtual absl::StatusOr<std::vector<std::string>> List() = 0;

  virtual absl::Status Rename(absl::string_view from, absl::string_view to) = 0;
  virtual absl::Status Remove(absl::string_view name) = 0;

  // When it returns OK, what was created, renamed and removed before survives a power cut.
  virtual absl::Status SyncFolder() = 0;

  // Bytes that an unprivileged process may still write.
  virtual absl::StatusOr<uint64_t> FreeBytes() = 0;

  virtual Persistence persistence() = 0;

  // For messages.
  virtual std::string path() const = 0;
};

// The real one. FAILED_PRECONDITION if the folder is in use by another process.
absl::StatusOr<std::unique_ptr<Disk>> OpenPosixDisk(const std::string& folder);

}  // namespace holdfast::disk
