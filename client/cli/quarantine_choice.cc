#include "client/cli/quarantine_choice.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace holdfast::client {
namespace {

constexpr uint32_t kPageSize = 500;

}  // namespace

std::vector<Flag> FilterFlags() {
  return {{.name = "kind",
           .value = "KIND",
           .help = "Only events of this kind.",
           .choices = {"usage", "rate_limit", "message"}},
          {.name = "errno",
           .value = "N",
           .help = "Only those refused with this error number; 0: conflicts."},
          {.name = "column", .value = "NAME", .help = "Only those refused for this column."},
          {.name = "lane", .value = "NAME", .help = "Only those of this lane, as in usage-2."},
          {.name = "since",
           .value = "TIME",
           .help = "Only those last refused within this time, as in 15m or 24h."}};
}

absl::StatusOr<QuarantineFilter> QuarantineFilter::Read(const Arguments& arguments) {
  QuarantineFilter filter;
  for (const Flag& flag : FilterFlags()) filter.any_ = filter.any_ || arguments.Has(flag.name);
  filter.kind_ = arguments.Get("kind", "");
  if (arguments.Has("kind") && filter.kind_ != "usage" && filter.kind_ != "rate_limit" &&
      filter.kind_ != "message") {
    return absl::InvalidArgumentError(absl::StrCat(
        "--kind=", filter.kind_, " is not possible: usage, rate_limit or message is needed"));
  }
  filter.column_ = arguments.Get("column", "");
  filter.lane_ = arguments.Get("lane", "");
  if (arguments.Has("errno")) {
    const auto number = arguments.GetNumber("errno", 0, 0);
    if (!number.ok()) return number.status();
    filter.errno_code_ = *number;
  }
  if (arguments.Has("since")) {
    const auto since = arguments.GetDuration("since", absl::ZeroDuration());
    if (!since.ok()) return since.status();
    filter.since_ = absl::Now() - *since;
  }
  return filter;
}

bool QuarantineFilter::Matches(const v1::QuarantinedEvent& event) const {
  const absl::Time last_at =
      absl::FromUnixSeconds(event.last_at().seconds()) + absl::Nanoseconds(event.last_at().nanos());
  return (kind_.empty() || event.kind() == kind_) &&
         (column_.empty() || event.column() == column_) &&
         (lane_.empty() || event.lane() == lane_) &&
         (!errno_code_.has_value() || event.errno_code() == *errno_code_) && last_at >= since_;
}

absl::StatusOr<std::vector<uint64_t>> ReadIds(const Arguments& arguments) {
  std::vector<uint64_t> ids;
  for (const std::string& word : arguments.positional()) {
    uint64_t id = 0;
    if (!absl::SimpleAtoi(word, &id) || id == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat(word, " is no ID: a number from `holdfast quarantine ls` is needed"));
    }
    ids.push_back(id);
  }
  return ids;
}

absl::Status CheckChoice(const Arguments& arguments) {
  const auto filter = QuarantineFilter::Read(arguments);
  if (!filter.ok()) return filter.status();
  const auto ids = ReadIds(arguments);
  if (!ids.ok()) return ids.status();
  if (arguments.Has("all") && !ids->empty()) {
    return absl::InvalidArgumentError("IDs and --all are two choices; make one");
  }
  if (!arguments.Has("all") && ids->empty()) {
    return absl::InvalidArgumentError(
        "which events? IDs from `holdfast quarantine ls`, or --all, alone or with filters");
  }
  if (!filter->empty() && !ids->empty()) {
    return absl::InvalidArgumentError("filters go with --all, not with IDs");
  }
  return absl::OkStatus();
}

absl::Status ForEachQuarantined(AdminCaller& caller, const QuarantineFilter& filter,
                                bool include_settled,
                                const std::function<bool(const v1::QuarantinedEvent&)>& take) {
  v1::ListQuarantineRequest request;
  request.set_page_size(kPageSize);
  request.set_include_settled(include_settled);
  while (true) {
    const auto page = caller.Call(&AdminCaller::Stub::ListQuarantine, request);
    if (!page.ok()) return page.status();
    for (const v1::QuarantinedEvent& event : page->events()) {
      if (filter.Matches(event) && !take(event)) return absl::OkStatus();
    }
    if (page->next_page_token().empty()) return absl::OkStatus();
    request.set_page_token(page->next_page_token());
  }
}

absl::StatusOr<std::vector<uint64_t>> ChooseIds(AdminCaller& caller, const Arguments& arguments) {
  if (!arguments.Has("all")) return ReadIds(arguments);
  const auto filter = QuarantineFilter::Read(arguments);
  if (!filter.ok()) return filter.status();
  std::vector<uint64_t> ids;
  const absl::Status listed = ForEachQuarantined(caller, *filter, /*include_settled=*/false,
                                                 [&ids](const v1::QuarantinedEvent& event) {
                                                   ids.push_back(event.quarantine_id());
                                                   return true;
                                                 });
  if (!listed.ok()) return listed;
  // The oldest first, as they came.
  return std::vector<uint64_t>(ids.rbegin(), ids.rend());
}

}  // namespace holdfast::client
