#include "tests/support/forgetful_disk.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

#include "server/base/check.h"

namespace holdfast::test {
namespace {

constexpr uint64_t kSectorBytes = 512;

// A sector of `bytes`, short or empty at the end.
absl::string_view Sector(const std::string& bytes, uint64_t sector) {
  const uint64_t begin = sector * kSectorBytes;
  if (begin >= bytes.size()) return {};
  return absl::string_view(bytes).substr(begin, kSectorBytes);
}

}  // namespace

class ForgetfulDisk::Handle final : public disk::File {
 public:
  Handle(ForgetfulDisk& disk, std::shared_ptr<Inode> inode, uint64_t life)
      : disk_(disk), inode_(std::move(inode)), life_(life) {}

  absl::Status Write(uint64_t offset, absl::string_view data) override {
    return disk_.WriteTo(*inode_, offset, data, life_);
  }
  absl::Status Read(uint64_t offset, size_t length, std::string* data) override {
    return disk_.ReadFrom(*inode_, offset, length, data, life_);
  }
  absl::Status Sync() override { return disk_.SyncInode(*inode_, life_); }
  absl::StatusOr<uint64_t> Size() override {
    absl::MutexLock lock(&disk_.mu_);
    if (life_ != disk_.life_ || !disk_.power_) return disk_.Dead();
    return inode_->visible.size();
  }

