// A disk on which recovery can run without changing anything: what it would remove, rename or sync
// stays as it is.

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "server/disk/disk.h"

namespace holdfast::inspect {

// As thread-safe as the disk below.
class LookingDisk final : public disk::Disk {
 public:
  // `below` must outlive it.
  explicit LookingDisk(disk::Disk& below) : below_(below) {}

  absl::StatusOr<std::unique_ptr<disk::File>> Create(absl::string_view name) override;
  absl::StatusOr<std::unique_ptr<disk::File>> Open(absl::string_view name) override {
    return below_.Open(name);
  }
  absl::StatusOr<std::vector<std::string>> List() override { return below_.List(); }

  // A recovery does these to what it will not look at again: it cannot tell the difference.
  absl::Status Rename(absl::string_view /*from*/, absl::string_view /*to*/) override {
    return absl::OkStatus();
  }
  absl::Status Remove(absl::string_view /*name*/) override { return absl::OkStatus(); }
  absl::Status SyncFolder() override { return absl::OkStatus(); }

  absl::StatusOr<uint64_t> FreeBytes() override { return below_.FreeBytes(); }
  disk::Persistence persistence() override { return below_.persistence(); }
  std::string path() const override { return below_.path(); }

 private:
  disk::Disk& below_;
};

}  // namespace holdfast::inspect
