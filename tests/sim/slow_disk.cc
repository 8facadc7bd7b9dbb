#include "tests/sim/slow_disk.h"

#include <utility>

namespace holdfast::sim {

class SlowDisk::SlowFile final : public disk::File {
 public:
  SlowFile(SlowDisk& disk, std::unique_ptr<disk::File> file)
      : disk_(disk), file_(std::move(file)) {}

  absl::Status Write(uint64_t offset, absl::string_view data) override {
    disk_.Spend();
    return file_->Write(offset, data);
  }
  absl::Status Read(uint64_t offset, size_t length, std::string* data) override {
    return file_->Read(offset, length, data);
  }
  absl::Status Sync() override {
    disk_.Spend();
    const absl::Status status = file_->Sync();
    disk_.Spend();
    return status;
  }
  absl::StatusOr<uint64_t> Size() override { return file_->Size(); }

 private:
  SlowDisk& disk_;
  const std::unique_ptr<disk::File> file_;
};

void SlowDisk::Spend() { clock_.Spend(random_.ShortDuration(call_max_)); }

absl::StatusOr<std::unique_ptr<disk::File>> SlowDisk::Create(absl::string_view name) {
  absl::StatusOr<std::unique_ptr<disk::File>> file = disk_.Create(name);
  if (!file.ok()) return file;
  return std::make_unique<SlowFile>(*this, *std::move(file));
}

absl::StatusOr<std::unique_ptr<disk::File>> SlowDisk::Open(absl::string_view name) {
  absl::StatusOr<std::unique_ptr<disk::File>> file = disk_.Open(name);
  if (!file.ok()) return file;
  return std::make_unique<SlowFile>(*this, *std::move(file));
}

absl::Status SlowDisk::Rename(absl::string_view from, absl::string_view to) {
  Spend();
  return disk_.Rename(from, to);
}

absl::Status SlowDisk::Remove(absl::string_view name) {
  Spend();
  return disk_.Remove(name);
}

absl::Status SlowDisk::SyncFolder() {
  Spend();
  return disk_.SyncFolder();
}

}  // namespace holdfast::sim
