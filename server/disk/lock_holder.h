// Who holds a journal's folder, asked without touching its lock: one that was held even for a
// moment would keep a daemon that starts just then from its journal.

#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace holdfast::disk {

// The file in a folder whose lock is the folder's.
inline constexpr absl::string_view kLockName = "lock";

// The process that holds the lock of `folder`; 0 if the kernel does not name it here, as that of
// another pid namespace; nothing if nobody holds it, or there is no such folder. From the kernel's
// list of locks (proc(5), /proc/locks), which does not show those of all namespaces everywhere.
// UNAVAILABLE if there is no such list.
absl::StatusOr<std::optional<pid_t>> LockHolder(const std::string& folder);

}  // namespace holdfast::disk
