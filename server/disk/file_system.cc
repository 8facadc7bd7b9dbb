#include "server/disk/file_system.h"

#include <linux/magic.h>

#include "absl/strings/str_cat.h"

namespace holdfast::disk {
namespace {

struct Known {
  long magic;
  const char* name;
  Persistence persistence;
  bool is_remote;
};

// Those that linux/magic.h leaves out are named in statfs(2).
constexpr Known kKnown[] = {
    {EXT4_SUPER_MAGIC, "ext4", Persistence::kDurable, false},
    {0x58465342, "xfs", Persistence::kDurable, false},
    {BTRFS_SUPER_MAGIC, "btrfs", Persistence::kDurable, false},
    {F2FS_SUPER_MAGIC, "f2fs", Persistence::kDurable, false},
    {0x2FC12FC1, "zfs", Persistence::kDurable, false},
    {TMPFS_MAGIC, "tmpfs", Persistence::kVolatile, false},
    {RAMFS_MAGIC, "ramfs", Persistence::kVolatile, false},
    {OVERLAYFS_SUPER_MAGIC, "overlay", Persistence::kVolatile, false},
    {NFS_SUPER_MAGIC, "nfs", Persistence::kDurable, true},
    {SMB_SUPER_MAGIC, "smb", Persistence::kDurable, true},
    {0xFF534D42, "cifs", Persistence::kDurable, true},
    {0xFE534D42, "smb2", Persistence::kDurable, true},
    {0x00C36400, "ceph", Persistence::kDurable, true},
    {V9FS_MAGIC, "9p", Persistence::kDurable, true},
    {0x65735546, "fuse", Persistence::kDurable, false},
};

}  // namespace

FileSystem FileSystemOf(long magic) {
  for (const Known& known : kKnown) {
    if (known.magic == magic) return {known.name, known.persistence, known.is_remote};
  }
  return {absl::StrCat("0x", absl::Hex(magic)), Persistence::kDurable, false};
}

}  // namespace holdfast::disk
