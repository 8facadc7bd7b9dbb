// A disk in memory that does to a program what real ones do: at a power cut it forgets any part of
// what was not synced, in any order, down to half a sector; after a failed sync it lies; it runs
// full, fails at the n-th call, and rots.

#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"

#include "server/disk/disk.h"

namespace holdfast::test {

// Thread-safe. Files stay usable as long as they are held, whether or not the disk has forgotten
// them.
class ForgetfulDisk final : public disk::Disk {
 public:
  // Everything random comes from `seed`.
  explicit ForgetfulDisk(uint64_t seed = 1);
  ~ForgetfulDisk() override;

  absl::StatusOr<std::unique_ptr<disk::File>> Create(absl::string_view name) override;
  absl::StatusOr<std::unique_ptr<disk::File>> Open(absl::string_view name) override;
  absl::StatusOr<std::vector<std::string>> List() override;
  absl::Status Rename(absl::string_view from, absl::string_view to) override;
  absl::Status Remove(absl::string_view name) override;
  absl::Status SyncFolder() override;
  absl::StatusOr<uint64_t> FreeBytes() override;
  disk::Persistence persistence() override;
  std::string path() const override { return "/forgetful"; }

  // Power and processes. While the power is off every call fails with UNAVAILABLE and does nothing.
  enum class End {
    kPowerCut,  // Any subset of what was not synced is gone.
    kKill,      // The process died; the system, with its page cache, went on.
  };
  void PowerOff();
  bool is_on() const;
  // The power goes off in the middle of the `calls`-th changing call from now: a write is half
  // done.
  void PowerOffAfter(int calls);
  // On again, after what `end` has done. Files that were open before stay dead; failures that have
  // not struck yet are forgotten.
  void PowerOn(End end);

  // For trying everything that a power cut may leave. What it may keep or lose, each by itself: a
  // change of the folder, the growth of a file, a sector whose bytes differ.
  size_t undecided() const;
  // As PowerOn(kPowerCut); of what is undecided, that is kept whose bit is set.
  void PowerOnKeeping(uint64_t keeps);
  // Another disk in the same state. REQUIRES: the power is off.
  std::unique_ptr<ForgetfulDisk> Clone() const;

  // Failures. The `n`-th call from now (1 is the next) of that kind fails with `status`, once. A
  // failed write has written half; after a failed sync what it should have made durable never will
  // be, though it can be read until the power is cut, and the next sync returns OK.
  enum class Call { kCreate, kOpen, kRead, kWrite, kSync, kRename, kRemove, kSyncFolder };
  void FailNth(Call call, int n, absl::Status status);
  // What has not struck yet will not.
  void ForgetFailures();
  int calls(Call call) const;

  // All files together; writes that need more fail with RESOURCE_EXHAUSTED.
  void set_capacity(uint64_t bytes);
  void set_persistence(disk::Persistence persistence);

  // Media. What is put or damaged here is durable at once.
  std::string Contents(const std::string& name) const;
  void Put(const std::string& name, std::string contents);
  void Erase(const std::string& name);
  void FlipBit(const std::string& name, uint64_t byte, int bit);
  void Overwrite(const std::string& name, uint64_t offset, absl::string_view bytes);
  void Truncate(const std::string& name, uint64_t size);
  // Reads that touch [begin, end) of the file fail with UNAVAILABLE.
  void MakeUnreadable(const std::string& name, uint64_t begin, uint64_t end);
  void MakeReadable(const std::string& name);

 private:
  class Handle;
  struct Inode {
    std::string visible;          // What a read sees.
    std::string durable;          // What a power cut leaves for certain.
    std::set<uint64_t> unsynced;  // Sectors of `visible` that a cut may take or leave.
    // Sectors that a failed sync has given up: they look written, and are not.
    std::set<uint64_t> abandoned;
    std::vector<std::pair<uint64_t, uint64_t>> unreadable;
  };
  using Names = std::map<std::string, std::shared_ptr<Inode>>;
  // A change of the folder that is not synced yet. An empty `from`: created; an empty `to`:
  // removed.
  struct FolderChange {
    std::string from;
    std::string to;
    std::shared_ptr<Inode> inode;
  };

  absl::Status Begin(Call call, bool changes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status WriteTo(Inode& inode, uint64_t offset, absl::string_view data, uint64_t life);
  absl::Status ReadFrom(Inode& inode, uint64_t offset, size_t length, std::string* data,
                        uint64_t life);
  absl::Status SyncInode(Inode& inode, uint64_t life);
  void Store(Inode& inode, uint64_t offset, absl::string_view data)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Forget(Inode& inode) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Tells of each thing that a cut may keep, and keeps those for which `keep` returns true.
  void Decide(const std::function<bool()>& keep) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ForgetFolder() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool Coin() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return (random_() & 1) != 0; }
  uint64_t UsedBytes() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  std::shared_ptr<Inode> Find(const std::string& name) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status Dead() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  mutable absl::Mutex mu_;
  std::mt19937_64 random_ ABSL_GUARDED_BY(mu_);
  Names visible_ ABSL_GUARDED_BY(mu_);
  Names durable_ ABSL_GUARDED_BY(mu_);
  std::vector<FolderChange> changes_ ABSL_GUARDED_BY(mu_);
  uint64_t life_ ABSL_GUARDED_BY(mu_) = 0;  // Counts PowerOn; older handles are dead.
  bool power_ ABSL_GUARDED_BY(mu_) = true;
  int calls_left_ ABSL_GUARDED_BY(mu_) = 0;  // 0: unlimited.
  uint64_t capacity_ ABSL_GUARDED_BY(mu_) = uint64_t{1} << 40;
  disk::Persistence persistence_ ABSL_GUARDED_BY(mu_) = disk::Persistence::kDurable;
  std::array<int, 8> calls_ ABSL_GUARDED_BY(mu_) = {};
  struct Failure {
    Call call;
    int at;  // The value of calls_ at which it strikes.
    absl::Status status;
  };
  std::vector<Failure> failures_ ABSL_GUARDED_BY(mu_);
};

}  // namespace holdfast::test
