#include "client/cli/quarantine_command.h"

#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "google/protobuf/util/json_util.h"

#include "client/cli/admin_call.h"
#include "client/cli/quarantine_choice.h"
#include "client/cli/terminal.h"

namespace holdfast::client {
namespace {

constexpr absl::Duration kTimeout = absl::Seconds(15);
constexpr uint64_t kShownByDefault = 50;

std::string TimeOf(const google::protobuf::Timestamp& time) {
  return absl::FormatTime("%Y-%m-%d %H:%M:%SZ", absl::FromUnixSeconds(time.seconds()),
                          absl::UTCTimeZone());
}

absl::string_view WordOf(v1::QuarantineOutcome outcome) {
  switch (outcome) {
    case v1::QUARANTINE_OUTCOME_WAITING:
      return "waiting";
    case v1::QUARANTINE_OUTCOME_COMMITTED:
      return "committed";
    case v1::QUARANTINE_OUTCOME_DUPLICATE:
      return "duplicate";
    case v1::QUARANTINE_OUTCOME_DISCARDED:
      return "discarded";
    default:
      return "unknown";
  }
}

std::string CauseOf(const v1::QuarantinedEvent& event) {
  const std::string number =
      event.errno_code() == 0 ? "conflict" : absl::StrCat(event.errno_code());
  return event.column().empty() ? number : absl::StrCat(number, " ", event.column());
}

absl::StatusOr<std::string> ToJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  std::string text;
  const auto printed = google::protobuf::util::MessageToJsonString(message, &text, options);
  if (!printed.ok()) return absl::InternalError(printed.ToString());
  return text;
}

void PrintRow(const v1::QuarantinedEvent& event, bool settled) {
  std::cout << absl::StrFormat("%-8d %-11s %-12s %-24s %-8d %s", event.quarantine_id(),
                               event.kind(), event.lane(), CauseOf(event), event.attempts(),
                               TimeOf(event.last_at()));
  if (settled) std::cout << "  " << WordOf(event.outcome());
  std::cout << "\n";
}

absl::StatusOr<int> RunLs(const Arguments& arguments) {
  const auto filter = QuarantineFilter::Read(arguments);
  if (!filter.ok()) return filter.status();
  const auto limit = arguments.GetNumber("limit", kShownByDefault, 1);
  if (!limit.ok()) return limit.status();
  absl::StatusOr<AdminCaller> caller = AdminCaller::Make("quarantine ls", arguments, kTimeout);
  if (!caller.ok()) return caller.status();
  const bool settled = arguments.Has("settled");
  const bool json = arguments.Has("json");
  uint64_t shown = 0;
  bool more = false;
  absl::Status fault;
  const auto show = [&](const v1::QuarantinedEvent& event) {
    more = shown == *limit;
    if (more) return false;
    if (json) {
      const auto text = ToJson(event);
      fault = text.status();
      if (!fault.ok()) return false;
      std::cout << *text << "\n";
    } else {
      if (shown == 0) {
        std::cout << absl::StrFormat("%-8s %-11s %-12s %-24s %-8s %s\n", "ID", "kind", "lane",
                                     "refused for", "attempts", "last");
      }
      PrintRow(event, settled);
    }
    ++shown;
    return true;
  };
  absl::Status listed = ForEachQuarantined(*caller, *filter, settled, show);
  if (listed.ok()) listed = fault;
  if (!listed.ok()) return caller->Failed(listed);
  if (shown == 0 && !json) std::cout << "no event waits in the quarantine\n";
  if (more) std::cerr << "... and more; --limit=N shows N\n";
  return shown == 0 ? kExitOk : kExitRejected;
}

absl::StatusOr<int> RunShow(const Arguments& arguments) {
  const auto ids = ReadIds(arguments);
  if (!ids.ok()) return ids.status();
  absl::StatusOr<AdminCaller> caller = AdminCaller::Make("quarantine show", arguments, kTimeout);
  if (!caller.ok()) return caller.status();
  v1::ListQuarantineRequest request;
  request.set_quarantine_id((*ids)[0]);
  request.set_include_content(true);
  const auto page = caller->Call(&AdminCaller::Stub::ListQuarantine, request);
  if (!page.ok()) return caller->Failed(page.status());
  if (page->events().empty()) {
    std::cerr << "holdfast quarantine show: there is no event " << (*ids)[0]
              << "; `holdfast quarantine ls --settled` lists all\n";
    return kExitRejected;
  }
  const v1::QuarantinedEvent& event = page->events(0);
  if (arguments.Has("json")) {
    const auto text = ToJson(event);
    if (!text.ok()) return caller->Failed(text.status());
    std::cout << *text << "\n";
    return kExitOk;
  }
  std::cout << absl::StrFormat("event       %d, %s\n", event.quarantine_id(),
                               WordOf(event.outcome()))
            << "kind        " << event.kind() << "\n"
            << "met by      " << event.writer_id() << ", lane " << event.lane() << "\n"
            << "sent by     "
            << (event.producer_id().empty() ? "a Write without producer_id" : event.producer_id())
            << ", sequence " << event.sequence() << "\n"
            << "refused     " << CauseOf(event) << ": " << event.reason() << "\n"
            << "first       " << TimeOf(event.first_at()) << "\n"
            << "last        " << TimeOf(event.last_at()) << ", " << event.attempts()
            << (event.attempts() == 1 ? " attempt\n" : " attempts\n");
  if (event.outcome() != v1::QUARANTINE_OUTCOME_WAITING) {
    std::cout << "settled     " << TimeOf(event.settled_at()) << " by " << event.settled_by()
              << "\n";
    if (!event.settled_reason().empty()) {
      std::cout << "because     " << event.settled_reason() << "\n";
    }
  }
  std::cout << "content     "
            << (event.event_json().empty() ? "has no JSON form" : event.event_json()) << "\n";
  return kExitOk;
}

std::vector<Flag> Joined(std::vector<Flag> flags, const std::vector<Flag>& more) {
  flags.insert(flags.end(), more.begin(), more.end());
  return flags;
}

}  // namespace

