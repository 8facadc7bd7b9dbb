// What `holdfastd --inspect_journal=...` is asked, from its words.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "server/event/event_id.h"
#include "server/event/kind.h"

namespace holdfast::inspect {

// Which events are exported.
struct Selection {
  std::optional<event::Id> producer = std::nullopt;
  std::optional<event::Kind> kind = std::nullopt;
  uint64_t from_offset = 1;
  uint64_t to_offset = UINT64_MAX;  // Itself included.
  bool pending_only = false;        // Needs positions.
};

struct Request {
  enum class What { kList, kVerify, kExport };
  What what = What::kList;
  Selection selection;        // Of an export.
  bool ask_database = false;  // For positions.
};

// `what` is ls, verify or export; `flags` are what stands behind "--":
//   ls      --database            also asks the database what is delivered
//   export  --producer=UUID --kind=KIND --from_offset=N --to_offset=N --pending_only
// InvalidArgument names what will not do.
absl::StatusOr<Request> ParseRequest(absl::string_view what, const std::vector<std::string>& flags);

}  // namespace holdfast::inspect
