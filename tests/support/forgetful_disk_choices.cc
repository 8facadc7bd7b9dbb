// Every single choice that a power cut makes, one by one.

#include <algorithm>
#include <utility>

#include "server/base/check.h"
#include "tests/support/forgetful_disk.h"

namespace holdfast::test {
namespace {

constexpr uint64_t kSectorBytes = 512;

std::string SectorOf(const std::string& bytes, uint64_t sector) {
  const uint64_t begin = sector * kSectorBytes;
  return begin < bytes.size() ? bytes.substr(begin, kSectorBytes) : std::string();
}

bool IsZero(const std::string& bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](char byte) { return byte == '\0'; });
}

}  // namespace

size_t ForgetfulDisk::undecided() const {
  const std::unique_ptr<ForgetfulDisk> copy = Clone();
  absl::MutexLock lock(&copy->mu_);
  size_t count = 0;
  copy->Decide([&count] {
    ++count;
    return true;
  });
  return count;
}

void ForgetfulDisk::PowerOnKeeping(uint64_t keeps) {
  {
    absl::MutexLock lock(&mu_);
    Decide([&keeps] {
      const bool keep = (keeps & 1) != 0;
      keeps >>= 1;
      return keep;
    });
  }
  // Nothing is left to be forgotten.
  PowerOn(End::kKill);
}

std::unique_ptr<ForgetfulDisk> ForgetfulDisk::Clone() const {
  auto copy = std::make_unique<ForgetfulDisk>();
  absl::MutexLock lock(&mu_);
  HOLDFAST_CHECK(!power_);
  absl::MutexLock copy_lock(&copy->mu_);
  std::map<const Inode*, std::shared_ptr<Inode>> copies;
  const auto copy_of = [&copies](const std::shared_ptr<Inode>& inode) {
    std::shared_ptr<Inode>& made = copies[inode.get()];
    if (made == nullptr) made = std::make_shared<Inode>(*inode);
    return made;
  };
  for (const auto& [name, inode] : visible_) copy->visible_[name] = copy_of(inode);
  for (const auto& [name, inode] : durable_) copy->durable_[name] = copy_of(inode);
  for (const FolderChange& change : changes_) {
    copy->changes_.push_back({change.from, change.to, copy_of(change.inode)});
  }
  copy->power_ = false;
  copy->capacity_ = capacity_;
  return copy;
}

void ForgetfulDisk::Decide(const std::function<bool()>& keep) {
  // Sectors first: they belong to files, whatever these are called afterwards.
  std::set<Inode*> seen;
  const auto decide = [&](const std::shared_ptr<Inode>& inode) {
    if (!seen.insert(inode.get()).second) return;
    std::string left = inode->durable;
    if (left.size() < inode->visible.size() && keep()) left.resize(inode->visible.size());
    for (const uint64_t sector : inode->unsynced) {
      const std::string bytes = SectorOf(inode->visible, sector);
      const std::string before = SectorOf(inode->durable, sector);
      if (bytes == before || (before.empty() && IsZero(bytes)) || !keep()) continue;
      left.resize(std::max<size_t>(left.size(), sector * kSectorBytes + bytes.size()));
      std::copy(bytes.begin(), bytes.end(),
                left.begin() + static_cast<int64_t>(sector * kSectorBytes));
    }
    inode->visible = left;
    inode->durable = std::move(left);
    inode->unsynced.clear();
    inode->abandoned.clear();
  };
  for (const auto& [name, inode] : visible_) decide(inode);
  for (const auto& [name, inode] : durable_) decide(inode);
  Names names = durable_;
  for (const FolderChange& change : changes_) {
    if (!keep()) continue;
    if (!change.from.empty()) names.erase(change.from);
    if (!change.to.empty()) names[change.to] = change.inode;
  }
  visible_ = names;
  durable_ = std::move(names);
  changes_.clear();
}

}  // namespace holdfast::test
