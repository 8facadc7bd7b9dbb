// Which quarantined events a command is about: by their numbers, or all that filters let through.

#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "client/cli/admin_call.h"
#include "client/cli/command.h"
#include "holdfast/v1/admin.pb.h"

namespace holdfast::client {

// The filters, as flags.
std::vector<Flag> FilterFlags();

// What they say.
class QuarantineFilter final {
 public:
  // INVALID_ARGUMENT that names the flag.
  static absl::StatusOr<QuarantineFilter> Read(const Arguments& arguments);

  bool Matches(const v1::QuarantinedEvent& event) const;
  // Whether no filter was given.
  bool empty() const { return !any_; }

 private:
  std::string kind_;
  std::string column_;
  std::string lane_;
  std::optional<uint64_t> errno_code_;
  absl::Time since_ = absl::InfinitePast();
  bool any_ = false;
};

// The numbers among the operands. INVALID_ARGUMENT that names the one that is none.
absl::StatusOr<std::vector<uint64_t>> ReadIds(const Arguments& arguments);

// Asks for every page and hands each event that matches to `take`, newest first, until it returns
// false.
absl::Status ForEachQuarantined(AdminCaller& caller, const QuarantineFilter& filter,
                                bool include_settled,
                                const std::function<bool(const v1::QuarantinedEvent&)>& take);

// The numbers to settle: the operands, or with --all those that wait and match. An empty list
// means that there are none.
absl::StatusOr<std::vector<uint64_t>> ChooseIds(AdminCaller& caller, const Arguments& arguments);

// INVALID_ARGUMENT unless there are either numbers, or --all with or without filters.
absl::Status CheckChoice(const Arguments& arguments);

}  // namespace holdfast::client
