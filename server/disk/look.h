// A folder for one who only looks, beside the process that holds it.

#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"

#include "server/disk/disk.h"

namespace holdfast::disk {

// As OpenPosixDisk, but makes no folder, takes no lock, and opens files for reading: whatever would
// change something fails with FAILED_PRECONDITION. The one who holds the lock may go on writing
// meanwhile. NOT_FOUND if there is no folder.
absl::StatusOr<std::unique_ptr<Disk>> OpenPosixDiskToLook(const std::string& folder);

}  // namespace holdfast::disk
