#include "server/inspect/looking_disk.h"

#include "absl/strings/str_cat.h"

namespace holdfast::inspect {

absl::StatusOr<std::unique_ptr<disk::File>> LookingDisk::Create(absl::string_view name) {
  return absl::FailedPreconditionError(
      absl::StrCat("create ", path(), "/", name, ": the folder is only looked at"));
}

}  // namespace holdfast::inspect