const Command& QuarantineLsCommand() {
  static const auto& command = *new Command{
      .name = "quarantine ls",
      .group = CommandGroup::kLooking,
      .summary = "Lists the events that the database refused, newest first.",
      .description =
          R"(Lists the events that the database refused and that wait for somebody to mend the
cause: the newest first, with what they were refused for. Their content is shown by
`holdfast quarantine show`.
)",
      .flags =
          Joined(FilterFlags(),
                 {{.name = "settled", .help = "Also those that were replayed or discarded."},
                  {.name = "limit", .value = "N", .help = "At most so many. Default: 50"},
                  {.name = "json",
                   .help = "A holdfast.v1.QuarantinedEvent as JSON on each line, for programs."},
                  ToFlag(),
                  TimeoutFlag("How long to wait for each answer. Default: 15s")}),
      .endings = {{kExitOk, "there are none"},
                  {kExitRejected, "there are some"},
                  {kExitUnavailable, kUnreachableEnding},
                  {kExitTemporary, "the database is away, so it is not known"}},
      .run = RunLs};
  return command;
}

const Command& QuarantineShowCommand() {
  static const auto& command = *new Command{
      .name = "quarantine show",
      .group = CommandGroup::kLooking,
      .summary = "Shows one of them with its content.",
      .description =
          R"(Shows all about one quarantined event: who sent it, why the database refused it, what
became of it, and its content as it was sent.
)",
      .operands = "ID",
      .operands_min = 1,
      .operands_max = 1,
      .flags = {{.name = "json", .help = "As a holdfast.v1.QuarantinedEvent, for programs."},
                ToFlag(),
                TimeoutFlag("How long to wait for the answer. Default: 15s")},
      .endings = {{kExitOk, "it was shown"},
                  {kExitRejected, "there is none of that number"},
                  {kExitUnavailable, kUnreachableEnding},
                  {kExitTemporary, "the database is away, so it is not known"}},
      .run = RunShow};
  return command;
}

}  // namespace holdfast::client
