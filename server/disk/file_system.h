// What kind of file system a folder is on.

#pragma once

#include <string>

#include "server/disk/disk.h"

namespace holdfast::disk {

struct FileSystem {
  std::string name;  // "ext4", "tmpfs"; its magic number in hexadecimal if it is no common one.
  Persistence persistence = Persistence::kDurable;
  bool is_remote = false;  // On another machine: locks and syncs depend on the network.
};

// By the number that statfs gives.
FileSystem FileSystemOf(long magic);

}  // namespace holdfast::disk
