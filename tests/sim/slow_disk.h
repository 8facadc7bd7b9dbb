// A forgetful disk that takes time, so that other threads run before, within and after each of its
// calls, and that can die at the n-th of them.

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "server/disk/disk.h"
#include "tests/sim/scheduler.h"
#include "tests/support/forgetful_disk.h"

namespace holdfast::sim {

class SlowDisk final : public disk::Disk {
 public:
  SlowDisk(test::ForgetfulDisk& disk, Scheduler& clock, uint64_t seed)
      : disk_(disk), clock_(clock), random_(seed) {}

  absl::StatusOr<std::unique_ptr<disk::File>> Create(absl::string_view name) override;
  absl::StatusOr<std::unique_ptr<disk::File>> Open(absl::string_view name) override;
  absl::StatusOr<std::vector<std::string>> List() override { return disk_.List(); }
  absl::Status Rename(absl::string_view from, absl::string_view to) override;
  absl::Status Remove(absl::string_view name) override;
  absl::Status SyncFolder() override;
  absl::StatusOr<uint64_t> FreeBytes() override { return disk_.FreeBytes(); }
  disk::Persistence persistence() override { return disk_.persistence(); }
  std::string path() const override { return disk_.path(); }

  // A call takes up to so long; zero while the disk is to be quick.
  void set_call_max(absl::Duration most) { call_max_ = most; }

 private:
  class SlowFile;
  // Around each call that changes something.
  void Spend();

  test::ForgetfulDisk& disk_;
  Scheduler& clock_;
  Random random_;
  absl::Duration call_max_ = absl::Microseconds(300);
};

}  // namespace holdfast::sim