 private:
  ForgetfulDisk& disk_;
  const std::shared_ptr<Inode> inode_;
  const uint64_t life_;
};

ForgetfulDisk::ForgetfulDisk(uint64_t seed) : random_(seed) {}
ForgetfulDisk::~ForgetfulDisk() = default;

absl::Status ForgetfulDisk::Dead() const { return absl::UnavailableError("the power is off"); }

absl::Status ForgetfulDisk::Begin(Call call, bool changes) {
  if (!power_) return Dead();
  if (changes && calls_left_ > 0 && --calls_left_ == 0) {
    power_ = false;
    return Dead();
  }
  const int count = ++calls_[static_cast<size_t>(call)];
  for (const Failure& failure : failures_) {
    if (failure.call == call && failure.at == count) return failure.status;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<disk::File>> ForgetfulDisk::Create(absl::string_view name) {
  absl::MutexLock lock(&mu_);
  if (absl::Status status = Begin(Call::kCreate, true); !status.ok()) return status;
  std::shared_ptr<Inode>& inode = visible_[std::string(name)];
  if (inode != nullptr) return absl::AlreadyExistsError(absl::StrCat("create ", name));
  inode = std::make_shared<Inode>();
  changes_.push_back({"", std::string(name), inode});
  return std::make_unique<Handle>(*this, inode, life_);
}

absl::StatusOr<std::unique_ptr<disk::File>> ForgetfulDisk::Open(absl::string_view name) {
  absl::MutexLock lock(&mu_);
  if (absl::Status status = Begin(Call::kOpen, false); !status.ok()) return status;
  const auto found = visible_.find(std::string(name));
  if (found == visible_.end()) return absl::NotFoundError(absl::StrCat("open ", name));
  return std::make_unique<Handle>(*this, found->second, life_);
}

absl::StatusOr<std::vector<std::string>> ForgetfulDisk::List() {
  absl::MutexLock lock(&mu_);
  if (!power_) return Dead();
  std::vector<std::string> names;
  for (const auto& [name, inode] : visible_) names.push_back(name);
  return names;
}

absl::Status ForgetfulDisk::Rename(absl::string_view from, absl::string_view to) {
  absl::MutexLock lock(&mu_);
  if (absl::Status status = Begin(Call::kRename, true); !status.ok()) return status;
  const auto found = visible_.find(std::string(from));
  if (found == visible_.end()) return absl::NotFoundError(absl::StrCat("rename ", from));
  std::shared_ptr<Inode> inode = found->second;
  visible_.erase(found);
  visible_[std::string(to)] = inode;
  changes_.push_back({std::string(from), std::string(to), std::move(inode)});
  return absl::OkStatus();
}

absl::Status ForgetfulDisk::Remove(absl::string_view name) {
  absl::MutexLock lock(&mu_);
  if (absl::Status status = Begin(Call::kRemove, true); !status.ok()) return status;
  const auto found = visible_.find(std::string(name));
  if (found == visible_.end()) return absl::NotFoundError(absl::StrCat("remove ", name));
  changes_.push_back({std::string(name), "", found->second});
  visible_.erase(found);
  return absl::OkStatus();
}

absl::Status ForgetfulDisk::SyncFolder() {
  absl::MutexLock lock(&mu_);
  if (absl::Status status = Begin(Call::kSyncFolder, true); !status.ok()) return status;
  durable_ = visible_;
  changes_.clear();
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> ForgetfulDisk::FreeBytes() {
  absl::MutexLock lock(&mu_);
  if (!power_) return Dead();
  const uint64_t used = UsedBytes();
  return used < capacity_ ? capacity_ - used : 0;
}

disk::Persistence ForgetfulDisk::persistence() {
  absl::MutexLock lock(&mu_);
  return persistence_;
}

absl::Status ForgetfulDisk::WriteTo(Inode& inode, uint64_t offset, absl::string_view data,
                                    uint64_t life) {
  absl::MutexLock lock(&mu_);
  if (life != life_) return Dead();
  const bool was_on = power_;
  if (absl::Status status = Begin(Call::kWrite, true); !status.ok()) {
    if (was_on) Store(inode, offset, data.substr(0, random_() % (data.size() + 1)));
    return status;
  }
  const uint64_t end = offset + data.size();
  const uint64_t growth = end > inode.visible.size() ? end - inode.visible.size() : 0;
  if (growth > 0 && UsedBytes() + growth > capacity_) {
    return absl::ResourceExhaustedError("no space left on device");
  }
  Store(inode, offset, data);
  return absl::OkStatus();
}

void ForgetfulDisk::Store(Inode& inode, uint64_t offset, absl::string_view data) {
  if (data.empty()) return;
  const uint64_t end = offset + data.size();
  if (end > inode.visible.size()) inode.visible.resize(end);
  std::copy(data.begin(), data.end(), inode.visible.begin() + static_cast<int64_t>(offset));
  for (uint64_t sector = offset / kSectorBytes; sector <= (end - 1) / kSectorBytes; ++sector) {
    inode.unsynced.insert(sector);
    inode.abandoned.erase(sector);
  }
}

absl::Status ForgetfulDisk::ReadFrom(Inode& inode, uint64_t offset, size_t length,
                                     std::string* data, uint64_t life) {
  absl::MutexLock lock(&mu_);
  data->clear();
  if (life != life_) return Dead();
  if (absl::Status status = Begin(Call::kRead, false); !status.ok()) return status;
  for (const auto& [begin, end] : inode.unreadable) {
    if (offset < end && begin < offset + length) {
      return absl::UnavailableError("read: Input/output error");
    }
  }
  if (offset < inode.visible.size()) *data = inode.visible.substr(offset, length);
  return absl::OkStatus();
}

absl::Status ForgetfulDisk::SyncInode(Inode& inode, uint64_t life) {
  absl::MutexLock lock(&mu_);
  if (life != life_) return Dead();
  if (absl::Status status = Begin(Call::kSync, true); !status.ok()) {
    if (power_) {
      inode.abandoned.insert(inode.unsynced.begin(), inode.unsynced.end());
      inode.unsynced.clear();
    }
    return status;
  }
  inode.durable.resize(std::max(inode.durable.size(), inode.visible.size()));
  for (const uint64_t sector : inode.unsynced) {
    const absl::string_view bytes = Sector(inode.visible, sector);
    std::copy(bytes.begin(), bytes.end(),
              inode.durable.begin() + static_cast<int64_t>(sector * kSectorBytes));
  }
  inode.unsynced.clear();
  return absl::OkStatus();
}

void ForgetfulDisk::PowerOff() {
  absl::MutexLock lock(&mu_);
  power_ = false;
}

bool ForgetfulDisk::is_on() const {
  absl::MutexLock lock(&mu_);
  return power_;
}

void ForgetfulDisk::PowerOffAfter(int calls) {
  absl::MutexLock lock(&mu_);
  calls_left_ = calls;
}

void ForgetfulDisk::PowerOn(End end) {
  absl::MutexLock lock(&mu_);
  if (end == End::kPowerCut) {
    ForgetFolder();
    for (auto& [name, inode] : visible_) Forget(*inode);
  }
  ++life_;
  power_ = true;
  calls_left_ = 0;
  failures_.clear();
}

// Each unsynced sector is there, or not, or half there.
void ForgetfulDisk::Forget(Inode& inode) {
  std::string left = inode.durable;
  if (left.size() < inode.visible.size() && Coin()) {
    left.resize(left.size() + random_() % (inode.visible.size() - left.size() + 1));
  }
  for (const uint64_t sector : inode.unsynced) {
    if (Coin()) continue;
    absl::string_view bytes = Sector(inode.visible, sector);
    if (random_() % 8 == 0) bytes = bytes.substr(0, random_() % (bytes.size() + 1));
    const uint64_t begin = sector * kSectorBytes;
    for (uint64_t i = 0; i < bytes.size() && begin + i < left.size(); ++i) {
      left[begin + i] = bytes[i];
    }
  }
  inode.visible = left;
  inode.durable = std::move(left);
  inode.unsynced.clear();
  inode.abandoned.clear();
}

// Any subset of the changes, but each whole.
void ForgetfulDisk::ForgetFolder() {
  Names names = durable_;
  for (const FolderChange& change : changes_) {
    if (Coin()) continue;
    if (!change.from.empty()) names.erase(change.from);
    if (!change.to.empty()) names[change.to] = change.inode;
  }
  visible_ = names;
  durable_ = std::move(names);
  changes_.clear();
}

void ForgetfulDisk::FailNth(Call call, int n, absl::Status status) {
  absl::MutexLock lock(&mu_);
  failures_.push_back({call, calls_[static_cast<size_t>(call)] + n, std::move(status)});
}

void ForgetfulDisk::ForgetFailures() {
  absl::MutexLock lock(&mu_);
  failures_.clear();
  calls_left_ = 0;
}

int ForgetfulDisk::calls(Call call) const {
  absl::MutexLock lock(&mu_);
  return calls_[static_cast<size_t>(call)];
}

void ForgetfulDisk::set_capacity(uint64_t bytes) {
  absl::MutexLock lock(&mu_);
  capacity_ = bytes;
}

void ForgetfulDisk::set_persistence(disk::Persistence persistence) {
  absl::MutexLock lock(&mu_);
  persistence_ = persistence;
}

uint64_t ForgetfulDisk::UsedBytes() const {
  uint64_t used = 0;
  for (const auto& [name, inode] : visible_) used += inode->visible.size();
  return used;
}

std::shared_ptr<ForgetfulDisk::Inode> ForgetfulDisk::Find(const std::string& name) const {
  const auto found = visible_.find(name);
  HOLDFAST_CHECK(found != visible_.end());
  return found->second;
}

std::string ForgetfulDisk::Contents(const std::string& name) const {
  absl::MutexLock lock(&mu_);
  return Find(name)->visible;
}

void ForgetfulDisk::Put(const std::string& name, std::string contents) {
  absl::MutexLock lock(&mu_);
  auto inode = std::make_shared<Inode>();
  inode->visible = contents;
  inode->durable = std::move(contents);
  visible_[name] = inode;
  durable_[name] = std::move(inode);
}

void ForgetfulDisk::Erase(const std::string& name) {
  absl::MutexLock lock(&mu_);
  visible_.erase(name);
  durable_.erase(name);
}

void ForgetfulDisk::FlipBit(const std::string& name, uint64_t byte, int bit) {
  absl::MutexLock lock(&mu_);
  Inode& inode = *Find(name);
  for (std::string* image : {&inode.visible, &inode.durable}) {
    if (byte < image->size()) (*image)[byte] = static_cast<char>((*image)[byte] ^ (1 << bit));
  }
}

void ForgetfulDisk::Overwrite(const std::string& name, uint64_t offset, absl::string_view bytes) {
  absl::MutexLock lock(&mu_);
  Inode& inode = *Find(name);
  for (std::string* image : {&inode.visible, &inode.durable}) {
    for (uint64_t i = 0; i < bytes.size() && offset + i < image->size(); ++i) {
      (*image)[offset + i] = bytes[i];
    }
  }
}

void ForgetfulDisk::Truncate(const std::string& name, uint64_t size) {
  absl::MutexLock lock(&mu_);
  Inode& inode = *Find(name);
  for (std::string* image : {&inode.visible, &inode.durable}) {
    if (size < image->size()) image->resize(size);
  }
}

void ForgetfulDisk::MakeUnreadable(const std::string& name, uint64_t begin, uint64_t end) {
  absl::MutexLock lock(&mu_);
  Find(name)->unreadable.push_back({begin, end});
}

void ForgetfulDisk::MakeReadable(const std::string& name) {
  absl::MutexLock lock(&mu_);
  Find(name)->unreadable.clear();
}

}  // namespace holdfast::test
