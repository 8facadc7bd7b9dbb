// What a diagnosis has found so far: a sentence each, with what it means and what to do.

#pragma once

#include <string>

#include "absl/strings/string_view.h"

#include "holdfast/v1/admin.pb.h"

namespace holdfast::diagnosis {

// In the order in which they are added. `check` is a word or two that stays the same from run to
// run. Texts hold no secret and no event's content. Not thread-safe.
class Findings final {
 public:
  void Ok(absl::string_view check, absl::string_view found);
  // Not looked at: "needs login".
  void Skip(absl::string_view check, absl::string_view why);
  void Warn(absl::string_view check, absl::string_view found, absl::string_view meaning,
            absl::string_view remedy);
  void Problem(absl::string_view check, absl::string_view found, absl::string_view meaning,
               absl::string_view remedy);
  void Add(v1::FindingLevel level, absl::string_view check, absl::string_view found,
           absl::string_view meaning, absl::string_view remedy);

  // The worst level of `check`; FINDING_LEVEL_UNSPECIFIED if it has none.
  v1::FindingLevel Worst(absl::string_view check) const;

  const v1::DiagnoseResponse& response() const { return response_; }
  v1::DiagnoseResponse& response() { return response_; }

 private:
  v1::DiagnoseResponse response_;
};

}  // namespace holdfast::diagnosis
