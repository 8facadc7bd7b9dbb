// `holdfast quarantine replay` and `holdfast quarantine discard`.

#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <iostream>
#include <limits>

#include "absl/strings/str_cat.h"

#include "client/cli/admin_call.h"
#include "client/cli/quarantine_choice.h"
#include "client/cli/quarantine_command.h"
#include "client/cli/terminal.h"

namespace holdfast::client {
namespace {

constexpr absl::Duration kTimeout = absl::Seconds(60);
// Few enough that the bar moves, and that other questions get their turn in between.
constexpr size_t kAtOnce = 20;
constexpr size_t kOperandsMax = 1000;

// "user@host", as far as it is known.
std::string Operator() {
  const char* user = getenv("SUDO_USER");
  if (user == nullptr) user = getenv("USER");
  std::array<char, 256> host{};
  if (gethostname(host.data(), host.size() - 1) != 0) host[0] = '\0';
  const std::string name =
      absl::StrCat(user != nullptr ? std::string(user) : absl::StrCat("uid ", getuid()), "@",
                   host[0] != '\0' ? host.data() : "unknown");
  return name.substr(0, 64);
}

struct Count {
  uint64_t committed = 0;
  uint64_t duplicate = 0;
  uint64_t discarded = 0;
  uint64_t refused = 0;
  uint64_t before = 0;
  uint64_t unknown = 0;
};

void Tell(const v1::QuarantineResult& result, Count* count, Progress* progress) {
  if (!result.changed()) {
    const bool is_known = result.outcome() != v1::QUARANTINE_OUTCOME_UNSPECIFIED;
    ++(is_known ? count->before : count->unknown);
    progress->Clear();
    std::cerr << result.quarantine_id()
              << (is_known ? ": was settled before; `holdfast quarantine show` says how\n"
                           : ": there is no such event\n");
    return;
  }
  switch (result.outcome()) {
    case v1::QUARANTINE_OUTCOME_COMMITTED:
      ++count->committed;
      return;
    case v1::QUARANTINE_OUTCOME_DUPLICATE:
      ++count->duplicate;
      return;
    case v1::QUARANTINE_OUTCOME_DISCARDED:
      ++count->discarded;
      return;
    default:
      ++count->refused;
      progress->Clear();
      std::cerr << result.quarantine_id() << ": refused again: " << result.reason() << "\n";
  }
}

void PrintLine(absl::string_view name, uint64_t value) {
  if (value > 0) std::cout << absl::StrCat(name, std::string(16 - name.size(), ' '), value, "\n");
}

int Conclude(const Count& count) {
  PrintLine("committed", count.committed);
  PrintLine("duplicate", count.duplicate);
  PrintLine("discarded", count.discarded);
  PrintLine("refused again", count.refused);
  PrintLine("settled before", count.before);
  PrintLine("not found", count.unknown);
  return count.refused + count.unknown == 0 ? kExitOk : kExitRejected;
}

// Sends the ids a few at a time.
template <typename Request, typename Response>
int SettleAll(AdminCaller& caller, const std::vector<uint64_t>& ids, absl::string_view what,
              Request request,
              grpc::Status (AdminCaller::Stub::*method)(grpc::ClientContext*, const Request&,
                                                        Response*)) {
  Count count;
  Progress progress(what);
  request.set_requested_by(Operator());
  for (size_t done = 0; done < ids.size();) {
    progress.Show(done, ids.size());
    request.clear_quarantine_ids();
    const size_t end = std::min(done + kAtOnce, ids.size());
    for (size_t i = done; i < end; ++i) request.add_quarantine_ids(ids[i]);
    absl::StatusOr<Response> answer = caller.Call(method, request);
    if (answer.ok() && answer->results().empty()) {
      answer = absl::UnavailableError(absl::StrCat("nothing was done: ", answer->stopped()));
    }
    if (!answer.ok()) {
      progress.Clear();
      Conclude(count);
      const int code = caller.Failed(answer.status());
      std::cerr << ids.size() - done << " of " << ids.size()
                << " were not settled; the command can be repeated\n";
      return code;
    }
    for (const v1::QuarantineResult& result : answer->results()) Tell(result, &count, &progress);
    // What is left is asked for again; if nothing can be done with it, that call fails.
    done += static_cast<size_t>(answer->results_size());
  }
  progress.Clear();
  return Conclude(count);
}

absl::StatusOr<int> RunReplay(const Arguments& arguments) {
  if (const absl::Status fit = CheckChoice(arguments); !fit.ok()) return fit;
  absl::StatusOr<AdminCaller> caller = AdminCaller::Make("quarantine replay", arguments, kTimeout);
  if (!caller.ok()) return caller.status();
  const auto ids = ChooseIds(*caller, arguments);
  if (!ids.ok()) return caller->Failed(ids.status());
  if (ids->empty()) std::cout << "no such event waits in the quarantine\n";
  return SettleAll(*caller, *ids, "replaying", v1::ReplayQuarantineRequest(),
                   &AdminCaller::Stub::ReplayQuarantine);
}

absl::StatusOr<int> RunDiscard(const Arguments& arguments) {
  if (const absl::Status fit = CheckChoice(arguments); !fit.ok()) return fit;
  if (!arguments.Has("yes") && !IsAnswering()) {
    return absl::InvalidArgumentError("nobody can be asked here: --yes says that it is meant");
  }
  absl::StatusOr<AdminCaller> caller = AdminCaller::Make("quarantine discard", arguments, kTimeout);
  if (!caller.ok()) return caller.status();
  const auto ids = ChooseIds(*caller, arguments);
  if (!ids.ok()) return caller->Failed(ids.status());
  if (ids->empty()) {
    std::cout << "no such event waits in the quarantine\n";
    return kExitOk;
  }
  if (!arguments.Has("yes") &&
      !Confirm(absl::StrCat("Give up ", ids->size(), ids->size() == 1 ? " event" : " events",
                            " for good?"))) {
    std::cerr << "nothing was discarded\n";
    return kExitRejected;
  }
  v1::DiscardQuarantineRequest request;
  request.set_reason(arguments.Get("reason", ""));
  return SettleAll(*caller, *ids, "discarding", request, &AdminCaller::Stub::DiscardQuarantine);
}

std::vector<Flag> ChoiceFlags(std::vector<Flag> more) {
  std::vector<Flag> flags = {
      {.name = "all", .help = "All that wait, or those of them that these let through:"}};
  for (const Flag& flag : FilterFlags()) flags.push_back(flag);
  flags.insert(flags.end(), more.begin(), more.end());
  flags.push_back(ToFlag());
  flags.push_back(TimeoutFlag("How long to wait for each answer. Default: 60s"));
  return flags;
}

std::vector<Ending> SettleEndings(absl::string_view ok, absl::string_view rejected) {
  return {{kExitOk, ok},
          {kExitRejected, rejected},
          {kExitUnavailable, kUnreachableEnding},
          {kExitTemporary, "the database is away; repeat the command"}};
}

}  // namespace

const Command& QuarantineReplayCommand() {
  static const auto& command = *new Command{
      .name = "quarantine replay",
      .group = CommandGroup::kMending,
      .summary = "Tries quarantined events again, once their cause is mended.",
      .description =
          R"(Tries quarantined events again in their tables, once what they were refused for is
mended: a column widened, a conflicting row removed. Each counts once, however often
and by however many it is replayed, and the books move with it. One that is refused
again waits on, with the new reason.

  holdfast quarantine replay 17 18
  holdfast quarantine replay --all --errno=1406 --column=model
)",
      .operands = "ID...|--all",
      .operands_max = kOperandsMax,
      .flags = ChoiceFlags({}),
      .endings = SettleEndings("every one is in its table, or was settled before",
                               "some were refused again, or do not exist"),
      .run = RunReplay};
  return command;
}

const Command& QuarantineDiscardCommand() {
  static const auto& command = *new Command{
      .name = "quarantine discard",
      .group = CommandGroup::kMending,
      .summary = "Gives quarantined events up.",
      .description =
          R"(Gives quarantined events up: they no longer wait, and are never replayed. Their rows
stay in holdfast_quarantine, with who discarded them, when and why, and the books go
on counting them as quarantined. On a terminal it asks first.
)",
      .operands = "ID...|--all",
      .operands_max = kOperandsMax,
      .flags = ChoiceFlags(
          {{.name = "reason", .value = "TEXT", .help = "Why, for whoever reads the row later."},
           {.name = "yes", .help = "Does not ask; needed without a terminal."}}),
      .endings = SettleEndings("every one is discarded, or was settled before",
                               "some do not exist, or the answer was no"),
      .run = RunDiscard};
  return command;
}

}  // namespace holdfast::client
