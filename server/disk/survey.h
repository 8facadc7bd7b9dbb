// A look at a journal's folder that changes nothing in it and takes no lock, so that it may be
// taken beside the process that uses it.

#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "server/base/clock.h"
#include "server/disk/file_system.h"

namespace holdfast::disk {

struct Survey {
  absl::Status found;  // Why there is no folder to look at; the rest is empty then.

  FileSystem file_system;
  uint32_t mode = 0;  // Permission bits.
  uint32_t owner = 0;
  absl::Status writable;    // Why this process cannot make files in it.
  uint64_t free_bytes = 0;  // That an unprivileged process may still write.
  uint64_t used_bytes = 0;  // By the files in it.

  absl::StatusOr<std::optional<pid_t>> holder = std::optional<pid_t>();  // As LockHolder says.

  std::vector<absl::Duration> syncs;  // How long each write of a block and fdatasync took.
  absl::Status sync_failure;
};

// Measures `syncs` in a file without a name, which goes with the call whatever happens. May hang
// where the disk does.
Survey SurveyFolder(const std::string& folder, int syncs, base::Clock& clock);

}  // namespace holdfast::disk
